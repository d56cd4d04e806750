"""Room: a bell that one thread sleeps beside.

To ring it is one call into C: it can be done in a signal's handler, in the middle of anything, and where a handler
raises in the middle of it nothing is left half done. An Event can do neither: its lock would stay locked for ever.
"""

from __future__ import annotations

from threading import Lock


class Alarm:
    """Rung by many, heard once by the one who waits."""

    __slots__ = ("_silence",)

    def __init__(self) -> None:
        """Be silent."""
        self._silence = Lock()
        self._silence.acquire()

    def ring(self) -> None:
        """Wake who waits, or the next who does."""
        try:
            self._silence.release()
        except RuntimeError:
            return  # it rings already

    def wait(self, timeout_s: float) -> bool:
        """Sleep until it rings, and silence it; False if the time is up first."""
        return self._silence.acquire(timeout=max(0.0, timeout_s))

    def clear(self) -> None:
        """Silence it."""
        self._silence.acquire(blocking=False)
