"""Room: room kept on the disk for one more segment, so that a writer can leave a delivered one when the disk is full.

Without it a full disk would stay full: what is delivered goes only when its writer has begun another segment.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from eventlog.files import PRIVATE_FILE

NAME = "ballast"


class Ballast:
    """A file that is there to be thrown out."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        """Take the place of it; nothing is there yet."""
        self._path, self._size_bytes = folder / NAME, size_bytes
        self._held = False

    def take(self) -> None:
        """Have it, unless there is no room."""
        if self._held:
            return
        with suppress(OSError):
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_FILE)
            try:
                os.posix_fallocate(descriptor, 0, self._size_bytes)
                self._held = True
            finally:
                os.close(descriptor)

    def drop(self) -> bool:
        """Throw it out; tell whether that made room."""
        held, self._held = self._held, False
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        return held
