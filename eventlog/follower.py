"""Room: a reader's side of one writer's segments: frames after a position, frames of one session, cursors.

Invariants:
* A follower never skips a whole frame: it moves past bytes only if they are frames, or damage with a frame behind, or
  the torn tail of a finished segment; the last two are reported once and counted.
* A bad or missing cursor means the first segment: a cursor is a hint, an old one costs time, never data.
* Only the segments are believed. The index saves time where it can be believed too (index.py).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from struct import Struct
from zlib import crc32

from eventlog.files import PRIVATE_FILE
from eventlog.frames import (
    FRAME_BYTES_MIN,
    HEADER_BYTES,
    Frame,
    SegmentHeader,
    frame_end,
    next_frame,
    read_frame,
    read_header,
)
from eventlog.index import IndexReader
from eventlog.segment import START, SUFFIX, Position, index_path, segment_path

WINDOW_BYTES = 1 << 20
_FRAME_GUESS_BYTES = 4096
_CURSOR = Struct("<4sQQQ")
_CRC = Struct("<I")
_CURSOR_MAGIC = b"evc1"
_CURSOR_BYTES = _CURSOR.size + _CRC.size

Report = Callable[[Path, int, int, str], None]
"""Called with the segment, the offset, the bytes passed over, and 'damage', 'torn tail' or 'no segment'."""


def segment_numbers(folder: Path) -> list[int]:
    """Give the numbers of the segments in a folder, ascending; foreign files are passed over."""
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(int(name[: -len(SUFFIX)]) for name in names if name.endswith(SUFFIX) and name[:8].isdigit())


class Cursor:
    """Where one backend stands in one folder, on disk."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is opened when needed."""
        self._path = path
        self._descriptor = -1

    def load(self) -> Position:
        """Read it; START if it is missing or damaged."""
        try:
            if self._descriptor < 0:
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            data = os.pread(self._descriptor, _CURSOR_BYTES, 0)
        except OSError:
            return START
        if len(data) < _CURSOR_BYTES or _CRC.unpack_from(data, _CURSOR.size)[0] != crc32(data[: _CURSOR.size]):
            return START
        magic, *fields = _CURSOR.unpack_from(data)
        return Position(*fields) if magic == _CURSOR_MAGIC else START

    def save(self, position: Position) -> None:
        """Write it in place; `OSError` if there is no room for a first one."""
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
        data = _CURSOR.pack(_CURSOR_MAGIC, *position)
        os.pwrite(self._descriptor, data + _CRC.pack(crc32(data)), 0)

    def sync(self) -> None:
        """Put it on the disk, before anything is removed on its word."""
        if self._descriptor >= 0:
            os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class SegmentReader:
    """One segment, open for reading in any process."""

    def __init__(self, folder: Path, number: int) -> None:
        """Open it; `FileNotFoundError` if it is gone."""
        self.folder, self.number = folder, number
        self.path = segment_path(folder, number)
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        self.header: SegmentHeader | None = None
        self._index: IndexReader | None = None
        self._index_tried = self._all_indexed = False
        self.ready()

    def ready(self) -> bool:
        """Tell whether the header is there (a living writer may be about to write it)."""
        if self.header is None:
            self.header = read_header(os.pread(self._descriptor, HEADER_BYTES, 0))
        return self.header is not None

    @property
    def size_bytes(self) -> int:
        """The bytes in the file now."""
        return os.fstat(self._descriptor).st_size

    @property
    def written_s(self) -> float:
        """When the file was last written, in Unix seconds."""
        return os.fstat(self._descriptor).st_mtime

    def read(self, offset: int, size: int) -> bytes:
        """Give up to `size` bytes from `offset`."""
        return os.pread(self._descriptor, size, offset)

    def frame_at(self, offset: int) -> Frame | None:
        """Read one frame by its offset; None if none is whole there."""
        if self.header is None:
            return None
        data = self.read(offset, _FRAME_GUESS_BYTES)
        end = frame_end(self.header, data, 0)
        if end is not None and end > len(data):
            data = self.read(offset, end)
        return read_frame(self.header, data, 0, offset)

    def newest(self, session: bytes, floor: int, *, finished: bool = False) -> Iterator[Frame]:
        """Give the session's frames at or after `floor`; newest first where the index helps. Doubles may come.

        `finished`: there is a later segment, so that nothing comes to this one any more.
        """
        if not self.ready():
            return
        index = self._open_index()
        scan_from = max(floor, index.tail if index else HEADER_BYTES, HEADER_BYTES)
        head = index.head(session) if index else 0
        if not (finished and self._is_all_indexed(index)):
            yield from (frame for frame in self.scan(scan_from) if frame.session == session)
        yield from self._walk(session, head, floor)

    def _is_all_indexed(self, index: IndexReader | None) -> bool:
        """Tell whether nothing stands behind the last frame that is in the index; looked at until it is so."""
        if not self._all_indexed and index is not None:
            last = self.frame_at(index.tail) if index.tail else None
            self._all_indexed = last is not None and last.end == self.size_bytes
        return self._all_indexed

    def _walk(self, session: bytes, offset: int, floor: int) -> Iterator[Frame]:
        while offset >= max(floor, HEADER_BYTES):
            frame = self.frame_at(offset)
            if frame is None:
                yield from (frame for frame in self.scan(floor, offset) if frame.session == session)
                return
            if frame.session == session:
                yield frame
            offset = frame.prev if frame.prev < offset else 0

    def scan(self, offset: int, stop: int = 1 << 62) -> Iterator[Frame]:
        """Read through from `offset`, stepping over what is no frame."""
        if not self.ready() or self.header is None:
            return
        offset = max(offset, HEADER_BYTES)
        while offset < stop:
            data = self.read(offset, WINDOW_BYTES)
            frame = read_frame(self.header, data, 0, offset) or self._beyond(offset, data)
            if frame is None or frame.offset >= stop:
                return
            base = offset
            while frame is not None and frame.offset < stop:
                yield frame
                offset = frame.end
                frame = read_frame(self.header, data, offset - base, base)

    def _beyond(self, offset: int, data: bytes) -> Frame | None:
        """Find the next whole frame where none began at `offset`: a larger window, else past the damage.

        It looks at `offset` again: the writer may have finished that frame, and written more, since `data` was read.
        """
        if self.header is None:
            return None
        end = frame_end(self.header, data, 0)
        if end is not None and end > len(data):
            frame = read_frame(self.header, self.read(offset, end), 0, offset)
            if frame is not None:
                return frame
        return next_frame(self.header, self.read(offset, self.size_bytes), 0, offset)

    def _open_index(self) -> IndexReader | None:
        if not self._index_tried and self.header is not None:
            self._index_tried = True
            try:
                self._index = IndexReader(index_path(self.folder, self.number), self.header.buckets)
            except (OSError, ValueError):
                self._index = None
        return self._index

    def last_frame(self) -> Frame | None:
        """Give the last whole frame, at the cost of one or two reads where the index helps."""
        index = self._open_index() if self.ready() else None
        newest = deque(self.scan(index.tail if index else HEADER_BYTES), maxlen=1)
        return newest[0] if newest else None

    def close(self) -> None:
        """Let go of the file and its index."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._index is not None:
            self._index.close()
            self._index = None


class Follower:
    """Reads one writer's frames in the order they were written, from a position on."""

    def __init__(self, folder: Path, position: Position, report: Report) -> None:
        """Begin at `position`; nothing is read yet."""
        self._folder, self._report = folder, report
        self.position = position
        self._segment: SegmentReader | None = None

    def read(self, events_max: int, bytes_max: int, *, finished: bool = False) -> list[Frame]:
        """Give the next frames and move past them; an empty list means: nothing yet.

        `finished`: the writer is dead, so what is torn now stays torn.
        """
        while True:
            segment = self._open()
            if segment is None:
                return []
            frames = self._take(segment, events_max, bytes_max)
            if frames or not self._next_segment(segment, finished=finished):
                return frames

    def rewind(self, position: Position) -> None:
        """Go back to where it was before."""
        self.close()
        self.position = position

    def may_have_more(self) -> bool:
        """Tell, at the cost of two looks, whether a read may find frames."""
        if self._segment is None or self._segment.size_bytes > self.position.offset:
            return True
        return segment_path(self._folder, self._segment.number + 1).exists()

    def _open(self) -> SegmentReader | None:
        if self._segment is None:
            self._segment = self._open_from(self.position.segment)
        return self._segment

    def _open_from(self, number: int) -> SegmentReader | None:
        for candidate in segment_numbers(self._folder):
            if candidate < number:
                continue
            try:
                segment = SegmentReader(self._folder, candidate)
            except FileNotFoundError:
                continue
            if candidate != self.position.segment:
                first = segment.header.first_ordinal if segment.header else self.position.ordinal
                self.position = Position(candidate, HEADER_BYTES, first)
            return segment
        return None

    def _take(self, segment: SegmentReader, events_max: int, bytes_max: int) -> list[Frame]:
        if not segment.ready() or segment.header is None:
            return []
        base = self.position.offset
        data = segment.read(base, min(bytes_max + WINDOW_BYTES // 16, max(0, segment.size_bytes - base)))
        frames: list[Frame] = []
        at = events = 0
        while events < events_max and at < bytes_max:
            frame = read_frame(segment.header, data, at, base)
            if frame is None:
                break
            frames.append(frame)
            at = frame.end - base
            events += frame.events
        if not frames and data:
            frames = self._stuck(segment, base, data)
        if frames:
            last = frames[-1]
            self.position = Position(segment.number, last.end, last.ordinal + last.events)
        return frames

    def _stuck(self, segment: SegmentReader, base: int, data: bytes) -> list[Frame]:
        frame = segment._beyond(base, data)  # noqa: SLF001 (same room)
        if frame is None:
            return []
        if frame.offset > base:
            self._report(segment.path, base, frame.offset - base, "damage")
        return [frame]

    def _next_segment(self, segment: SegmentReader, *, finished: bool) -> bool:
        """Move on if the segment is finished and read to its end; tell whether there is more to look at."""
        following = [number for number in segment_numbers(self._folder) if number > segment.number]
        if not following and not finished:
            return False
        left = segment.size_bytes - self.position.offset
        if left >= FRAME_BYTES_MIN and self._grew(segment):
            return True
        if not segment.ready():
            self._report(segment.path, 0, segment.size_bytes, "no segment")
        elif left > 0:
            self._report(segment.path, self.position.offset, left, "torn tail")
        if not following:
            self.position = Position(segment.number, segment.size_bytes, self.position.ordinal)
            return False
        segment.close()
        self._segment = None
        self.position = Position(following[0], HEADER_BYTES, self.position.ordinal)
        return True

    def _grew(self, segment: SegmentReader) -> bool:
        """Tell whether frames came between the last look and the finding that the segment is finished."""
        if not segment.ready() or segment.header is None:
            return False
        data = segment.read(self.position.offset, WINDOW_BYTES)
        whole = read_frame(segment.header, data, 0, self.position.offset)
        return whole is not None or segment._beyond(self.position.offset, data) is not None  # noqa: SLF001

    def close(self) -> None:
        """Let go of the segment."""
        if self._segment is not None:
            self._segment.close()
            self._segment = None
