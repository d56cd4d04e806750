"""Room: bytes on disk, pure. The format of a segment, on one page.

    segment   = header, frame*                        all integers little-endian
    header    | magic 8 | version 2 | writer 8 | number 8 | first ordinal 8 | marker 4 | seed 4 | buckets 4 | crc 4 |
    frame     | marker 4 | length 4 | crc 4 | prev 4 | ordinal 8 | events 4 | size of session 2 | session |
              | size 4 | record | size 4 | record | ...
    length    bytes of the frame after its crc;        crc  over those bytes, started from the seed
    prev      offset of the frame before it in its bucket of the index, 0 where there is none
    ordinal   events that the writer had written before this frame, in all its segments
    record    id and body, as in codec.py

Rules:
* One frame is one add call: its events are there together or not at all.
* Marker and seed are random for each segment: bytes of a message can neither pass for a frame nor break one.
* A frame with no events is a blank: stepped over, its bytes were erased on purpose.
* What follows the last whole frame is "not yet" while the writer lives, a torn tail afterwards. Bytes that are no
  frame, with a frame behind them, are damage: reported and stepped over.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import urandom
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from eventlog.events import ID_BYTES

MAGIC = b"evtlog\r\n"
VERSION = 1
_HEADER = Struct("<8sH8sQQ4sII")
_CRC = Struct("<I")
HEADER_BYTES = _HEADER.size + _CRC.size
_HEAD = Struct("<4sII")
_META = Struct("<IQIH")
_BOTH = Struct("<4sIIIQIH")
_SIZE = Struct("<I")
HEAD_BYTES = _HEAD.size
META_BYTES = _META.size
FRAME_BYTES_MIN = HEAD_BYTES + META_BYTES
FRAME_BYTES_MAX = 1 << 28
OFFSET_BYTES_MAX = 1 << 32

_pack_head, _pack_meta, _pack_size = _HEAD.pack, _META.pack, _SIZE.pack
_read_head, _read_both, _read_size = _HEAD.unpack_from, _BOTH.unpack_from, _SIZE.unpack_from


class SegmentHeader(NamedTuple):
    """What a segment says of itself."""

    writer: bytes
    number: int
    first_ordinal: int
    marker: bytes
    seed: int
    buckets: int


class Frame(NamedTuple):
    """One add call, as it lies in a segment."""

    offset: int
    end: int
    prev: int
    ordinal: int
    events: int
    session: bytes
    records: list[bytes]


def new_header(writer: bytes, number: int, first_ordinal: int, buckets: int) -> SegmentHeader:
    """Draw a marker and a seed for a new segment."""
    return SegmentHeader(writer, number, first_ordinal, urandom(4), int.from_bytes(urandom(4), "little"), buckets)


def pack_header(header: SegmentHeader) -> bytes:
    """Give the first bytes of a segment."""
    packed = _HEADER.pack(
        MAGIC, VERSION, header.writer, header.number, header.first_ordinal, header.marker, header.seed, header.buckets
    )
    return packed + _CRC.pack(crc32(packed))


def read_header(data: bytes) -> SegmentHeader | None:
    """Read the first bytes of a segment; None if they are none of ours."""
    if len(data) < HEADER_BYTES:
        return None
    magic, version, *fields = _HEADER.unpack_from(data)
    (crc,) = _CRC.unpack_from(data, _HEADER.size)
    if magic != MAGIC or version != VERSION or crc != crc32(data[: _HEADER.size]):
        return None
    return SegmentHeader(*fields)


def pack_frame(header: SegmentHeader, prev: int, ordinal: int, session: bytes, records: Sequence[bytes]) -> bytes:
    """Give the bytes of one frame."""
    if len(records) == 1:
        record = records[0]
        payload = _pack_meta(prev, ordinal, 1, len(session)) + session + _pack_size(len(record)) + record
    else:
        parts = [_pack_meta(prev, ordinal, len(records), len(session)), session]
        for record in records:
            parts += _pack_size(len(record)), record
        payload = b"".join(parts)
    return _pack_head(header.marker, len(payload), crc32(payload, header.seed)) + payload


def blank_frame(header: SegmentHeader, frame: Frame) -> bytes:
    """Give what takes the place of a frame whose events are erased: as long, as linked, with nothing in it."""
    payload = _pack_meta(frame.prev, frame.ordinal, 0, 0).ljust(frame.end - frame.offset - HEAD_BYTES, b"\0")
    return _pack_head(header.marker, len(payload), crc32(payload, header.seed)) + payload


def frame_end(header: SegmentHeader, data: bytes, at: int) -> int | None:
    """Give where a frame that seems to begin at `at` would end (its bytes may not all be there), or None."""
    if len(data) - at < HEAD_BYTES:
        return None
    marker, length, _ = _read_head(data, at)
    if marker != header.marker or not META_BYTES <= length <= FRAME_BYTES_MAX:
        return None
    return at + HEAD_BYTES + int(length)


def read_frame(header: SegmentHeader, data: bytes, at: int, base: int = 0) -> Frame | None:
    """Read the frame at `at` of `data`, whose first byte is the segment's byte `base`; None if none is whole there."""
    if len(data) - at < FRAME_BYTES_MIN:
        return None
    marker, length, crc, prev, ordinal, events, size = _read_both(data, at)
    start = at + HEAD_BYTES
    end = start + length
    if marker != header.marker or end > len(data) or crc32(data[start:end], header.seed) != crc:
        return None
    start += META_BYTES
    session = data[start : start + size]
    start += size
    records = [data[start + _SIZE.size : end]] if events == 1 else _records(data, start, events)
    return Frame(base + at, base + end, prev, ordinal, events, session, records)


def _records(data: bytes, at: int, events: int) -> list[bytes]:
    records = []
    for _ in range(events):
        (size,) = _read_size(data, at)
        at += _SIZE.size
        records.append(data[at : at + size])
        at += size
    return records


def next_frame(header: SegmentHeader, data: bytes, at: int, base: int = 0) -> Frame | None:
    """Find the first whole frame at or after `at`, stepping over bytes that are none."""
    at = data.find(header.marker, at)
    while at >= 0:
        frame = read_frame(header, data, at, base)
        if frame is not None:
            return frame
        at = data.find(header.marker, at + 1)
    return None


def frame_bytes(session: bytes, records: Sequence[bytes]) -> int:
    """Give the size that `pack_frame` will need."""
    return FRAME_BYTES_MIN + len(session) + sum(map(len, records)) + _SIZE.size * len(records)


def record_bytes(body: bytes) -> int:
    """Give the size of a record with this body."""
    return ID_BYTES + len(body)
