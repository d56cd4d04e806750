"""Room: which segment of a session this process writes to, and when it begins the next one.

Rules:
* What a process knows is a hint, and bounded: readers look into every segment. It may forget all of it at any time.
* Room is reserved before it is used, 128 KiB at once, from a count that all writers share: a segment ends at about
  1 MiB, not at the service's 5 MB, which no reply can hold. What is not counted is the first 64 KiB of each process.
* A segment that the service says is full is left, whatever the count says.
* A clear goes into the first segment, which is renewed at least every `longest_ttl / 24` while others are written to;
  these live for that much shorter: so no clear goes before what it hides.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from threading import Lock

from eventlog.adapters.momento_calls import Calls, KeyFull
from eventlog.adapters.momento_keys import (
    FREE_BYTES,
    LEASE_BYTES,
    SEGMENT_BYTES_MAX,
    copies,
    events,
    highest,
    mark,
    marks,
    portions,
    segment_key,
    size_bytes,
)
from eventlog.codec import is_cut

KNOWN_MAX = 1 << 16
_TOUCHES = 24
_ROLLS_MAX = 100


class _Known:
    """What this process knows of a session."""

    __slots__ = ("last", "room_bytes", "touch_at_s")

    def __init__(self) -> None:
        self.last = 0
        self.room_bytes = FREE_BYTES
        self.touch_at_s = 0.0


class Segments:
    """The sessions that this process writes to."""

    def __init__(self, calls: Calls, longest_ttl: timedelta) -> None:
        """Begin knowing nothing."""
        self._calls = calls
        self._ttl, self._pause = longest_ttl, longest_ttl / _TOUCHES
        self._lock = Lock()
        self._sessions: OrderedDict[str, _Known] = OrderedDict()

    def _known(self, session: str) -> _Known:
        with self._lock:
            known = self._sessions.setdefault(session, _Known())
            self._sessions.move_to_end(session)
            if len(self._sessions) > KNOWN_MAX:
                self._sessions.popitem(last=False)
            return known

    def learn(self, session: str, last: int) -> None:
        """Remember what a read has met."""
        known = self._known(session)
        if last > known.last:
            known.last, known.room_bytes = last, 0

    def untouched(self, sessions: Iterable[str], now_s: float) -> list[str]:
        """Give the sessions that were not touched for a while."""
        return [session for session in sessions if self._known(session).touch_at_s <= now_s]

    def touched(self, sessions: Iterable[str], now_s: float) -> None:
        """Remember that these were."""
        for session in sessions:
            self._known(session).touch_at_s = now_s + self._pause.total_seconds()

    def renew(self, session: str) -> None:
        """Renew the first segment, where others are written to."""
        last = self._known(session).last
        if last:
            self._calls.put(segment_key(session, 0), mark(last), self._ttl)

    def write(self, session: str, records: Sequence[bytes]) -> None:
        """Put a session's records where there is room."""
        known = self._known(session)
        cuts = [record for record in records if is_cut(record)]
        if not known.last and not cuts:
            return self._write_all(session, known, records)
        for portion in portions(cuts):
            self._calls.put(segment_key(session, 0), events(portion) | copies(portion), self._ttl)
        return self._write_all(session, known, [record for record in records if not is_cut(record)])

    def _write_all(self, session: str, known: _Known, records: Sequence[bytes]) -> None:
        for portion in portions(records):
            elements = events(portion)
            size = size_bytes(elements)
            for _ in range(_ROLLS_MAX):
                self._make_room(session, known, size)
                try:
                    self._calls.put(segment_key(session, known.last), elements, self._ttl_of(known.last))
                except KeyFull:
                    self._go_on(session, known)
                else:
                    known.room_bytes -= size
                    break

    def _ttl_of(self, number: int) -> timedelta:
        return self._ttl - self._pause if number else self._ttl

    def _make_room(self, session: str, known: _Known, size: int) -> None:
        while known.room_bytes < size:
            wanted = max(LEASE_BYTES, size)
            key = segment_key(session, known.last)
            if self._calls.reserve(key, wanted, self._ttl_of(known.last)) <= SEGMENT_BYTES_MAX:
                known.room_bytes += wanted
            else:
                self._go_on(session, known)

    def _go_on(self, session: str, known: _Known) -> None:
        """Go to the last segment that others have begun, or begin one."""
        last = highest(self._calls.fetch(marks(session)))
        if last <= known.last:
            last = known.last + 1
            self._calls.put(segment_key(session, 0), mark(last), self._ttl)
        known.last, known.room_bytes = last, 0
