"""Room: one sync for all who wait for it.

Invariants:
* A caller comes back when a sync that began after its call has covered it, or with the error of that sync.
* One thread leads: it syncs, has those woken whom that covered, and last one whom it did not, to lead next.
* Those who are woken wake each other in turn: all at once they would fight for the interpreter, at twice the cost.
* No lock is held but the lead, and that lets its owner in again: a signal's handler may sync in the middle of anything,
  and may raise. Whom that leaves unwoken looks again after `PATIENCE_S`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, RLock
from typing import Any, NamedTuple

PATIENCE_S = 1.0


class Synced(NamedTuple):
    """What a sync was for: all before `end`; and what became of it."""

    end: tuple[int, ...]
    error: OSError | None


class _Waiter:
    __slots__ = ("end", "found", "gone", "line", "turn")

    def __init__(self, end: tuple[int, ...]) -> None:
        self.end = end
        self.found: Synced | None = None
        self.gone = False
        self.line: deque[_Waiter] = deque()
        """Who is to be woken after this one; shared by all who are woken by one sync."""
        self.turn: Any = Lock()
        self.turn.acquire()

    def leave(self) -> None:
        """Wake the next who still waits."""
        self.gone = True
        with suppress(IndexError):
            while self.line.popleft().wake():
                pass

    def wake(self) -> bool:
        """Wake this one; tell whether it is gone, so that another is to be woken for it."""
        with suppress(RuntimeError):
            self.turn.release()
        return self.gone


class SharedSync:
    """Makes one call of `sync` serve every thread that waits for it."""

    def __init__(self, sync: Callable[[], Synced]) -> None:
        """Take what syncs; it is called by one thread at a time."""
        self._sync = sync
        self._lead = RLock()
        self._waiting: deque[_Waiter] = deque()
        self._heir: _Waiter | None = None
        """Who leads the next: those who come meanwhile wait for that one's sync, which is then for all of them."""

    def cover(self, end: tuple[int, ...]) -> None:
        """Return when all before `end` was synced; `OSError` if that failed."""
        waiter = _Waiter(end)
        try:
            while waiter.found is None:
                if self._may_lead(waiter):
                    waiter.found = self._led(waiter)
                elif not waiter.turn.acquire(timeout=PATIENCE_S):
                    self._heir = None
        finally:
            waiter.leave()
        if waiter.found.error is not None:
            raise waiter.found.error

    def _may_lead(self, waiter: _Waiter) -> bool:
        """Take the lead, or get into the line of whoever has it and looks there after letting it go."""
        if self._leads(waiter):
            return True
        self._waiting.append(waiter)
        return self._leads(waiter)

    def _leads(self, waiter: _Waiter) -> bool:
        heir = self._heir
        if not (heir is None or heir is waiter or heir.gone) or not self._lead.acquire(blocking=False):
            return False
        self._heir = None
        return True

    def _led(self, leader: _Waiter) -> Synced:
        found = Synced((), None)
        try:
            found = self._sync()
        finally:
            self._lead.release()
            self._settle(found, leader)
        return found

    def _settle(self, found: Synced, leader: _Waiter) -> None:
        """Have those woken whom the sync covered, and then one who leads the next: so late that it covers more."""
        waiting = [waiter for waiter in self._drained() if waiter is not leader and not waiter.gone]
        covered = [waiter for waiter in waiting if waiter.end <= found.end]
        left = [waiter for waiter in waiting if waiter.end > found.end]
        self._waiting.extend(left[1:])
        self._heir = left[0] if left else None
        line = deque(covered + left[:1])
        for waiter in tuple(line):
            waiter.line = line
        for waiter in covered:
            waiter.found = found
        if line:
            line.popleft().wake()

    def _drained(self) -> dict[_Waiter, None]:
        drained: dict[_Waiter, None] = {}
        with suppress(IndexError):
            while True:
                drained[self._waiting.popleft()] = None
        return drained
