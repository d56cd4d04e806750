"""Room: the table of the proof: on the terminal, as JSON beside this file, in README.md between two marks.

Rules:
* The JSON keeps, for each row, what was last run by the command; a run of a few rows leaves the others as they were.
* A row that is not built, or was not run, is in the table, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from rich.table import Table

from tests.chaos.promises import Result

RESULTS = Path(__file__).parent / "results.json"
README = Path(__file__).parents[2] / "README.md"
MARKS = ("<!-- chaos: begin -->\n", "<!-- chaos: end -->\n")
HEADINGS = ("#", "what happens", "N", "seed", "result", "control", "time")


def load() -> list[Result]:
    """Give what was last found."""
    return msgspec.json.decode(RESULTS.read_bytes(), type=list[Result]) if RESULTS.exists() else []


def save(results: Iterable[Result]) -> None:
    """Put new results in the place of those of the same rows."""
    merged = {result.row: result for result in [*load(), *results]}
    encoded = msgspec.json.encode([merged[row] for row in sorted(merged)])
    RESULTS.write_bytes(msgspec.json.format(encoded, indent=2) + b"\n")


def show(console: Console, results: Sequence[Result]) -> None:
    """Print the table, and the details of what failed."""
    table = Table(*HEADINGS)
    for result in results:
        table.add_row(*cells(result))
    console.print(table)
    for result in results:
        if result.detail:
            console.print(f"row {result.row}: {result.detail}", markup=False)


def cells(result: Result) -> tuple[str, ...]:
    """Give a row's cells."""
    count = f"{result.n:,} of {result.full_n:,} {result.unit}" if result.n else f"of {result.full_n:,} {result.unit}"
    seed = str(result.seed) if result.n else ""
    return (
        str(result.row),
        result.title,
        count,
        seed,
        _told(result),
        f"{result.control_title}: {result.control.splitlines()[0]}" if result.control else "",
        f"{result.seconds:g} s" if result.n else "",
    )


def _told(result: Result) -> str:
    shown = [f"{name.replace('_', ' ')} {value}" for name, value in result.figures.items()]
    return "; ".join([result.result, *shown])


def markdown(results: Sequence[Result]) -> str:
    """Give the table as README.md shows it."""
    lines = [" | ".join(HEADINGS), " | ".join("---" for _ in HEADINGS), *(" | ".join(cells(each)) for each in results)]
    return "".join(f"| {line} |\n" for line in lines)


def write_readme() -> None:
    """Put the table between its marks."""
    text = README.read_text()
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    README.write_text(before + MARKS[0] + "\n" + markdown(load()) + "\n" + MARKS[1] + after)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the rows that a test run played (tests/conftest.py has pytest call it)."""
    reports = [report for each in terminalreporter.stats.values() for report in each]
    told = [value for report in reports for name, value in getattr(report, "user_properties", ()) if name == "chaos"]
    results = {result.row: result for result in (msgspec.json.decode(value, type=Result) for value in told)}
    if results:
        show(Console(width=160), [results[row] for row in sorted(results)])
