"""The command: `python -m bench.cassandra [--quick] [--only GROUP] [--folder DISK]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from rich.console import Console

from bench.arena import disk_folder
from bench.cassandra_arena import CassandraArena
from bench.cassandra_rows import ROWS, groups
from bench.plot import draw
from bench.report import as_json, machine, save, show
from bench.rounds import Results, play, preload

_RESULTS = Path(__file__).parent / "results"
_WIDTH = 140
_PACKAGES = ("langchain-community", "langchain-core", "cassandra-driver", "cassio", "msgspec")


def main(words: Sequence[str] | None = None) -> None:
    """Play the rounds, show the table, keep the numbers."""
    parser = argparse.ArgumentParser(prog="python -m bench.cassandra", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short rounds; keeps no file")
    parser.add_argument("--only", action="append", help="one group (repeatable); keeps no file")
    parser.add_argument("--folder", type=Path, default=disk_folder(), help="where the journals lie")
    wanted = parser.parse_args(words)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    chosen = [group for group in groups(quick=wanted.quick) if not wanted.only or group.name in wanted.only]
    preload("bench.cassandra_rows")
    results: Results = {}
    began = monotonic()
    with CassandraArena(wanted.folder) as arena, console.status("") as status:
        for group in chosen:
            results |= play(group, arena, status.update)
        facts = {**machine(arena, _PACKAGES), "took_s": round(monotonic() - began)}
    rows = [row for row in ROWS if row.group in {group.name for group in chosen}]
    show(console, rows, results)
    if not wanted.only and not wanted.quick:
        save({"machine": facts, **as_json(chosen, rows, results)}, _RESULTS / "cassandra.json")
        title = f"one run, rounds in turns, {facts['cores']} cores"
        draw(rows, results, title, _RESULTS / "cassandra.png", "CassandraChatMessageHistory")
        console.print(f"Kept in {_RESULTS / 'cassandra.json'} and .png")


if __name__ == "__main__":
    main()
