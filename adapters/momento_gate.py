"""Room: who is inside a call of gRPC, and that nobody is while the process forks.

gRPC polls in the thread that calls. A child that is forked meanwhile inherits the memory of that poll and not the
thread: its own first call may abort the process (tried: 5 children in 120; with this gate none in 160). gRPC's own
support for forks hangs, and so does a child where connections were closed just before (both tried).

Rules:
* A fork waits a moment for the calls under way, then has them cancelled; what was cancelled comes again.
* Whoever would call meanwhile waits until the fork is done, in the parent and in the child.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition

PATIENCE_S = 0.2
CANCEL_S = 5.0


class Gate:
    """The way into calls; open unless the process forks."""

    def __init__(self) -> None:
        """Begin open, with nobody inside."""
        self._changed = Condition()
        self._inside, self._shut = 0, False

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be inside, once it is open."""
        with self._changed:
            self._changed.wait_for(lambda: not self._shut)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def shut(self, cancel: Callable[[], None]) -> None:
        """Return with nobody inside, and keep the lock, for a child inherits it."""
        self._changed.acquire()
        self._shut = True
        if not self._changed.wait_for(self._is_empty, PATIENCE_S):
            cancel()
            self._changed.wait_for(self._is_empty, CANCEL_S)

    def _is_empty(self) -> bool:
        return self._inside == 0

    def open(self) -> None:
        """Let everybody in again."""
        self._shut = False
        self._changed.notify_all()
        self._changed.release()
