"""One writer's segments: whole frames or nothing, whatever the disk does."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from errno import EIO, ENOSPC
from pathlib import Path
from threading import Thread

import pytest

from eventlog.codec import PERMANENT, encode_message
from eventlog.errors import Closed, JournalError
from eventlog.follower import SegmentReader, segment_numbers
from eventlog.journal import Journal, Key
from eventlog.rewriting import write_again
from eventlog.segment import index_path, segment_path
from tests.core.records import NOON_MS, said
from tests.core.tools import BadDisk, eventually, frames_in, new_journal, write

SMALL_BYTES = 4096
LONG = "x" * 1000


@pytest.fixture
def disk() -> BadDisk:
    """Give a disk that is good until it is told."""
    return BadDisk()


@pytest.fixture
def journal(tmp_path: Path, disk: BadDisk) -> Journal:
    """Give a writer with small segments on that disk."""
    return new_journal(tmp_path, disk, SMALL_BYTES)


def records_in(folder: Path) -> list[bytes]:
    """Give every record that can be read."""
    return [record for frame in frames_in(folder) for record in frame.records]


def fail_a_background_sync(journal: Journal, disk: BadDisk) -> None:
    """Do what the keeper of a log does when the disk refuses to sync."""
    disk.dying()
    with pytest.raises(JournalError) as caught:
        journal.sync()
    disk.mend()
    assert isinstance(caught.value.__cause__, OSError)
    journal.keep_failure(caught.value.__cause__)


def segments_after_failure(journal: Journal, disk: BadDisk, folder: Path, **failing: int) -> list[int]:
    """Fail one write between two good ones, and give the segments that there are then."""
    before = write(journal, "s", "before")
    disk.failing = failing
    with pytest.raises(JournalError):
        write(journal, "s", "lost")
    disk.mend()
    after = write(journal, "s", "after")
    assert records_in(folder) == before + after
    return segment_numbers(folder)


def test_what_is_appended_can_be_read_at_once(journal: Journal, tmp_path: Path) -> None:
    """Without a sync or a close, another descriptor sees whole frames in order."""
    written = write(journal, "a", "one") + write(journal, "b", "two", "three")
    assert records_in(tmp_path) == written


def test_one_call_is_one_frame(journal: Journal, tmp_path: Path) -> None:
    """The messages of one add are there together."""
    write(journal, "a", "one", "two", "three")
    write(journal, "a", "four")
    assert [frame.events for frame in frames_in(tmp_path)] == [3, 1]
    assert [frame.ordinal for frame in frames_in(tmp_path)] == [0, 3]


def test_the_hot_path_writes_what_the_other_one_writes(journal: Journal, tmp_path: Path) -> None:
    """`append_one` is `append` of one."""
    body = encode_message(PERMANENT, NOON_MS, "", "hi", 0)
    event_id = journal.append_one(Key(b"s"), body, NOON_MS)
    assert records_in(tmp_path) == [event_id + body]


def test_ids_rise_in_the_order_of_frames_under_many_threads(tmp_path: Path) -> None:
    """One lock guards both; nothing is torn or doubled."""
    journal = new_journal(tmp_path, segment_bytes=1 << 16)
    threads = [
        Thread(target=lambda name=name: [write(journal, name, n) for n in range(200)]) for name in ("a", "b", "c", "d")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [record[:16] for record in records_in(tmp_path)]
    assert len(ids) == 800
    assert ids == sorted(set(ids))


def test_segments_and_indexes_are_private(journal: Journal, tmp_path: Path) -> None:
    """Only their user reads or writes them."""
    write(journal, "s", "x")
    for path in (segment_path(tmp_path, 1), index_path(tmp_path, 1)):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_full_segment_is_followed_by_the_next(journal: Journal, tmp_path: Path) -> None:
    """No segment grows over its bound, and nothing is lost at the seam."""
    written = [record for number in range(10) for record in write(journal, "s", LONG + str(number))]
    assert len(segment_numbers(tmp_path)) == 4
    assert all(segment_path(tmp_path, number).stat().st_size <= SMALL_BYTES for number in segment_numbers(tmp_path))
    assert records_in(tmp_path) == written


def test_ordinals_go_on_over_segments(journal: Journal, tmp_path: Path) -> None:
    """The header of each segment says how many events came before it."""
    for _ in range(10):
        write(journal, "s", LONG, "y")
    for number in segment_numbers(tmp_path):
        segment = SegmentReader(tmp_path, number)
        first = next(segment.scan(0))
        assert segment.header is not None
        assert segment.header.first_ordinal == first.ordinal
    assert journal.end.ordinal == 20


def test_a_frame_larger_than_a_segment_has_one_for_itself(journal: Journal, tmp_path: Path) -> None:
    """The bound of a segment is no bound of a message."""
    written = write(journal, "s", "a") + write(journal, "s", "x" * 3 * SMALL_BYTES) + write(journal, "s", "b")
    assert segment_numbers(tmp_path) == [1, 2, 3]
    assert records_in(tmp_path) == written


def test_rotating_an_empty_segment_does_nothing(journal: Journal, tmp_path: Path) -> None:
    """Idle writers make no files."""
    journal.rotate()
    journal.rotate()
    assert segment_numbers(tmp_path) == [1]
    write(journal, "s", "x")
    journal.rotate()
    assert segment_numbers(tmp_path) == [1, 2]


@pytest.mark.parametrize("torn_bytes", [0, 1, 11, 50])
def test_a_failed_write_is_cut_back(journal: Journal, disk: BadDisk, tmp_path: Path, torn_bytes: int) -> None:
    """After ENOSPC, however much reached the disk, the segment goes on from its last good frame."""
    disk.torn_bytes = torn_bytes
    assert segments_after_failure(journal, disk, tmp_path, write=ENOSPC) == [1]


def test_a_segment_that_cannot_be_cut_back_is_left(journal: Journal, disk: BadDisk, tmp_path: Path) -> None:
    """When the cut fails too, the next frame goes to a new segment, and the torn one shows nothing."""
    disk.torn_bytes = 30
    assert segments_after_failure(journal, disk, tmp_path, write=EIO, truncate=EIO) == [1, 2]


def test_a_write_that_the_system_cuts_is_completed(journal: Journal, disk: BadDisk, tmp_path: Path) -> None:
    """A short write is no failure: the rest follows."""
    real = disk.write
    disk.write = lambda descriptor, data, offset: real(descriptor, data[:7], offset)  # type: ignore[method-assign]
    written = write(journal, "s", "a message in many pieces")
    assert records_in(tmp_path) == written


def test_a_failed_write_names_the_place_and_keeps_the_cause(journal: Journal, disk: BadDisk) -> None:
    """`JournalError` says where and what; `__cause__` has the `OSError`; the text is not in it."""
    disk.full()
    with pytest.raises(JournalError, match="No space left") as caught:
        write(journal, "s", "secret text")
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == ENOSPC
    assert "secret text" not in str(caught.value)


@pytest.mark.parametrize(("call", "creates"), [("write", 0), ("create", 0), ("create", 1)])
def test_no_room_for_the_next_segment_leaves_no_half_of_it(
    journal: Journal, disk: BadDisk, tmp_path: Path, call: str, creates: int
) -> None:
    """Neither a segment nor an index stays behind, and the writer goes on when there is room again."""
    written = [record for _ in range(3) for record in write(journal, "s", LONG)]
    disk.failing, disk.creates_left = {call: ENOSPC}, creates
    with pytest.raises(JournalError):
        write(journal, "s", LONG)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000001.idx", "00000001.seg"]
    disk.mend()
    written += write(journal, "s", LONG) + write(journal, "s", "y")
    assert records_in(tmp_path) == written


def test_a_journal_that_cannot_begin_says_so(tmp_path: Path, disk: BadDisk) -> None:
    """The first segment is made at once; without room for it there is no writer and no file."""
    disk.full()
    with pytest.raises(JournalError):
        new_journal(tmp_path, disk)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_sync_reaches_the_caller_who_asked(journal: Journal, disk: BadDisk, tmp_path: Path) -> None:
    """`sync` goes on raising, whatever the disk says later, until what it was for stands in another file."""
    write(journal, "s", "x")
    disk.dying()
    with pytest.raises(JournalError, match="sync"):
        journal.sync()
    disk.mend()
    with pytest.raises(JournalError, match="sync"):
        journal.sync()
    write_again(journal, tmp_path)
    journal.sync()
    assert not journal.dirty


def test_a_failed_background_sync_is_kept_for_the_next_add(journal: Journal, disk: BadDisk, tmp_path: Path) -> None:
    """It has no caller, so the next add raises, once, and writes nothing of its own then."""
    written = write(journal, "s", "synced")
    journal.sync()
    written += write(journal, "s", "in doubt")
    fail_a_background_sync(journal, disk)
    write_again(journal, tmp_path)
    with pytest.raises(JournalError, match="sync") as caught:
        write(journal, "s", "refused")
    assert isinstance(caught.value.__cause__, OSError)
    written += write(journal, "s", "taken")
    assert list(dict.fromkeys(records_in(tmp_path))) == written


def test_what_a_failed_sync_left_in_doubt_is_written_again(journal: Journal, disk: BadDisk, tmp_path: Path) -> None:
    """The frames since the last good sync stand in a new segment too, which the next sync covers."""
    write(journal, "s", "synced")
    journal.sync()
    doubtful = [record for number in range(5) for record in write(journal, "s", LONG + str(number))]
    reached = segment_numbers(tmp_path)[-1]
    fail_a_background_sync(journal, disk)
    write_again(journal, tmp_path)
    fresh = [frame.records for frame in frames_in(tmp_path) if frame.ordinal >= 6]
    assert [record for records in fresh for record in records] == doubtful
    assert segment_numbers(tmp_path)[-1] > reached
    journal.sync()
    assert journal.synced == journal.end


def test_a_file_whose_sync_failed_is_never_believed_again(journal: Journal, disk: BadDisk, tmp_path: Path) -> None:
    """The kernel may call its lost pages clean: a sync that then succeeds says nothing of what was in doubt."""
    write(journal, "s", "in doubt")
    fail_a_background_sync(journal, disk)
    with pytest.raises(JournalError):
        journal.sync()
    assert journal.dirty
    assert journal.doubtful
    with pytest.raises(JournalError):
        write(journal, "s", "refused")
    write(journal, "s", "a caller who wants the disk gets a file that never failed")
    assert segment_numbers(tmp_path) == [1, 2]


def test_a_rewrite_that_finds_no_room_is_tried_again(journal: Journal, disk: BadDisk, tmp_path: Path) -> None:
    """Until it succeeds, what was in doubt stays in doubt, and the failure stays for the next add."""
    written = write(journal, "s", "in doubt")
    fail_a_background_sync(journal, disk)
    disk.full()
    with pytest.raises(JournalError, match="No space"):
        write_again(journal, tmp_path)
    assert journal.doubtful
    disk.mend()
    write_again(journal, tmp_path)
    journal.sync()
    assert not journal.dirty
    assert records_in(tmp_path) == 2 * written
    with pytest.raises(JournalError, match="sync"):
        write(journal, "s", "refused")


def test_a_disk_that_goes_on_failing_does_not_fill_itself(journal: Journal, disk: BadDisk, tmp_path: Path) -> None:
    """Each rewrite copies what was in doubt once, and not the copies of the last one too."""
    written = write(journal, "s", "in doubt")
    for _ in range(6):
        fail_a_background_sync(journal, disk)
        write_again(journal, tmp_path)
    assert records_in(tmp_path) == 7 * written


def test_a_sync_covers_finished_segments_too(journal: Journal, disk: BadDisk) -> None:
    """Each segment that got a frame since the last sync is synced, and the names of new ones."""
    synced: list[str] = []
    disk.sync = lambda _: synced.append("file")  # type: ignore[assignment,method-assign]
    disk.sync_folder = lambda _: synced.append("folder")  # type: ignore[assignment,method-assign]
    for _ in range(10):
        write(journal, "s", LONG)
    journal.sync()
    assert synced == ["file"] * 4 + ["folder"]
    journal.sync()
    assert len(synced) == 5, "what is clean needs no sync"


def write_and_sync(journal: Journal) -> None:
    """Do as `ack="fsync"`."""
    write(journal, "s", "x")
    journal.sync()


def test_concurrent_callers_share_a_sync(journal: Journal, disk: BadDisk) -> None:
    """While one sync runs, those who wait for it are covered by the next one together."""
    syncs: list[int] = []
    disk.sync = syncs.append  # type: ignore[assignment,method-assign]
    with journal._sync_lock:
        threads = [Thread(target=write_and_sync, args=(journal,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        eventually(lambda: journal.end.ordinal == 8)
    for thread in threads:
        thread.join()
    assert len(syncs) == 1


def test_whoever_waits_for_a_sync_that_fails_is_told(journal: Journal, disk: BadDisk) -> None:
    """The kernel tells of lost pages once: the second caller's own sync of that file would succeed."""
    disk.dying()
    with journal._sync_lock, ThreadPoolExecutor(4) as pool:
        callers = [pool.submit(write_and_sync, journal) for _ in range(4)]
        eventually(lambda: journal.end.ordinal == len(callers))
        disk.sync = dies_once(disk)  # type: ignore[assignment,method-assign]
        journal._sync_lock.release()
        failures = [type(caller.exception(20)) for caller in callers]
        journal._sync_lock.acquire()
    assert failures == [JournalError] * len(callers)


def dies_once(disk: BadDisk) -> Callable[[int], None]:
    """Give a sync that fails the first time and says that all is well from then on."""

    def sync(_: int) -> None:
        failing, disk.failing = disk.failing, {}
        if failing:
            raise OSError(EIO, "gone")

    return sync


def test_records_that_have_ids_keep_them(journal: Journal, tmp_path: Path) -> None:
    """What is written again comes back byte for byte."""
    records = [said(event_id, "old") for event_id in (b"\x01" * 6 + b"\x70\0\x80" + bytes(7),)]
    journal.append_records(b"s", records)
    assert records_in(tmp_path) == records


def test_a_closed_journal_refuses(journal: Journal) -> None:
    """Whoever was about to append when it was closed gets `Closed`, and touches no descriptor of others."""
    write(journal, "s", "x")
    journal.close()
    for _ in range(2):
        with pytest.raises(Closed):
            write(journal, "s", "late")
        with pytest.raises(Closed):
            journal.append_one(Key(b"s"), b"body", NOON_MS)


def test_closing_syncs_and_lets_go(journal: Journal, disk: BadDisk) -> None:
    """A failed sync at the end is told, after all descriptors are closed."""
    write(journal, "s", "x")
    disk.dying()
    with pytest.raises(JournalError):
        journal.close()
    assert journal._segment.descriptor == -1
