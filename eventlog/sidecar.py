"""Room: the lock of the one process that delivers for all others of the host, and what it says of itself.

<root>/sidecar.lock     held by the sidecar while it lives; holds the keys of its backends, JSON
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from eventlog.locks import FileLock, is_locked


class SidecarLock:
    """The lock, as the sidecar and as the others see it."""

    def __init__(self, root: Path) -> None:
        """Name it; nothing is opened."""
        self._path = root / "sidecar.lock"
        self._lock = FileLock(self._path)

    @property
    def held(self) -> bool:
        """Tell whether this process is the sidecar."""
        return self._lock.held

    def acquire(self, keys: Iterable[str]) -> bool:
        """Become the sidecar for these backends; False while another is."""
        if not self._lock.acquire():
            return False
        self._lock.write(msgspec.json.encode(sorted(keys)))
        return True

    def serves(self, keys: Iterable[str]) -> bool:
        """Tell whether a sidecar lives, in another process, that has all these backends."""
        if self.held or not is_locked(self._path):
            return False
        try:
            told = msgspec.json.decode(self._path.read_bytes(), type=set[str])
        except (OSError, msgspec.MsgspecError):
            return False
        return set(keys) <= told

    def release(self) -> None:
        """Be the sidecar no more."""
        if self.held:
            self._lock.write(b"[]")
        self.close()

    def close(self) -> None:
        """Close the descriptor."""
        self._lock.close()
