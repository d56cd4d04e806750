"""Room: a session's outline: what is known of each event but what it says, and how long each was to be seen. Pure.

33 bytes an event, so that a session of any length can be looked at while its text stays where it is.

Invariants:
* `Lifetimes` says for each event's moment, and for now, what `fold` says of the records up to there: which messages are
  visible.
* The lifetimes of the newest events are those of all, restricted to them.
* Any order of arrival and any doubles give the same outline.

A moment is the number of an event: the session as of that event. The number after the last one is now.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from eventlog.clock import is_damage
from eventlog.codec import PAYLOAD_AT, decode
from eventlog.errors import DamagedBody
from eventlog.events import ID_BYTES, HistoryCleared, Kind, MessageAdded

UNKNOWN, DAMAGED, ERASED = 0, 255, 17
"""Marks beside those of `Kind`: what no reader knows yet, what cannot be read, a clear that erases."""
MESSAGES = frozenset({Kind.MESSAGE, Kind.MESSAGE_FIXED, Kind.MESSAGE_SLIDING})
CLEARS = frozenset({Kind.CLEARED, ERASED})
_MS_MAX = 1 << 61


class Row(NamedTuple):
    """One event without its text. `ttl_ms` is a message's."""

    event_id: bytes
    mark: int
    at_ms: int
    ttl_ms: int


def row(record: bytes) -> Row:
    """Read a record's row; never raises."""
    event_id = record[:ID_BYTES]
    try:
        event = decode(record)
    except DamagedBody:
        return Row(event_id, DAMAGED, id_ms(record), 0)
    if isinstance(event, MessageAdded):
        return Row(event_id, record[PAYLOAD_AT - 1], _bounded(event.at_ms), _bounded(event.ttl_ms))
    if isinstance(event, HistoryCleared):
        return Row(event_id, ERASED if event.erase else Kind.CLEARED, _bounded(event.at_ms), 0)
    return Row(event_id, UNKNOWN, id_ms(record), 0)


def id_ms(event_id: bytes | bytearray) -> int:
    """Give the time of an id in Unix ms."""
    return int.from_bytes(event_id[:6], "big")


def _bounded(ms: int) -> int:
    return ms if -_MS_MAX < ms < _MS_MAX else max(-_MS_MAX, min(_MS_MAX, ms))


class Outline:
    """The rows of a session in id order."""

    __slots__ = ("_ids", "at_ms", "marks", "ttl_ms")

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        """Take rows that are in order, each id once."""
        self._ids, self.marks = bytearray(), bytearray()
        self.at_ms, self.ttl_ms = array("q"), array("q")
        for event_id, mark, at_ms, ttl_ms in rows:
            self._ids += event_id
            self.marks.append(mark)
            self.at_ms.append(at_ms)
            self.ttl_ms.append(ttl_ms)

    @classmethod
    def joined(cls, pieces: Iterable[Outline]) -> Outline:
        """Give outlines that are in order as one."""
        whole = cls()
        for piece in pieces:
            whole._extend(piece)
        return whole

    def _extend(self, newer: Outline) -> None:
        self._ids += newer._ids
        self.marks += newer.marks
        self.at_ms += newer.at_ms
        self.ttl_ms += newer.ttl_ms

    def __len__(self) -> int:
        return len(self.marks)

    def id_at(self, number: int) -> bytes:
        """Give the id of an event by its number."""
        return bytes(self._ids[ID_BYTES * number : ID_BYTES * (number + 1)])

    def find(self, event_id: bytes) -> int:
        """Give the number of the first event whose id is not smaller."""
        return bisect_left(range(len(self)), event_id, key=self.id_at)

    def __contains__(self, event_id: bytes) -> bool:
        number = self.find(event_id)
        return number < len(self) and self.id_at(number) == event_id

    def __iter__(self) -> Iterator[Row]:
        for number in range(len(self)):
            yield Row(self.id_at(number), self.marks[number], self.at_ms[number], self.ttl_ms[number])

    def since(self, number: int) -> Outline:
        """Give the outline of the events from one on."""
        newer = Outline()
        newer._ids, newer.marks = self._ids[ID_BYTES * number :], self.marks[number:]
        newer.at_ms, newer.ttl_ms = self.at_ms[number:], self.ttl_ms[number:]
        return newer

    @property
    def changes_by_itself(self) -> bool:
        """Tell whether time alone may change what is visible."""
        return Kind.MESSAGE_FIXED in self.marks or Kind.MESSAGE_SLIDING in self.marks

    def ids(self) -> Iterator[bytes]:
        """Give the ids."""
        return map(self.id_at, range(len(self)))

    def add(self, more: Outline) -> None:
        """Take the rows of another outline, whose ids are not here yet."""
        if len(more) and len(self) and more.id_at(0) < self.id_at(len(self) - 1):
            both = sorted([*self, *more])
            self.__init__(both)  # type: ignore[misc]
        else:
            self._extend(more)

    def times_ms(self) -> array[int]:
        """Give the time of each event's id."""
        return array("q", (id_ms(self._ids[at : at + 6]) for at in range(0, len(self._ids), ID_BYTES)))


class Lifetimes:
    """How long each message of an outline was to be seen, by moments."""

    __slots__ = ("ends", "erased_below", "lapsed", "now_ms", "outline", "times_ms", "until_ms")

    def __init__(self, outline: Outline, now_ms: int) -> None:
        """Work it out for `now_ms`; moments after that count as now."""
        count = len(outline)
        self.outline, self.now_ms = outline, now_ms
        self.times_ms = array("q", (min(ms, now_ms) for ms in outline.times_ms()))
        self.ends = array("q", [count + 1]) * count
        """The moment at which each message was gone; one more than now: not yet."""
        self.until_ms = array("q", [0]) * count
        """When each message that has a TTL goes or went by it."""
        self.lapsed: set[int] = set()
        """Moments at which no sliding message is seen, though some come back: the clocks disagree there."""
        self.erased_below = 0
        """The events with smaller numbers are erased."""
        self._clears()
        if outline.changes_by_itself:
            self._fixed()
            self._sliding()

    def __len__(self) -> int:
        return len(self.outline)

    def visible(self, number: int, moment: int) -> bool:
        """Tell whether a message is seen at a moment."""
        outline = self.outline
        if outline.marks[number] not in MESSAGES or not number <= moment < self.ends[number]:
            return False
        return outline.marks[number] != Kind.MESSAGE_SLIDING or moment not in self.lapsed

    def cleared(self, number: int) -> bool:
        """Tell whether it was a clear that took a message, not its time."""
        end = self.ends[number]
        if end >= len(self.outline) or not self.applies(end):
            return False
        return not 0 < self.until_ms[number] <= self.times_ms[end]

    def applies(self, number: int) -> bool:
        """Tell whether an event is a clear, and no clock's damage."""
        return self.outline.marks[number] in CLEARS and not is_damage(self.outline.id_at(number), self.now_ms)

    def _clears(self) -> None:
        start = 0
        for number, mark in enumerate(self.outline.marks):
            if mark in CLEARS and self.applies(number):
                self.ends[start:number] = array("q", [number]) * (number - start)
                start = number
                if mark == ERASED:
                    self.erased_below = number

    def _fixed(self) -> None:
        outline, count = self.outline, len(self.ends)
        for number, mark in enumerate(outline.marks):
            if mark == Kind.MESSAGE_FIXED:
                until_ms = outline.at_ms[number] + outline.ttl_ms[number]
                self.until_ms[number] = until_ms
                gone = bisect_left(self.times_ms, until_ms, lo=number)
                if gone < count or until_ms <= self.now_ms:
                    self.ends[number] = min(self.ends[number], gone)

    def _sliding(self) -> None:
        window = _Window(self)
        outline = self.outline
        for number, mark in enumerate(outline.marks):
            if mark in MESSAGES:
                window.meet(number, outline.at_ms[number])
                if mark == Kind.MESSAGE_SLIDING:
                    window.open(number, outline.at_ms[number] + outline.ttl_ms[number])
            elif self.applies(number):
                window.close()
            if window.over(self.times_ms[number]):
                self.lapsed.add(number)
        window.meet(len(outline), self.now_ms)
        window.close()


class _Window:
    """The sliding messages that go together, while a session is gone through."""

    def __init__(self, lives: Lifetimes) -> None:
        self._lives = lives
        self._gathered: list[int] = []
        self._until_ms: int | None = None

    def over(self, ms: int) -> bool:
        return self._until_ms is not None and self._until_ms <= ms

    def open(self, number: int, until_ms: int) -> None:
        self._gathered.append(number)
        self._until_ms = until_ms

    def meet(self, number: int, at_ms: int) -> None:
        if self.over(at_ms):
            for gone in self._gathered:
                self._lives.ends[gone] = min(self._lives.ends[gone], number)
            self.close()

    def close(self) -> None:
        for gone in self._gathered:
            self._lives.until_ms[gone] = self._until_ms or 0
        self._gathered, self._until_ms = [], None
