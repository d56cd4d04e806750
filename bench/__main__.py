"""The command: `python -m bench [--quick] [--only GROUP] [--folder DISK]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from rich.console import Console

from bench.arena import Arena, disk_folder
from bench.plot import draw
from bench.report import as_json, machine, save, show
from bench.rounds import Group, Results, play
from bench.rows import ROWS, groups

_RESULTS = Path(__file__).parent / "results"
_WIDTH = 130


def main(words: Sequence[str] | None = None) -> None:
    """Play the rounds, show the table, keep the numbers."""
    wanted = _arguments(words)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    chosen = [group for group in groups(quick=wanted.quick) if not wanted.only or group.name in wanted.only]
    began = monotonic()
    with Arena(wanted.folder) as arena:
        results = _play(chosen, arena, console)
        facts = {**machine(arena), "took_s": round(monotonic() - began)}
    rows = [row for row in ROWS if row.group in {group.name for group in chosen}]
    show(console, rows, results)
    place = f"{facts['cores']} cores, {facts['system']}, journal on {facts['journal_file_system']}"
    console.print(f"{place}, {facts['took_s']} s in all. What this does not say: bench/README.md")
    if not wanted.only and not wanted.quick:
        save({"machine": facts, **as_json(chosen, rows, results)}, _RESULTS / "redis.json")
        draw(rows, results, f"one run, rounds in turns, {facts['cores']} cores", _RESULTS / "redis.png")
        console.print(f"Kept in {_RESULTS / 'redis.json'} and .png")


def _play(chosen: Sequence[Group], arena: Arena, console: Console) -> Results:
    results: Results = {}
    with console.status("") as status:
        for group in chosen:
            results |= play(group, arena, status.update)
    return results


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = [group.name for group in groups(quick=True)]
    parser.add_argument("--quick", action="store_true", help="short rounds, under a minute; keeps no file")
    parser.add_argument("--only", action="append", choices=names, help="one group (repeatable); keeps no file")
    parser.add_argument("--folder", type=Path, default=disk_folder(), help="where the journals lie")
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
