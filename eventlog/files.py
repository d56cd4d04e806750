"""Room: the file system as the journal's writer sees it, a port so that every failure can be played.

What is assumed of the disk, and no more:
* After `write` returned, any process of the host reads those bytes, and they survive the death of this one.
* After `sync` returned, they survive the loss of power; after `sync_folder`, the names in a folder do.
* A write may stop half way, and an unsynced one may be lost, torn or overtaken by a later one when the power goes.
* A rename within a file system happens whole or not at all.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700

_libc = ctypes.PyDLL(None, use_errno=True)
_pwrite = _libc.pwrite
_pwrite.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int64)
_pwrite.restype = ctypes.c_ssize_t


class Files:
    """The local POSIX file system."""

    @staticmethod
    def write(descriptor: int, data: bytes, offset: int) -> int:
        """Write at an offset and give the bytes written; keeps the interpreter's lock (see the top)."""
        written: int = _pwrite(descriptor, data, len(data), offset)
        if written < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return written

    truncate = staticmethod(os.ftruncate)
    sync = staticmethod(os.fdatasync)

    def create(self, path: Path) -> int:
        """Make a new private file and give its descriptor; it is an error if the name is taken."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_FILE)

    def unlink(self, path: Path) -> None:
        """Remove a file; one that is gone already is fine."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder survive a loss of power."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_all(files: Files, descriptor: int, data: bytes, offset: int) -> None:
    """Write every byte, however the system cuts it."""
    written = files.write(descriptor, data, offset)
    while written < len(data):
        written += files.write(descriptor, data[written:], offset + written)
