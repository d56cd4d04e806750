"""Room: a session erased from the files of one host.

Rules:
* Frames are blanked in place, in the folders of all writers, dead or alive: same length, same links, no bytes of the
  session. A reader that meets one half written takes it for damage and steps over it: nothing of worth is lost.
* What other processes remember of the session is hidden by the list of erased ones, which they look at:

      <root>/erased     24 bytes each: a hash of the session, and the id of the cut
"""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path

from eventlog.directory import Directory
from eventlog.events import ID_BYTES
from eventlog.files import PRIVATE_FILE, Files, write_all
from eventlog.follower import SegmentReader, segment_numbers
from eventlog.frames import HEADER_BYTES, Frame, blank_frame
from eventlog.segment import segment_path

_HASH_BYTES = 8
_ENTRY_BYTES = _HASH_BYTES + ID_BYTES


def blank_session(directory: Directory, files: Files, session: bytes, below: bytes) -> int:
    """Blank a session's frames whose events have ids smaller than `below`, on the disk; give their number."""
    return sum(
        _blank_in(files, folder.path, number, session, below)
        for folder in directory.folders()
        for number in segment_numbers(folder.path)
    )


def _blank_in(files: Files, folder: Path, number: int, session: bytes, below: bytes) -> int:
    try:
        segment = SegmentReader(folder, number)
    except FileNotFoundError:
        return 0
    try:
        frames = {frame.offset: frame for frame in segment.newest(session, HEADER_BYTES)}
        due = [frame for frame in frames.values() if max(frame.records, default=below)[:ID_BYTES] < below]
        if due and segment.header is not None:
            _overwrite(
                files, segment_path(folder, number), [(frame, blank_frame(segment.header, frame)) for frame in due]
            )
        return len(due)
    finally:
        segment.close()


def _overwrite(files: Files, path: Path, blanks: list[tuple[Frame, bytes]]) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        for frame, blank in blanks:
            write_all(files, descriptor, blank, frame.offset)
        files.sync(descriptor)
    finally:
        os.close(descriptor)


class ErasedList:
    """The sessions that were erased on this host, and up to where."""

    def __init__(self, root: Path) -> None:
        """Name the file; nothing is opened."""
        self._path = root / "erased"
        self._size = 0
        self._cuts: dict[bytes, bytes] = {}

    def add(self, session: bytes, below: bytes) -> None:
        """Tell every process of the host, now and later."""
        descriptor = os.open(
            self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_FILE
        )
        try:
            os.write(descriptor, _hash(session) + below)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def cut(self, session: bytes) -> bytes:
        """Give the id below which a session is erased; the smallest there is where it is not."""
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            return bytes(ID_BYTES)
        if size != self._size:
            self._read()
        return self._cuts.get(_hash(session), bytes(ID_BYTES))

    def _read(self) -> None:
        data = self._path.read_bytes()
        for at in range(0, len(data) - _ENTRY_BYTES + 1, _ENTRY_BYTES):
            name, cut = data[at : at + _HASH_BYTES], data[at + _HASH_BYTES : at + _ENTRY_BYTES]
            self._cuts[name] = max(cut, self._cuts.get(name, b""))
        self._size = len(data)


def _hash(session: bytes) -> bytes:
    return blake2b(session, digest_size=_HASH_BYTES).digest()
