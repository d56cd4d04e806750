"""Room: what a terminal shows of a timeline: a line for each event, with the day before the first of a day.

Friday 2 January 2026 (UTC+01:00)
12:00:01.250           user       How late is it?
12:00:02.031  cleared  assistant  Twelve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventlog.cli.showing import counted, lines, one_line, role_style
from eventlog.projections.speech import Speech
from eventlog.projections.timeline import State, Summary, TimelineEntry

_MARK_WIDTH, _ROLE_WIDTH = 7, 9
_GONE: frozenset[State] = frozenset({"cleared", "expired", "erased", "removed"})
_TEXTS = {
    "clear": "the history was cleared",
    "erase": "the session was erased",
    "unknown": "an event of a kind that this version does not know",
    "damaged": "an event that cannot be read",
}
_WITHOUT_TEXT = {"erased": "(erased)", "unread": "(cannot be read now)"}
_MARK_STYLES = {"late": "yellow", "pending": "yellow", "ignored": "red"}


def show_entries(entries: Iterable[TimelineEntry], to: Console, *, then: bool = False) -> None:
    """Print entries as they come; `then`: as they were when they were written, whatever became of them."""
    day: date | None = None
    for each in entries:
        time = each.time.astimezone()
        if time.date() != day:
            day = time.date()
            to.print(Text(_day(time), style="bold"))
        row = _Row(time, "" if then else mark(each), each)
        to.print(row.drawn() if to.is_terminal else row.plain())


def _day(time: datetime) -> str:
    zone = f"{time:%z}"
    return f"{time:%A} {time.day} {time:%B %Y} (UTC{zone[:3]}:{zone[3:5]})"


def mark(each: TimelineEntry) -> str:
    """Give the one word that says most about an event."""
    if each.state in _GONE or each.state == "ignored":
        return each.state
    if each.late:
        return "late"
    return "pending" if each.pending else ""


class _Row:
    """One event, for a terminal or for a file."""

    def __init__(self, time: datetime, marked: str, each: TimelineEntry) -> None:
        self._time = f"{time:%H:%M:%S}.{time.microsecond // 1000:03d}"
        self._mark = marked
        self._gone = marked in _GONE
        self._said = each.kind == "message"
        self._role = one_line(each.role) if self._said else "—"
        self._text = "\n".join(said(each))

    def drawn(self) -> Table:
        row = Table.grid(padding=(0, 2), pad_edge=False)
        row.add_column(no_wrap=True)
        row.add_column(width=_MARK_WIDTH, no_wrap=True)
        row.add_column(width=max(_ROLE_WIDTH, len(self._role)), no_wrap=True)
        row.add_column(overflow="fold")
        style = "dim" if self._gone else "" if self._said else "italic"
        row.add_row(
            Text(self._time, style="dim"),
            Text(self._mark, style=_MARK_STYLES.get(self._mark, "dim")),
            Text(self._role, style="dim" if self._gone else role_style(self._role) if self._said else "dim"),
            Text(self._text, style=style),
        )
        return row

    def plain(self) -> str:
        head = f"{self._time}  {self._mark:<{_MARK_WIDTH}}  {self._role:<{_ROLE_WIDTH}}  "
        return head + self._text.replace("\n", "\n" + " " * len(head))


def said(each: TimelineEntry) -> list[str]:
    """Give what an event says, as lines that are safe to print."""
    if each.kind != "message":
        return [_TEXTS[each.kind]]
    if not each.role:
        return [_WITHOUT_TEXT.get(each.state, "(no longer kept)")]
    return lines(Speech(each.role, each.text, each.tool_calls))


def show_summary(found: Summary, to: Console) -> None:
    """Print what there is in a session, in a line."""
    to.print(Text(", ".join(_about(found)), style="dim"))


def _about(found: Summary) -> Iterator[str]:
    yield counted(found.messages, "message")
    yield f"{found.visible:,} of them visible"
    yield counted(found.clears, "clear")
    yield counted(len(found.writers), "writer")


def paced(
    entries: Iterable[TimelineEntry], speed: float, longest_s: float, sleep: Callable[[float], None]
) -> Iterator[TimelineEntry]:
    """Give entries with the pauses that there were between them, `speed` times as fast, none over `longest_s`."""
    before: datetime | None = None
    for each in entries:
        if before is not None and each.time > before:
            sleep(min(longest_s, (each.time - before).total_seconds() / speed))
        before = each.time
        yield each
