"""Room: how a log stands, on a screen: a line a backend, the journal, and what is to be done."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from eventlog.cli.showing import one_line, show_status, size
from eventlog.cli.standing import FULL_SOON, Standing, advice, in_words, room, who_delivers
from eventlog.status import BackendStatus

_HALF_MINUTE_S, _MINUTE_S, _HOUR_S, _DAY_S = 30.0, 60.0, 3600.0, 86_400.0
_WELL = frozenset({"has everything", "delivering"})
_WARNING = "bold yellow"
_BAD = "bold red"


def show(standing: Standing, to: Console) -> None:
    """Print it once, with all there is to tell."""
    show_status(standing.status, to)
    for text in advice(standing):
        to.print(_hint(text))


def screen(standing: Standing) -> RenderableType:
    """Draw what changes, and what an operator can act on."""
    hints = [_hint(text) for text in advice(standing)]
    return Group(_title(), "", _backends(standing), "", _rows(standing), "", *hints)


def _title() -> Text:
    return Text(f"eventlog at {datetime.now().astimezone():%H:%M:%S}, Ctrl-C ends", style="dim")


def _backends(standing: Standing) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("backend", "state"):
        table.add_column(title)
    for title in ("pending", "size", "oldest", "dead letters"):
        table.add_column(title, justify="right")
    for name, backend in standing.status.backends.items():
        table.add_row(Text(name, style="bold"), _state(name, standing), *_numbers(backend))
    return table


def _state(name: str, standing: Standing) -> Text:
    words = in_words(name, standing)
    return Text(words, style="green" if words in _WELL else _BAD if words == "down" else _WARNING)


def _numbers(backend: BackendStatus) -> list[Text]:
    in_journal = bool(backend.lag_bytes)
    pending = f"{backend.lag_events:,}", size(backend.lag_bytes), age(backend.oldest_age_s) if in_journal else "-"
    dead = Text(f"{backend.dead_letters:,}", style=_BAD if backend.dead_letters else "dim")
    return [*(Text(text, style="" if backend.lag_events else "dim") for text in pending), dead]


def _rows(standing: Standing) -> Table:
    table = Table.grid(padding=(0, 2), pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _about(standing):
        full = name == "size" and standing.fill >= FULL_SOON
        table.add_row(name, Text(one_line(text), style=_WARNING if full else ""))
    return table


def _about(standing: Standing) -> Iterator[tuple[str, str]]:
    status = standing.status
    yield "journal", status.journal
    yield "size", room(standing)
    yield "delivery", who_delivers(standing)
    for name, backend in status.backends.items():
        if backend.last_error:
            yield f"{name} says", backend.last_error


def _hint(text: str) -> Table:
    hint = Table.grid(padding=(0, 1), pad_edge=False)
    hint.add_row(Text("!", style=_WARNING), Text(one_line(text), overflow="fold"))
    return hint


def age(seconds: float) -> str:
    """Give an age for a person."""
    for unit_s, unit in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:,.0f} {unit}"
    return f"{seconds:,.1f} s" if seconds < _HALF_MINUTE_S else f"{seconds:,.0f} s"
