"""Room: the timeline of a session, folded from its records: what happened, in order, and what became of it. Pure.

Invariants:
* At every moment the messages that the timeline calls visible are those that `fold` gives (outline.py).
* It never raises for what a record holds. What cannot be read has an entry that says so.
* What was erased has an entry without a word of it, also where a backend has it still.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

import msgspec

from eventlog.codec import decode
from eventlog.errors import DamagedBody
from eventlog.events import EPOCH, MS, WRITER_BYTES, EventId, Kind, MessageAdded
from eventlog.projections.outline import CLEARS, DAMAGED, ERASED, MESSAGES, UNKNOWN, Lifetimes
from eventlog.projections.speech import ToolCall, speech

What = Literal["message", "clear", "erase", "unknown", "damaged"]
State = Literal["visible", "cleared", "expired", "erased", "removed", "unread", "applied", "ignored", "unreadable"]
_KINDS: dict[int, What] = {Kind.CLEARED: "clear", ERASED: "erase", UNKNOWN: "unknown", DAMAGED: "damaged"}
_EXPIRY: dict[int, Literal["fixed", "sliding"]] = {Kind.MESSAGE_FIXED: "fixed", Kind.MESSAGE_SLIDING: "sliding"}
_LAST_MS = (datetime.max.replace(tzinfo=UTC) - timedelta(days=1) - EPOCH) // MS
"""A day before the last moment that a datetime has, so that it has one in every time zone."""


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a session."""

    id: bytes
    """An `EventId`, but where a store holds what is none."""
    time: datetime
    """The writer's wall clock; the order is the id's."""
    writer: str
    """The process that wrote it, as 16 hex digits."""
    kind: What
    state: State
    """Of a message: "visible", "cleared", "expired", "erased", "removed" since it was seen, or "unread" while none that
    has it answers; of a clear: "applied", or "ignored" when its clock is damaged; of others: "unreadable"."""
    role: str = ""
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    form: str = ""
    message: Any = None
    """As it was given."""
    expiry: Literal["fixed", "sliding"] | None = None
    expires: datetime | None = None
    """When it goes, or went, by its TTL, as far as is known: a later message renews a sliding one."""
    cleared_by: bytes | None = None
    """The id of the clear that took it."""
    backends: tuple[str, ...] = ()
    """The backends that have it."""
    pending: tuple[str, ...] = ()
    """The backends for which it waits on this host."""
    late: bool = False
    """Of `follow`: it came after events that sort behind it."""


def plain(each: TimelineEntry) -> dict[str, Any]:
    """Give an entry as values that JSON has, but for its message, which is as it was given."""
    values = msgspec.structs.asdict(each)
    values.update(id=id_text(each.id), cleared_by=each.cleared_by and id_text(each.cleared_by))
    return values


class Summary(msgspec.Struct, frozen=True):
    """What there is in a session."""

    events: int
    messages: int
    visible: int
    clears: int
    first: datetime | None
    last: datetime | None
    writers: dict[str, int]
    """The events of each writer, the one with most of them first."""


class Place(NamedTuple):
    """Where an event is: names of backends."""

    backends: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()


def moment(ms: int) -> datetime:
    """Give Unix ms as an aware time, the nearest there is if a broken clock meant another."""
    return EPOCH + max(0, min(_LAST_MS, ms)) * MS


def entry(
    lives: Lifetimes, number: int, record: bytes | None, place: Place, missing: State = "removed"
) -> TimelineEntry:
    """Give the entry of one event; without its record, what is visible is `missing`."""
    outline = lives.outline
    event_id, mark = outline.id_at(number), outline.marks[number]
    state = _state(lives, number)
    if record is None and state == "visible":
        state = missing
    until_ms = lives.until_ms[number]
    return TimelineEntry(
        id=named(event_id),
        time=moment(outline.at_ms[number]),
        writer=event_id[-WRITER_BYTES:].hex(),
        kind=_KINDS.get(mark, "message"),
        state=state,
        expiry=_EXPIRY.get(mark),
        expires=moment(until_ms) if until_ms else None,
        cleared_by=named(outline.id_at(lives.ends[number])) if state == "cleared" else None,
        backends=place.backends,
        pending=place.pending,
        **_said(record) if record and mark in MESSAGES and state != "erased" else {},
    )


def named(event_id: bytes) -> bytes:
    """Give an id as an `EventId` where it is one."""
    try:
        return EventId(event_id)
    except ValueError:
        return event_id


def id_text(event_id: bytes) -> str:
    """Give an id's text, or its bytes in hex where it is no UUIDv7."""
    return str(event_id) if isinstance(event_id, EventId) else event_id.hex()


def _state(lives: Lifetimes, number: int) -> State:
    outline = lives.outline
    if outline.marks[number] in CLEARS:
        return "applied" if lives.applies(number) else "ignored"
    if outline.marks[number] not in MESSAGES:
        return "unreadable"
    if number < lives.erased_below:
        return "erased"
    if lives.visible(number, len(outline)):
        return "visible"
    return "cleared" if lives.cleared(number) else "expired"


def _said(record: bytes) -> Mapping[str, Any]:
    try:
        event = decode(record)
    except DamagedBody:
        return {}
    if not isinstance(event, MessageAdded):
        return {}
    said = speech(event.message)
    return {
        "role": said.role,
        "text": said.text,
        "tool_calls": said.tool_calls,
        "form": event.form,
        "message": event.message,
    }


def summary(lives: Lifetimes) -> Summary:
    """Sum a session up."""
    outline, count = lives.outline, len(lives)
    times = [moment(outline.at_ms[number]) for number in (0, count - 1)] if count else [None, None]
    writers = Counter(event_id[-WRITER_BYTES:] for event_id in outline.ids())
    return Summary(
        events=count,
        messages=sum(mark in MESSAGES for mark in outline.marks),
        visible=sum(end > count and mark in MESSAGES for end, mark in zip(lives.ends, outline.marks, strict=True)),
        clears=sum(mark in CLEARS for mark in outline.marks),
        first=times[0],
        last=times[1],
        writers={writer.hex(): events for writer, events in writers.most_common()},
    )
