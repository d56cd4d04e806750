"""The index beside a segment: a hint that is believed only when it is whole and of this boot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eventlog.files import Files
from eventlog.index import IndexReader, IndexWriter, boot_id, buckets_for, index_bytes, session_hash

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
    writer.set(session_hash(b"s") % BUCKETS, 4711)
    assert (reader.head(b"s"), reader.tail) == (4711, 4711)
    writer.close()
    assert IndexReader(path, BUCKETS).head(b"s") == 4711


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


@pytest.mark.parametrize(
    "content", [b"", b"\0" * index_bytes(BUCKETS), os.urandom(index_bytes(BUCKETS)), b"evtidx\r\n"]
)
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
    """Small segments get few, the largest 16,384."""
    for size in (1, 1 << 17, 3_000_000, 64 << 20, 1 << 40):
        buckets = buckets_for(size)
        assert buckets & (buckets - 1) == 0
        assert 64 <= buckets <= 16_384
    assert buckets_for(64 << 20) == 16_384


def test_the_boot_has_sixteen_bytes() -> None:
    """As many as its field."""
    assert len(boot_id()) == 16
