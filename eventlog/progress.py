"""Room: waiting until deliverers, of this process or another, have got somewhere.

A loop of this process says when it moved; one of another process only moves its cursor, so a waiter looks again every
`STEP_S` all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from eventlog.alarm import Alarm
from eventlog.directory import Folder
from eventlog.segment import Position

STEP_S = 0.01


class Target(NamedTuple):
    """A place in a folder that a backend's cursor is to reach."""

    folder: Folder
    key: str
    position: Position

    @property
    def reached(self) -> bool:
        """Tell whether the cursor is there, or the folder is gone because all was delivered."""
        return self.folder.position(self.key)[:2] >= self.position[:2] or not self.folder.path.exists()


class Progress:
    """Where loops tell that a cursor moved, and callers wait for it."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._waiters: set[Alarm] = set()

    def tell(self) -> None:
        """Say that a cursor moved."""
        for waiter in tuple(self._waiters):
            waiter.ring()

    def wait_for(self, done: Callable[[], bool], timeout_s: float | None) -> bool:
        """Wait until `done`; False when `timeout_s` is up first."""
        deadline = None if timeout_s is None else monotonic() + timeout_s
        alarm = Alarm()
        self._waiters.add(alarm)
        try:
            while not done():
                if deadline is not None and monotonic() >= deadline:
                    return False
                alarm.wait(STEP_S)
            return True
        finally:
            self._waiters.discard(alarm)

    def wait_reached(self, targets: list[Target], timeout_s: float | None, given_up: Callable[[str], bool]) -> bool:
        """Wait until each target is reached, but for those of a backend that is `given_up` meanwhile."""
        left = list(targets)

        def done() -> bool:
            left[:] = [target for target in left if not target.reached]
            return all(given_up(target.key) for target in left)

        return self.wait_for(done, timeout_s) and not left
