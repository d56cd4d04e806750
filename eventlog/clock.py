"""Room: the next EventId. A hybrid logical clock: pure, the wall's time is an argument.

Invariants:
* Within a process ids strictly rise per session, and no two sessions ever share one.
* What is added to a session after an event of it was observed sorts after that event, whatever the hosts' clocks say.
* An id ahead of the wall pushes only its own session. One more than 24 h ahead is damage and is not observed.

A tick is an id's 60 bits of time: Unix ms << 12 | counter.
"""

from __future__ import annotations

from os import urandom
from threading import RLock
from time import time_ns

from eventlog.events import EventId

COUNTER_BITS = 12
AHEAD_MAX_MS = 24 * 3600 * 1000
_VERSION = 0x7000
_COUNTER_MASK = (1 << COUNTER_BITS) - 1
_PRUNE_AT = 1024


def now_ms() -> int:
    """Give the wall clock in Unix ms: what a log uses unless it is given another."""
    return time_ns() // 1_000_000


def new_writer() -> bytes:
    """Draw 62 random bits under the UUID's variant: the name of one process incarnation."""
    return (0b10 << 62 | int.from_bytes(urandom(8), "big") >> 2).to_bytes(8, "big")


def tick_of(event_id: bytes) -> int:
    """Read the 60 bits of time off an id."""
    high = int.from_bytes(event_id[:8], "big")
    return (high >> 16) << COUNTER_BITS | (high & _COUNTER_MASK)


def id_at(tick: int, writer: bytes) -> EventId:
    """Give the id of a tick and a writer."""
    high = (tick >> COUNTER_BITS) << 16 | _VERSION | (tick & _COUNTER_MASK)
    return bytes.__new__(EventId, high.to_bytes(8, "big") + writer)


def first_id_at(ms: int) -> bytes:
    """Give the smallest 16 bytes that an id of this millisecond can have (a bound, not an id)."""
    return (ms << 16).to_bytes(8, "big") + bytes(8)


def is_damage(event_id: bytes, wall_ms: int) -> bool:
    """Tell whether an id lies so far ahead that no sane clock made it."""
    return int.from_bytes(event_id[:6], "big") - wall_ms > AHEAD_MAX_MS


class Clock:
    """Makes the ids of one writer. The caller holds `lock`, but for `observe`, which takes it."""

    def __init__(self, writer: bytes, high_water: int = 0) -> None:
        """Start above `high_water`, the tick that the journal's directory remembers."""
        self.writer = writer
        self.last = high_water
        self.lock = RLock()
        self._ahead: dict[bytes, int] = {}
        self._pushed: set[int] = set()
        self._highest = 0
        self._prune_at = _PRUNE_AT

    @property
    def last_ms(self) -> int:
        """The time of the last id, in Unix ms."""
        return self.last >> COUNTER_BITS

    def next(self, session: bytes, wall_ms: int) -> EventId:
        """Give the session's next id: above all this process made and all that the session has shown."""
        tick = wall_ms << COUNTER_BITS
        if tick <= self.last:
            tick = self.last + 1
        if self._highest:
            tick = self._beyond(session, tick)
        else:
            self.last = tick
        high = (tick >> COUNTER_BITS) << 16 | _VERSION | (tick & _COUNTER_MASK)
        return bytes.__new__(EventId, high.to_bytes(8, "big") + self.writer)

    def observe(self, session: bytes, event_id: bytes, wall_ms: int) -> None:
        """Remember an id that a read of this session met."""
        if is_damage(event_id, wall_ms):
            return
        seen = tick_of(event_id)
        if seen <= self.last:
            return
        with self.lock:
            if seen < wall_ms << COUNTER_BITS:
                self.last = max(self.last, seen)  # the wall may be set back before the next add
            elif seen > self._ahead.get(session, 0):
                self._remember(session, seen)

    def _beyond(self, session: bytes, tick: int) -> int:
        seen = self._ahead.get(session, 0)
        pushed = seen >= tick
        tick = max(tick, seen + 1)
        while tick in self._pushed:
            tick += 1
        if pushed:
            self._pushed.add(tick)
            self._remember(session, tick)
        else:
            self.last = tick
            self._forget_if_passed()
        return tick

    def _remember(self, session: bytes, tick: int) -> None:
        self._ahead[session] = tick
        self._highest = max(self._highest, tick)
        if len(self._ahead) + len(self._pushed) > self._prune_at:
            self._ahead = {name: seen for name, seen in self._ahead.items() if seen > self.last}
            self._pushed = {used for used in self._pushed if used > self.last}
            self._prune_at = _PRUNE_AT + 2 * (len(self._ahead) + len(self._pushed))

    def _forget_if_passed(self) -> None:
        if self.last >= self._highest:
            self._ahead, self._pushed, self._highest = {}, set(), 0
