"""Room: flocks. Who holds one is alive; the kernel lets go when the last descriptor closes.

Rules:
* A child process closes inherited descriptors, all of them and first of all, and never unlocks them: an unlock would
  reach the parent's lock, and a descriptor that is left open keeps what the parent lets go, from the child too.
* A lock counts only if the file is still the one at its path; a remover holds the lock while it unlinks.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from threading import RLock

from eventlog.files import PRIVATE_FILE

_opening = RLock()
_open_files: set[int] = set()
"""The descriptors of this process, also those that a thread is only about to lock. No fork while one is opened."""


class FileLock:
    """An exclusive flock on a file, held from `acquire` to `close`."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is opened yet."""
        self.path = path
        self._descriptor = -1

    @property
    def held(self) -> bool:
        """Tell whether this object has the lock."""
        return self._descriptor >= 0

    def acquire(self, *, wait: bool = False) -> bool:
        """Take the lock, making the file if its folder is there; False if another holds it or the folder is gone."""
        if self.held:
            return True
        try:
            descriptor = _open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError):
            return False
        if self._lock(descriptor, wait=wait):
            self._descriptor = descriptor
            return True
        _close(descriptor)
        return False

    def _lock(self, descriptor: int, *, wait: bool) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            return os.fstat(descriptor).st_ino == self.path.stat().st_ino
        except (BlockingIOError, FileNotFoundError):
            return False

    def write(self, data: bytes) -> None:
        """Put a word of its holder into the file."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, data, 0)

    def close(self) -> None:
        """Close the descriptor, which lets go unless another process inherited it."""
        descriptor, self._descriptor = self._descriptor, -1
        _close(descriptor)


def is_locked(path: Path) -> bool:
    """Tell whether any process holds the lock, without ever standing in the way of one that wants it."""
    try:
        descriptor = _open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        _close(descriptor)


def _open(path: Path, flags: int) -> int:
    with _opening:
        descriptor = os.open(path, flags | os.O_CLOEXEC, PRIVATE_FILE)
        _open_files.add(descriptor)
        return descriptor


def _close(descriptor: int) -> None:
    with _opening:
        if descriptor in _open_files:
            _open_files.discard(descriptor)
            os.close(descriptor)


def _after_fork_in_child() -> None:
    for descriptor in list(_open_files):
        _close(descriptor)
    _opening.release()


os.register_at_fork(before=_opening.acquire, after_in_parent=_opening.release, after_in_child=_after_fork_in_child)
