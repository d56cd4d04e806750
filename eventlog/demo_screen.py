"""Room: what one sees of the demo: a table that grows by the second on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from eventlog.status import State

_BAR_CELLS = 10
_LINES_AROUND = 5
_STYLES: dict[State, str] = {"ok": "green", "retrying": "yellow", "down": "red"}


class Second(NamedTuple):
    """What happened within one second."""

    at_s: float
    adds_per_s: float
    p99_us: float
    pending: int
    state: State

    @property
    def cells(self) -> tuple[str, str, str, str, State]:
        """The values as they are shown."""
        p99 = f"{self.p99_us:,.0f} µs" if self.p99_us < 1000 else f"{self.p99_us / 1000:,.1f} ms"  # noqa: PLR2004
        return f"{self.at_s:.1f} s", f"{self.adds_per_s:,.0f}", p99, f"{self.pending:,}", self.state


class Note(NamedTuple):
    """Something that was done or seen."""

    at_s: float
    text: str
    alarm: bool


class PlainScreen:
    """A line a second, and a line for each note."""

    def __init__(self, console: Console) -> None:
        """Print to `console`."""
        self._console = console

    def __enter__(self) -> Self:
        """Print the head."""
        self._console.print(f"{'time':>8}{'adds/s':>9}{'p99 of add':>12}{'pending':>10}  backend", style="bold")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Nothing is left to do."""

    def second(self, second: Second) -> None:
        """Print what was measured."""
        time, adds, p99, pending, state = second.cells
        self._console.print(f"{time:>8}{adds:>9}{p99:>12}{pending:>10}  {state}")

    def note(self, note: Note) -> None:
        """Print what happened."""
        self._console.print(f"{note.at_s:>6.1f} s  * {note.text}")


class LiveScreen:
    """A table that shows the latest rows, and all of them in the end."""

    def __init__(self, console: Console) -> None:
        """Draw on `console`."""
        self._console = console
        self._rows: list[Second | Note] = []
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leave the whole table behind."""
        self._live.stop()
        self._console.print(self._table(self._rows))

    def second(self, second: Second) -> None:
        """Add a row."""
        self._show(second)

    def note(self, note: Note) -> None:
        """Add a row."""
        self._show(note)

    def _show(self, row: Second | Note) -> None:
        self._rows.append(row)
        latest = self._rows[-max(4, self._console.height - _LINES_AROUND) :]
        self._live.update(self._table(latest), refresh=True)

    def _table(self, rows: list[Second | Note]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("time", "adds/s", "p99 of add", "pending"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("", width=_BAR_CELLS)
        table.add_column("backend", no_wrap=True)
        table.add_column("what happens", ratio=1)
        for row in rows:
            table.add_row(*(self._cells(row) if isinstance(row, Second) else _noted(row)))
        return table

    def _cells(self, second: Second) -> list[str | Text]:
        most = max(row.pending for row in self._rows if isinstance(row, Second)) or 1
        bar = "█" * round(_BAR_CELLS * second.pending / most)
        style = _STYLES[second.state]
        return [*second.cells[:4], Text(bar, style=style), Text(second.state, style=style), ""]


def _noted(note: Note) -> list[str | Text]:
    style = "bold red" if note.alarm else "bold"
    return [Text(f"{note.at_s:.1f} s", style=style), "", "", "", "", "", Text(note.text, style=style)]


Screen = PlainScreen | LiveScreen


def screen_on(console: Console) -> Screen:
    """Give what suits the console."""
    fitting: Callable[[Console], Screen] = LiveScreen if console.is_terminal else PlainScreen
    return fitting(console)
