"""A reader's side of the segments: no whole frame is ever missed, whatever lies between."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.follower import Cursor, Follower, SegmentReader
from eventlog.frames import HEADER_BYTES
from eventlog.journal import Journal
from eventlog.segment import START, Position, index_path, segment_path
from tests.core.examples import examples
from tests.core.tools import flip, frames_in, new_journal, write

ALL = 1 << 40
SMALL_BYTES = 4096
LONG = "x" * 1000
Reports = list[tuple[str, int, int, str]]


class Reader:
    """A follower with all that it gave and reported."""

    def __init__(self, folder: Path, position: Position = START) -> None:
        self.reports: Reports = []
        self.follower = Follower(folder, position, self._report)

    def _report(self, path: Path, offset: int, size: int, what: str) -> None:
        self.reports.append((path.name, offset, size, what))

    def read(self, *, finished: bool = False) -> list[bytes]:
        """Give all records that there are, as a deliverer would."""
        records: list[bytes] = []
        while frames := self.follower.read(1000, 1 << 20, finished=finished):
            records += [record for frame in frames for record in frame.records]
        return records

    @property
    def kinds(self) -> list[str]:
        """What was reported, without where."""
        return [what for *_, what in self.reports]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Give a writer."""
    return new_journal(tmp_path)


@pytest.fixture
def small(tmp_path: Path) -> Journal:
    """Give a writer with segments of three long messages."""
    return new_journal(tmp_path, segment_bytes=SMALL_BYTES)


def test_frames_come_once_and_in_order(journal: Journal, tmp_path: Path) -> None:
    """A follower gives what is there, then nothing, then what came since."""
    reader = Reader(tmp_path)
    first = write(journal, "a", 1) + write(journal, "b", 2, 3)
    assert reader.read() == first
    assert reader.read() == []
    assert reader.read() + write(journal, "a", 4) == reader.read()


def test_an_empty_folder_or_none_is_nothing_yet(tmp_path: Path) -> None:
    """Neither is a fault."""
    assert Reader(tmp_path).read() == []
    assert Reader(tmp_path / "gone").read(finished=True) == []


def test_a_batch_keeps_its_bounds(journal: Journal, tmp_path: Path) -> None:
    """Events and bytes are bounded, to within one frame; the next batch goes on behind."""
    for number in range(10):
        write(journal, "s", LONG, number)
    follower = Follower(tmp_path, START, lambda *_: None)
    assert [frame.ordinal for frame in follower.read(3, ALL)] == [0, 2]
    assert [frame.ordinal for frame in follower.read(1000, 2500)] == [4, 6, 8]


def test_a_frame_larger_than_a_batch_comes_whole(journal: Journal, tmp_path: Path) -> None:
    """A bound on bytes never stops a message for ever."""
    written = write(journal, "s", "x" * 300_000) + write(journal, "s", "y")
    follower = Follower(tmp_path, START, lambda *_: pytest.fail("nothing is damaged"))
    frames = follower.read(1000, 1000) + follower.read(1000, 1000)
    assert [record for frame in frames for record in frame.records] == written


def test_reading_goes_on_where_a_position_says(small: Journal, tmp_path: Path) -> None:
    """From any frame's end, in any segment, the rest follows and the position has the ordinal."""
    written = [record for number in range(8) for record in write(small, "s", LONG + str(number))]
    whole = Follower(tmp_path, START, lambda *_: None)
    for number in range(8):
        assert Reader(tmp_path, whole.position).read() == written[number:]
        assert whole.position.ordinal == number
        whole.read(1, ALL)


def test_a_finished_segment_is_followed_by_the_next(small: Journal, tmp_path: Path) -> None:
    """A living writer's rotation is passed without a report."""
    reader = Reader(tmp_path)
    for number in range(10):
        assert reader.read() == []
        written = write(small, "s", LONG + str(number))
        assert reader.read() == written
    assert reader.reports == []
    assert reader.follower.position == small.end


def test_removed_segments_are_passed(small: Journal, tmp_path: Path) -> None:
    """A position in a segment that is gone means the next one that is there."""
    written = [record for number in range(9) for record in write(small, "s", LONG + str(number))]
    for number in (1, 2):
        segment_path(tmp_path, number).unlink()
    reader = Reader(tmp_path, Position(1, HEADER_BYTES, 0))
    assert reader.read() == written[6:]
    assert reader.follower.position.ordinal == 9


def test_a_half_frame_of_a_living_writer_is_not_yet(journal: Journal, tmp_path: Path) -> None:
    """Its first bytes are waited for; when the rest is there it comes, and nothing is reported."""
    written = write(journal, "s", "first") + write(journal, "s", "second")
    path = segment_path(tmp_path, 1)
    whole = path.read_bytes()
    last = frames_in(tmp_path)[1]
    for size in range(last.offset, last.end):
        os.truncate(path, size)
        reader = Reader(tmp_path)
        assert reader.read() == written[:1]
        path.write_bytes(whole)
        assert reader.read() == written[1:]
        assert reader.reports == []


def test_a_torn_tail_of_a_dead_writer_is_left_behind(journal: Journal, tmp_path: Path) -> None:
    """What is before it comes; the tail is reported once, and the position is past it."""
    written = write(journal, "s", "first")
    write(journal, "s", "torn")
    path = segment_path(tmp_path, 1)
    os.truncate(path, path.stat().st_size - 3)
    reader = Reader(tmp_path)
    assert reader.read(finished=True) == written
    assert reader.read(finished=True) == []
    assert reader.kinds == ["torn tail"]
    assert reader.follower.position.offset == path.stat().st_size


def test_a_torn_tail_before_another_segment_is_left_behind(small: Journal, tmp_path: Path) -> None:
    """A writer that could not cut back went on in a new segment; so does the reader."""
    written = [record for number in range(3) for record in write(small, "s", LONG + str(number))]
    with segment_path(tmp_path, 1).open("ab") as file:
        file.write(b"torn by a full disk, and longer than any head of a frame")
    written += write(small, "s", LONG)
    reader = Reader(tmp_path)
    assert reader.read() == written
    assert reader.kinds == ["torn tail"]


@pytest.mark.parametrize("part", ["head", "length", "crc", "body"])
def test_a_flipped_byte_in_the_middle_is_stepped_over(journal: Journal, tmp_path: Path, part: str) -> None:
    """The frames around a damaged one come; the damage is reported once, with its place and size."""
    written = [record for number in range(3) for record in write(journal, "s", number)]
    damaged = frames_in(tmp_path)[1]
    flip(segment_path(tmp_path, 1), damaged.offset + {"head": 0, "length": 5, "crc": 8, "body": 40}[part])
    reader = Reader(tmp_path)
    assert reader.read() == [written[0], written[2]]
    assert reader.reports == [("00000001.seg", damaged.offset, damaged.end - damaged.offset, "damage")]


@given(st.data())
@examples(40)
def test_damage_costs_only_the_frames_that_it_touches(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever bytes of a segment are overwritten, every untouched frame is given, in order."""
    folder = tmp_path_factory.mktemp("damage")
    journal = new_journal(folder)
    for number in range(data.draw(st.integers(2, 8))):
        write(journal, "s", "x" * data.draw(st.integers(0, 60)), number)
    frames = frames_in(folder)
    at = data.draw(st.integers(HEADER_BYTES, frames[-1].end - 1))
    count = data.draw(st.integers(1, min(200, frames[-1].end - at)))
    flip(segment_path(folder, 1), at, count)
    expected = [frame for frame in frames if frame.end <= at or frame.offset >= at + count]
    assert Reader(folder).read(finished=True) == [record for frame in expected for record in frame.records]
    segment = SegmentReader(folder, 1)
    assert list(segment.scan(HEADER_BYTES)) == expected
    assert sorted({frame.offset for frame in segment.newest(b"s", 0)}) == [frame.offset for frame in expected]
    segment.close()


@pytest.mark.timeout(10)
def test_the_index_leads_past_two_damaged_neighbours(journal: Journal, tmp_path: Path) -> None:
    """A walk that meets damage reads the rest through, and ends."""
    written = [record for number in range(4) for record in write(journal, "s", number)]
    frames = frames_in(tmp_path)
    for frame in frames[1:3]:
        flip(segment_path(tmp_path, 1), frame.offset + 20)
    found = SegmentReader(tmp_path, 1).newest(b"s", 0)
    assert sorted({record for frame in found for record in frame.records}) == [written[0], written[3]]


def test_bytes_that_look_like_a_frame_are_never_taken_for_one(journal: Journal, tmp_path: Path) -> None:
    """Even a message that holds a whole frame of its own segment is a message and nothing else."""
    first = write(journal, "victim", "first")
    path = segment_path(tmp_path, 1)
    frame = path.read_bytes()[HEADER_BYTES:]
    written = first + write(journal, "s", frame, frame[:4] * 100) + write(journal, "s", "last")
    reader = Reader(tmp_path)
    assert reader.read() == written
    assert reader.reports == []
    segment = SegmentReader(tmp_path, 1)
    assert [record for found in segment.newest(b"victim", 0) for record in found.records] == first


@pytest.mark.parametrize("looks", [[3], [14, 14]])
def test_a_frame_that_is_finished_while_it_is_looked_at_is_not_skipped(
    journal: Journal, tmp_path: Path, looks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer may complete a frame, and write the next, between two looks of a reader at the same place."""
    written = write(journal, "s", "first") + write(journal, "s", "second")
    reader, real = Reader(tmp_path), SegmentReader.read

    def read_early(segment: SegmentReader, offset: int, size: int) -> bytes:
        return real(segment, offset, looks.pop(0) if looks else size)

    monkeypatch.setattr(SegmentReader, "read", read_early)
    assert reader.read() == written
    assert reader.reports == []


def test_an_empty_segment_is_passed_when_it_is_finished(small: Journal, tmp_path: Path) -> None:
    """A writer that died before the header left a file that says nothing; the next one is read."""
    written = write(small, "s", "x")
    segment_path(tmp_path, 2).touch()
    reader = Reader(tmp_path)
    assert reader.read() == written, "while the writer lives, the header may still come"
    assert reader.reports == []
    assert reader.read(finished=True) == []
    assert reader.read(finished=True) == []
    assert set(reader.reports) == {("00000002.seg", 0, 0, "no segment")}


def test_a_foreign_file_is_no_segment(journal: Journal, tmp_path: Path) -> None:
    """Files of other names are passed over; one of the right name is reported and passed over."""
    written = write(journal, "s", "x")
    for name in ("notes.txt", "x.seg", "0000000a.seg", "00000001.seg.bak"):
        (tmp_path / name).write_bytes(b"hello")
    segment_path(tmp_path, 2).write_bytes(b"#!/bin/sh\n" * 100)
    reader = Reader(tmp_path)
    assert reader.read(finished=True) == written
    assert reader.kinds == ["no segment"]


def test_the_index_finds_one_session_among_many(journal: Journal, tmp_path: Path) -> None:
    """Only its frames come, newest first, from the floor on."""
    written: dict[str, list[bytes]] = {str(number): [] for number in range(500)}
    for turn in range(3):
        for name in written:
            written[name] += write(journal, name, turn)
    segment = SegmentReader(tmp_path, 1)
    found = list(segment.newest(b"77", 0))
    assert [record for frame in found for record in frame.records][-3:] == written["77"][::-1]
    floor = found[0].offset
    assert {record for frame in segment.newest(b"77", floor) for record in frame.records} == {written["77"][-1]}


def test_the_index_spares_reading_the_backlog(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One session's frames are found with a few reads, however much lies between."""
    mine = write(journal, "mine", "first")
    for number in range(2000):
        write(journal, str(number), "x" * 50)
    mine += write(journal, "mine", "last")
    real, reads = SegmentReader.read, []

    def counted(segment: SegmentReader, offset: int, size: int) -> bytes:
        reads.append(offset)
        return real(segment, offset, size)

    monkeypatch.setattr(SegmentReader, "read", counted)
    found = SegmentReader(tmp_path, 1).newest(b"mine", 0)
    assert sorted({record for frame in found for record in frame.records}) == mine
    assert len(reads) < 100


def break_index(folder: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the index of the first segment one that cannot be believed."""
    path = index_path(folder, 1)
    if how == "missing":
        path.unlink()
    elif how == "of another boot":
        monkeypatch.setattr("eventlog.index.boot_id", lambda: bytes(16))
    elif how == "garbage":
        path.write_bytes(os.urandom(path.stat().st_size))
    else:
        os.truncate(path, 10)


@pytest.mark.parametrize("how", ["missing", "of another boot", "garbage", "short"])
def test_without_a_good_index_the_segment_is_read_through(
    journal: Journal, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad hint costs time, never a frame."""
    written = write(journal, "s", 1) + write(journal, "other", 2) + write(journal, "s", 3)
    break_index(tmp_path, how, monkeypatch)
    segment = SegmentReader(tmp_path, 1)
    found = [record for frame in segment.newest(b"s", 0) for record in frame.records]
    assert found == [written[0], written[2]]
    last = segment.last_frame()
    assert last is not None
    assert last.records == written[2:]


@pytest.mark.parametrize("finished", [False, True])
def test_an_index_that_is_behind_misses_nothing(journal: Journal, tmp_path: Path, *, finished: bool) -> None:
    """What was written after its last entry is read on from there, also where nothing more will come."""
    for number in range(5):
        write(journal, str(number), number)
    journal._segment.index.set = lambda *_: None  # type: ignore[method-assign]
    unlisted = write(journal, "s", "unlisted") + write(journal, "t", "too")
    segment = SegmentReader(tmp_path, 1)
    for _ in range(2):
        found = segment.newest(b"s", 0, finished=finished)
        assert [record for frame in found for record in frame.records] == unlisted[:1]
    last = segment.last_frame()
    assert last is not None
    assert last.records == unlisted[1:]


def test_a_cursor_reads_back(tmp_path: Path) -> None:
    """What one process saved, another one reads; the file is private."""
    position = Position(3, 4711, 99)
    cursor = Cursor(tmp_path / "key.cursor")
    assert cursor.load() == START
    cursor.save(position)
    cursor.sync()
    cursor.close()
    assert Cursor(tmp_path / "key.cursor").load() == position
    assert (tmp_path / "key.cursor").stat().st_mode & 0o777 == 0o600


def test_a_damaged_cursor_means_the_first_segment(tmp_path: Path) -> None:
    """Each flipped bit, a stump, an empty file and a foreign one: all are delivered again, nothing is lost."""
    path = tmp_path / "key.cursor"
    Cursor(path).save(Position(3, 4711, 99))
    good = path.read_bytes()
    bad = [good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :] for at in range(len(good)) for bit in range(8)]
    for content in [*bad, good[:-1], b"", b"hello" * 20]:
        path.write_bytes(content)
        assert Cursor(path).load() == START
