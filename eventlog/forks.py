"""Room: what is closed while the process forks.

SQLite keeps in memory which locks of a file its process holds. A child inherits that memory and not the locks: what it
opens while the parent's handle is open has no lock at all, the parent's close takes the WAL away under it, and what it
was told is stored is lost. So handles are closed before a fork, with nobody inside them, and opened again when needed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from threading import RLock
from typing import Protocol
from weakref import WeakSet

import apsw


class Resting(Protocol):
    """What rests while the process forks; the thread that forks calls both."""

    def rest(self) -> None:
        """Keep everybody out, and close."""

    def go_on(self) -> None:
        """Let everybody in again: in the parent, and in the child."""


_lock = RLock()
_known: WeakSet[Resting] = WeakSet()
_at_rest: list[Resting] = []


def rests_at_fork(one: Resting) -> None:
    """Have `one` rest at every fork, as long as it lives."""
    with _lock:
        _known.add(one)


class Handle:
    """A file of SQLite's that is closed while the process forks; whoever derives opens it, with `_lock` held."""

    def __init__(self) -> None:
        """Open nothing yet."""
        self._lock = RLock()
        self._connection: apsw.Connection | None = None
        rests_at_fork(self)

    def rest(self) -> None:
        """Have nobody inside and no handle open."""
        self._lock.acquire()
        with suppress(apsw.Error):
            self.close()

    def go_on(self) -> None:
        """Be used again."""
        self._lock.release()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def _rest() -> None:
    _lock.acquire()
    for one in list(_known):
        one.rest()
        _at_rest.append(one)


def _go_on() -> None:
    while _at_rest:
        _at_rest.pop().go_on()
    _lock.release()


os.register_at_fork(before=_rest, after_in_parent=_go_on, after_in_child=_go_on)
