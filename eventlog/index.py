"""Room: the index beside a segment, so that a reader's cost does not grow with the backlog.

    | magic 8 | boot id 16 | buckets 8 | tail 8 | pad to 64 | buckets: hash 4, head 4 |

A bucket belongs to the session whose hash it holds: the first free one of `PROBES` from `hash % buckets` on. Its head
is the offset of that session's newest frame, and each frame has the offset of the one before it. A session that finds
all of them taken shares the first one's frames. `tail` is the offset of the last frame that is in for certain.

Rules:
* It is a hint: a reader walks from the head and then reads on from `tail`; a doubled frame is harmless.
* A bucket whose head is 0 is free; one that has a head keeps its hash. So both sides find the same bucket.
* Order of the writer: hash, frame, head, tail. A reader takes the tail first. So no frame is ever missed.
* The pages are shared memory: they survive the process, not the machine. An index of another boot is not believed,
  and one that is missing or of the wrong shape is no index: the segment is read through instead.
* Its blocks are written at creation, so that a full disk cannot strike when a head is set.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from struct import Struct
from zlib import crc32

from eventlog.files import Files, write_all

MAGIC = b"evtidx2\n"
PROBES = 8
_HEAD = Struct("<8s16sQQ")
_TAIL_WORD = 4
_HEADS_AT = 64
_SEGMENT_BYTES_A_BUCKET = 2048
_BUCKETS_MIN, _BUCKETS_MAX = 64, 32_768


@cache
def boot_id() -> bytes:
    """Give the 16 bytes that the kernel drew at this boot; zeros where it tells none."""
    try:
        return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)


def buckets_for(segment_bytes: int) -> int:
    """Give the number of buckets, a power of two, for segments of this size."""
    wanted = segment_bytes // _SEGMENT_BYTES_A_BUCKET
    return min(_BUCKETS_MAX, max(_BUCKETS_MIN, 1 << max(0, wanted - 1).bit_length()))


def session_hash(session: bytes) -> int:
    """Give the number whose low bits are a session's bucket."""
    return crc32(session)


def index_bytes(buckets: int) -> int:
    """Give the size of an index file."""
    return _HEADS_AT + 8 * buckets


def _places(number: int, buckets: int) -> Iterator[int]:
    """Give where the hashes of the buckets lie that a session may have, among the words of all buckets."""
    return (2 * ((number + step) & (buckets - 1)) for step in range(PROBES))


class IndexWriter:
    """The writer's side: a look and two stores a frame."""

    def __init__(self, files: Files, path: Path, buckets: int) -> None:
        """Make the file; `OSError` if there is no room for it."""
        self.path = path
        blank = _HEAD.pack(MAGIC, boot_id(), buckets, 0).ljust(index_bytes(buckets), b"\0")
        descriptor = files.create(path)
        try:
            write_all(files, descriptor, blank, 0)
            self._map = mmap.mmap(descriptor, len(blank))
        except OSError:
            files.unlink(path)
            raise
        finally:
            os.close(descriptor)
        view = memoryview(self._map)
        self._words = view[:_HEADS_AT].cast("Q")
        self.heads = view[_HEADS_AT:].cast("I")
        self._buckets = buckets

    def find(self, number: int) -> int:
        """Give the place among `heads` of the session with that hash; it is taken if none is."""
        heads, first = self.heads, 2 * (number & (self._buckets - 1))
        if heads[first] == number:
            return first + 1
        for place in _places(number, self._buckets):
            if heads[place] == number or not heads[place + 1]:
                heads[place] = number
                return place + 1
        return first + 1

    def set(self, place: int, offset: int) -> None:
        """Enter the frame that was just written."""
        self.heads[place] = offset
        self._words[_TAIL_WORD] = offset

    def close(self) -> None:
        """Let go of the pages; what was set stays in the file."""
        self._words.release()
        self.heads.release()
        self._map.close()


class IndexReader:
    """A reader's side, in any process of the host."""

    def __init__(self, path: Path, buckets: int) -> None:
        """Open the file; `ValueError` or `OSError` if it cannot be believed."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_size != index_bytes(buckets):
                raise ValueError("the index has the wrong size")
            self._map = mmap.mmap(descriptor, index_bytes(buckets), prot=mmap.PROT_READ)
        finally:
            os.close(descriptor)
        magic, boot, found, _ = _HEAD.unpack_from(self._map)
        if (magic, boot, found) != (MAGIC, boot_id(), buckets):
            self._map.close()
            raise ValueError("the index is of another boot or shape")
        view = memoryview(self._map)
        self._words = view[:_HEADS_AT].cast("Q")
        self._heads = view[_HEADS_AT:].cast("I")

    @property
    def tail(self) -> int:
        """The offset of the last frame that is in for certain; 0 where none is."""
        return self._words[_TAIL_WORD]

    def head(self, session: bytes) -> int:
        """Give the offset of the newest frame of a session's bucket; 0 where there is none."""
        number, heads, buckets = session_hash(session), self._heads, len(self._heads) // 2
        for place in _places(number, buckets):
            head = heads[place + 1]
            if heads[place] == number or not head:
                return head
        return heads[2 * (number & (buckets - 1)) + 1]

    def close(self) -> None:
        """Let go of the pages."""
        self._words.release()
        self._heads.release()
        self._map.close()
