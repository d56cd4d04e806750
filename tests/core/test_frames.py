"""The bytes of a segment: what is a frame, and what is none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventlog.frames import (
    FRAME_BYTES_MIN,
    HEADER_BYTES,
    SegmentHeader,
    frame_bytes,
    frame_end,
    new_header,
    next_frame,
    pack_frame,
    pack_header,
    read_frame,
    read_header,
)
from tests.core.examples import examples
from tests.core.records import NOON_MS, WRITER, eid, said

HEADER = new_header(WRITER, 7, 1_000, 256)
RECORD = said(eid(NOON_MS), "hello")
sessions = st.binary(min_size=1, max_size=40)
calls = st.lists(st.binary(min_size=18, max_size=60), min_size=1, max_size=4)


def frame_of(session: bytes, *records: bytes, header: SegmentHeader = HEADER) -> bytes:
    """Give the bytes of a frame that is the first of its bucket."""
    return pack_frame(header, 0, 0, session, records)


def test_header_reads_back() -> None:
    """What a header says is what was packed, in its full length."""
    packed = pack_header(HEADER)
    assert len(packed) == HEADER_BYTES
    assert read_header(packed) == HEADER


def test_a_flipped_bit_anywhere_in_a_header_makes_it_none() -> None:
    """Each of a header's bits is covered by its CRC."""
    packed = pack_header(HEADER)
    for at in range(8 * HEADER_BYTES):
        damaged = bytearray(packed)
        damaged[at // 8] ^= 1 << at % 8
        assert read_header(bytes(damaged)) is None


def test_a_short_or_foreign_header_is_none() -> None:
    """An empty file, half a header and another program's file are no segments."""
    assert read_header(b"") is None
    assert read_header(pack_header(HEADER)[:-1]) is None
    assert read_header(b"SQLite format 3\0".ljust(HEADER_BYTES, b"\0")) is None


def test_each_segment_draws_its_own_marker_and_seed() -> None:
    """Two segments of one writer share neither."""
    other = new_header(WRITER, 7, 1_000, 256)
    assert (other.marker, other.seed) != (HEADER.marker, HEADER.seed)


@given(sessions, calls, st.integers(0, 2**32 - 1), st.integers(0, 2**60))
@examples(50)
def test_a_frame_reads_back(session: bytes, records: list[bytes], prev: int, ordinal: int) -> None:
    """A frame gives back its session, its records, its place in the index and its ordinal."""
    packed = pack_frame(HEADER, prev, ordinal, session, records)
    frame = read_frame(HEADER, packed, 0, base=500)
    assert frame is not None
    assert (frame.session, frame.records, frame.prev, frame.ordinal) == (session, records, prev, ordinal)
    assert (frame.offset, frame.end, frame.events) == (500, 500 + len(packed), len(records))
    assert len(packed) == frame_bytes(session, records)


@given(sessions, calls, st.data())
@examples(50)
def test_a_flipped_bit_anywhere_in_a_frame_makes_it_none(
    session: bytes, records: list[bytes], data: st.DataObject
) -> None:
    """No bit of a frame can change unseen."""
    packed = bytearray(frame_of(session, *records))
    bit = data.draw(st.integers(0, 8 * len(packed) - 1))
    packed[bit // 8] ^= 1 << bit % 8
    assert read_frame(HEADER, bytes(packed), 0) is None


def test_a_frame_cut_anywhere_is_none() -> None:
    """Every proper prefix of a frame is not yet a frame."""
    packed = frame_of(b"s", RECORD, RECORD)
    for size in range(len(packed)):
        assert read_frame(HEADER, packed[:size], 0) is None


def test_a_frame_of_another_segment_is_none() -> None:
    """A frame counts only under the marker and the seed of its own segment."""
    packed = frame_of(b"s", RECORD)
    assert read_frame(HEADER._replace(seed=HEADER.seed ^ 1), packed, 0) is None
    assert read_frame(HEADER._replace(marker=b"else"), packed, 0) is None


def test_where_a_frame_would_end_is_known_from_its_head() -> None:
    """The head alone tells the length; an impossible one tells nothing."""
    packed = frame_of(b"s", RECORD)
    assert frame_end(HEADER, packed[:12], 0) == len(packed)
    assert frame_end(HEADER, packed[:11], 0) is None
    assert frame_end(HEADER, HEADER.marker + b"\xff" * 8, 0) is None


@given(st.binary(max_size=200), calls)
@examples(50)
def test_the_next_frame_is_found_behind_any_bytes(rubbish: bytes, records: list[bytes]) -> None:
    """Bytes that are no frame are stepped over, also where they contain the marker."""
    rubbish += HEADER.marker + rubbish
    frame = next_frame(HEADER, rubbish + frame_of(b"s", *records), 0)
    assert frame is not None
    assert (frame.offset, frame.records) == (len(rubbish), records)


@given(st.binary(max_size=400))
@examples(100)
def test_no_bytes_of_a_message_pass_for_a_frame(text: bytes) -> None:
    """What follows a marker must also have the CRC from the segment's seed."""
    forged = HEADER.marker + text.ljust(FRAME_BYTES_MIN, b"\0")
    assert next_frame(HEADER, forged, 0) is None


def test_a_frame_of_an_older_segment_inside_a_message_is_none() -> None:
    """Who got hold of whole segment files still cannot write a frame of the next one."""
    old = new_header(WRITER, 6, 0, 256)
    body = said(eid(NOON_MS), frame_of(b"victim", RECORD, header=old))
    assert next_frame(HEADER, frame_of(b"s", body), 1) is None
