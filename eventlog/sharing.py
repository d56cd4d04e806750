"""Room: one sync for all who wait for it.

Invariants:
* A caller comes back when a sync that began after its call has covered it, or with the error of that sync.
* One thread leads: it syncs, has those woken whom that covered, and hands the lead to one whom it did not.
* Those who are woken wake each other in turn: all at once they would fight for the interpreter, at twice the cost.
* Whoever leads hands on, whatever ends it. A signal's handler in the middle of its own thread's sync syncs for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from threading import Lock, RLock, get_ident
from typing import Any, NamedTuple

_NOBODY = 0
_NOWHERE: tuple[int, ...] = ()


class Synced(NamedTuple):
    """What a sync was for: all before `end`; and what became of it."""

    end: tuple[int, ...]
    error: OSError | None


class _Waiter:
    __slots__ = ("end", "error", "leads", "next", "thread", "turn")

    def __init__(self, end: tuple[int, ...]) -> None:
        self.end, self.thread = end, get_ident()
        self.leads = False
        self.error: OSError | None = None
        self.next: _Waiter | None = None
        """Whom to wake when woken."""
        self.turn: Any = Lock()
        self.turn.acquire()

    def wait(self) -> None:
        """Sleep until it is this one's turn, and wake the next."""
        self.turn.acquire()
        self.wake_next()

    def wake_next(self) -> None:
        """Wake who comes next; twice is harmless."""
        following = self.next
        if following is not None:
            with suppress(RuntimeError):
                following.turn.release()


class SharedSync:
    """Makes one call of `sync` serve every thread that waits for it."""

    def __init__(self, sync: Callable[[], Synced]) -> None:
        """Take what syncs; it is called by one thread at a time."""
        self._sync = sync
        self._door = RLock()
        self._leader = _NOBODY
        self._waiting: list[_Waiter] = []

    def cover(self, end: tuple[int, ...]) -> None:
        """Return when all before `end` was synced; `OSError` if that failed."""
        error = self._sync().error if self._leader == get_ident() else self._cover(_Waiter(end))
        if error is not None:
            raise error

    def _cover(self, waiter: _Waiter) -> OSError | None:
        try:
            if not self._lead_or_wait(waiter):
                return waiter.error
            found = self._sync()
            self._hand_on(found)
        except BaseException:
            self._withdraw(waiter)
            raise
        return found.error

    def _lead_or_wait(self, waiter: _Waiter) -> bool:
        """Tell whether to lead: at once, or when it is this waiter's turn and nobody has covered it."""
        with self._door:
            if self._leader == _NOBODY:
                self._leader = waiter.thread
                return True
            self._waiting.append(waiter)
        waiter.wait()
        return waiter.leads

    def _hand_on(self, found: Synced) -> None:
        with self._door:
            woken = [waiter for waiter in self._waiting if waiter.end <= found.end]
            self._waiting = [waiter for waiter in self._waiting if waiter.end > found.end]
            for waiter in woken:
                waiter.error = found.error
            self._leader = _NOBODY
            if self._waiting:
                leader = self._waiting.pop(0)
                self._leader, leader.leads = leader.thread, True
                woken.append(leader)  # last, so that its sync covers what the others do next
            for waiter, following in pairwise(woken):
                waiter.next = following
        if woken:
            woken[0].turn.release()

    def _withdraw(self, waiter: _Waiter) -> None:
        """Leave, by an exception: out of the line, or out of the lead."""
        with self._door:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif self._leader == waiter.thread:
                self._hand_on(Synced(_NOWHERE, None))
            else:
                waiter.wake_next()
