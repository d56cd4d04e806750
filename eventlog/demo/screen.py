"""Room: what one sees of the demo: a table that grows by the second, drawn on a terminal, printed elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import NamedTuple, Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from eventlog.status import State

_BAR_CELLS, _FULL_BAR_EVENTS_MIN = 24, 2000
_HEAD_LINES = 3
_STYLES: dict[State, str] = {"ok": "green", "retrying": "yellow", "down": "red"}


class Second(NamedTuple):
    """What happened within one second."""

    at_s: float
    adds_per_s: float
    p99_us: float
    pending: int
    state: State


class Note(NamedTuple):
    """Something that was done or seen."""

    at_s: float
    text: str
    alarm: bool


class Screen:
    """Rows as they come; on a terminal with a bar for what is pending, and all of them once more in the end."""

    def __init__(self, console: Console) -> None:
        """Show it on `console`."""
        self._console = console
        self._rows: list[Second | Note] = []
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        """Print the head."""
        if self._live:
            self._live.start()
        else:
            self._console.print(_head())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leave the whole table behind."""
        if self._live:
            self._live.stop()
            self._console.print(self._table(self._rows))

    def show(self, row: Second | Note) -> None:
        """Add a row."""
        self._rows.append(row)
        if self._live:
            latest = self._rows[_HEAD_LINES - self._console.height :]
            self._live.update(self._table(latest), refresh=True)
        else:
            self._console.print(_line(row))

    def _table(self, rows: list[Second | Note]) -> Group:
        most = max([_FULL_BAR_EVENTS_MIN, *(row.pending for row in self._rows if isinstance(row, Second))])
        return Group(_head(), *(_line(row, most) for row in rows))


def _head() -> Text:
    return Text(f"{'time':>8}{'adds/s':>9}{'p99 of add':>12}{'pending':>10}  backend", style="bold")


def _line(row: Second | Note, most: int = 0) -> Text:
    line = _note(row) if isinstance(row, Note) else _second(row, most)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _note(note: Note) -> Text:
    return Text.assemble((f"{note.at_s:>6.1f} s  ", "bold"), (f"• {note.text}", "bold red" if note.alarm else "bold"))


def _second(second: Second, most: int) -> Text:
    style = _STYLES[second.state]
    figures = f"{second.at_s:>6.1f} s{second.adds_per_s:>9,.0f}{_duration(second.p99_us):>12}{second.pending:>10,}  "
    bar = "█" * round(_BAR_CELLS * second.pending / most) if most else ""
    return Text.assemble(figures, (f"{second.state:<9}" if most else second.state, style), (bar, style))


def _duration(us: float) -> str:
    return f"{us:,.0f} µs" if us < 1000 else f"{us / 1000:,.1f} ms"  # noqa: PLR2004 (one unit to the next)
