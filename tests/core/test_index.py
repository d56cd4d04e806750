"""The index beside a segment: a hint that is believed only when it is whole and of this boot."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import pytest

from eventlog.files import Files
from eventlog.index import PROBES, IndexReader, IndexWriter, boot_id, buckets_for, index_bytes, session_hash

BUCKETS = 64


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the place of an index."""
    return tmp_path / "00000001.idx"


def test_a_reader_sees_what_the_writer_set(path: Path) -> None:
    """Heads and tail are there at once, and again after the writer let go."""
    writer = IndexWriter(Files(), path, BUCKETS)
    reader = IndexReader(path, BUCKETS)
    assert (reader.head(b"s"), reader.tail) == (0, 0)
    writer.set(writer.find(session_hash(b"s")), 4711)
    assert (reader.head(b"s"), reader.tail) == (4711, 4711)
    writer.close()
    assert IndexReader(path, BUCKETS).head(b"s") == 4711


def test_sessions_of_one_place_have_buckets_of_their_own(path: Path) -> None:
    """A busy neighbour costs a reader nothing."""
    writer, reader = IndexWriter(Files(), path, BUCKETS), IndexReader(path, BUCKETS)
    names = neighbours(PROBES)
    for offset, name in enumerate(names, 100):
        writer.set(writer.find(session_hash(name)), offset)
    assert [reader.head(name) for name in names] == list(range(100, 100 + PROBES))


def test_a_session_without_a_bucket_shares_the_first_one(path: Path) -> None:
    """Both sides agree on it, and those that have one of their own keep it."""
    writer, reader = IndexWriter(Files(), path, BUCKETS), IndexReader(path, BUCKETS)
    names = neighbours(PROBES + 2)
    for offset, name in enumerate(names, 100):
        writer.set(writer.find(session_hash(name)), offset)
    assert [reader.head(name) for name in names[1:PROBES]] == list(range(101, 100 + PROBES))
    assert {reader.head(name) for name in (names[0], *names[PROBES:])} == {100 + PROBES + 1}


def test_a_bucket_that_was_taken_for_nothing_is_free(path: Path) -> None:
    """The frame was not written after all: another session may have it, and the first one finds the next."""
    writer, reader = IndexWriter(Files(), path, BUCKETS), IndexReader(path, BUCKETS)
    first, second = neighbours(2)
    writer.find(session_hash(first))
    for offset, name in enumerate((second, first), 100):
        writer.set(writer.find(session_hash(name)), offset)
    assert (reader.head(second), reader.head(first)) == (100, 101)


def neighbours(count: int) -> list[bytes]:
    """Give sessions that all begin to look in the same place."""
    names = (b"session-%d" % number for number in range(1 << 20))
    return list(islice((name for name in names if session_hash(name) % BUCKETS == BUCKETS - 2), count))


def test_an_index_is_private_and_its_blocks_are_written(path: Path) -> None:
    """Nobody else reads it, and a full disk cannot strike when a head is set."""
    IndexWriter(Files(), path, BUCKETS).close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size == index_bytes(BUCKETS)
    assert path.stat().st_blocks * 512 >= index_bytes(BUCKETS)


def test_an_index_of_another_boot_is_not_believed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pages may not have reached the disk when the machine went down."""
    IndexWriter(Files(), path, BUCKETS).close()
    monkeypatch.setattr("eventlog.index.boot_id", lambda: bytes(16))
    with pytest.raises(ValueError, match="another boot"):
        IndexReader(path, BUCKETS)


@pytest.mark.parametrize("content", [b"", b"\0" * index_bytes(BUCKETS), os.urandom(index_bytes(BUCKETS)), b"evtidx2\n"])
def test_an_index_of_the_wrong_shape_is_not_believed(path: Path, content: bytes) -> None:
    """An empty file, zeros, garbage and a stump are no index."""
    path.write_bytes(content)
    with pytest.raises(ValueError, match="the index"):
        IndexReader(path, BUCKETS)


def test_an_index_with_another_number_of_buckets_is_not_believed(path: Path) -> None:
    """The header of the segment says how many there are."""
    IndexWriter(Files(), path, BUCKETS).close()
    with pytest.raises(ValueError, match="the index"):
        IndexReader(path, 2 * BUCKETS)


def test_a_missing_index_is_an_os_error(path: Path) -> None:
    """The reader of the segment takes that for: read it through."""
    with pytest.raises(FileNotFoundError):
        IndexReader(path, BUCKETS)


def test_buckets_are_a_power_of_two_within_bounds() -> None:
    """Small segments get few, the largest 32,768."""
    for size in (1, 1 << 17, 3_000_000, 64 << 20, 1 << 40):
        buckets = buckets_for(size)
        assert buckets & (buckets - 1) == 0
        assert 64 <= buckets <= 32_768
    assert buckets_for(64 << 20) == 32_768


def test_the_boot_has_sixteen_bytes() -> None:
    """As many as its field."""
    assert len(boot_id()) == 16
