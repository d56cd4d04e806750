"""`python -m tests.chaos [--scale N] [--seed S] [--only ROW]`: the proof, as large as you like.

`--scale 1` is what the table calls CI, `--scale 100` all of it; `--readme` puts the last results into README.md.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import warnings

from hypothesis.errors import HypothesisDeprecationWarning
from rich.console import Console

from tests.chaos.promises import Result, run
from tests.chaos.registry import ROWS
from tests.chaos.report import save, show, write_readme


def main() -> int:
    """Run the rows that were asked for; 1 if one failed."""
    asked = _asked()
    if asked.readme:
        write_readme()
        return 0
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore", HypothesisDeprecationWarning)  # delivery draws at random, in its own thread
    seed = asked.seed if asked.seed is not None else random.SystemRandom().getrandbits(31)
    console = Console()
    console.print(f"seed {seed}, scale {asked.scale:g}")
    results: list[Result] = []
    for row in ROWS:
        if not asked.only or row.number in asked.only:
            results.append(run(row, asked.scale, seed))
            if not asked.keep:
                save(results[-1:])  # at once: who stops a long run has what it found
            console.print(f"row {row.number}: {results[-1].result}, {results[-1].seconds:g} s")
    show(console, results)
    return int(any(result.result == "failed" for result in results))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="1: as in CI; 100: all of it")
    parser.add_argument("--seed", type=int, help="repeat a run")
    parser.add_argument("--only", type=int, action="append", help="the number of a row; repeatable")
    parser.add_argument("--keep", action="store_true", help="leave results.json as it is")
    parser.add_argument("--readme", action="store_true", help="only write the last results into README.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
