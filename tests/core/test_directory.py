"""A journal's directory: folders, locks, what may be removed, and the high water."""

from __future__ import annotations

import os
import stat
from errno import ENOSPC
from pathlib import Path

import pytest

from eventlog.clock import tick_of
from eventlog.directory import COARSE_MS, Directory, Folder
from eventlog.files import Files
from eventlog.follower import segment_numbers
from eventlog.journal import Journal
from eventlog.place import backend_key
from eventlog.segment import Position, segment_path
from tests.core.records import HOUR_MS, NOON_MS, WRITER, eid
from tests.core.tools import flip, new_journal, write

IDENTITIES = ["memory:one", "memory:two"]
KEYS = [backend_key(identity) for identity in IDENTITIES]
LONG = "x" * 1000


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    """Give an empty directory."""
    return Directory(tmp_path / "journal", Files())


@pytest.fixture
def folder(directory: Directory) -> Folder:
    """Give a writer's folder for two backends."""
    return directory.new_folder(WRITER, IDENTITIES, deliver=True)


@pytest.fixture
def journal(folder: Folder) -> Journal:
    """Give a writer in it with segments of three long messages."""
    return new_journal(folder.path, segment_bytes=4096)


def move_cursor(folder: Folder, key: str, position: Position) -> None:
    """Say how far a backend has got."""
    cursor = folder.cursor(key)
    cursor.save(position)
    cursor.close()


def test_a_new_folder_is_complete_locked_and_private(directory: Directory, folder: Folder) -> None:
    """It appears under its name with both locks held and the backends written."""
    assert [found.path.name for found in directory.folders()] == [WRITER.hex()]
    seen = Folder(folder.path)
    assert seen.alive
    assert not seen.delivery_lock.acquire()
    assert seen.backends() == dict(zip(KEYS, IDENTITIES, strict=True))
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    for path in folder.path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_every_file_of_a_directory_is_private(directory: Directory, folder: Folder, journal: Journal) -> None:
    """Segments, indexes, cursors, locks and the high water."""
    write(journal, "s", "x")
    move_cursor(folder, KEYS[0], journal.end)
    directory.raise_high_water(5)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.root.rglob("*") if path.is_file()}
    assert set(modes.values()) == {0o600}
    assert len(modes) >= 8


def test_a_writer_that_leaves_delivery_to_others_does_not_hold_its_lock(directory: Directory) -> None:
    """`deliver=False`: a sidecar takes it."""
    folder = directory.new_folder(WRITER, IDENTITIES, deliver=False)
    assert Folder(folder.path).delivery_lock.acquire()


def test_a_folder_lives_as_long_as_its_writer(folder: Folder) -> None:
    """Another view of it sees the lock come and go."""
    seen = Folder(folder.path)
    assert seen.alive
    folder.release()
    assert not seen.alive


def test_a_folder_that_could_not_be_finished_is_no_obstacle(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that was full for a moment does not cost the writer its name for ever."""

    def fail(*_: object) -> None:
        raise OSError(ENOSPC, os.strerror(ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("eventlog.directory._write_private", fail)
        with pytest.raises(OSError, match="No space"):
            directory.new_folder(WRITER, IDENTITIES, deliver=True)
    assert directory.folders() == []
    assert directory.new_folder(WRITER, IDENTITIES, deliver=True).alive
    assert [path.name for path in directory.root.iterdir() if path.is_dir()] == [WRITER.hex()]


def test_leftovers_of_the_dead_are_cleared_and_those_of_the_living_kept(directory: Directory) -> None:
    """A process that died while it built its folder leaves nothing for ever."""
    (directory.root / ".new-dead").mkdir()
    (directory.root / ".new-alive").mkdir()
    living = Folder(directory.root / ".new-alive")
    living.writer_lock.acquire()
    directory.new_folder(WRITER, IDENTITIES, deliver=True)
    assert sorted(path.name for path in directory.root.glob(".new-*")) == [".new-alive"]


def test_foreign_names_are_no_folders(directory: Directory) -> None:
    """Only 16 hex digits are."""
    for name in ("lost+found", "aside", "0123456789abcdeg", "0123", ".new-0123456789ab", "0123456789ABCDEF"):
        (directory.root / name).mkdir()
    assert directory.folders() == []


def test_damaged_names_of_backends_are_told_by_the_cursors(folder: Folder) -> None:
    """What waits for a backend goes on waiting for it."""
    (folder.path / "backends").write_bytes(b"{")
    assert sorted(folder.backends()) == sorted(KEYS)


def test_the_end_of_a_folder_is_behind_its_last_whole_frame(folder: Folder, journal: Journal) -> None:
    """A torn tail, an empty next segment and another process do not change it."""
    for number in range(5):
        write(journal, "s", LONG + str(number))
    assert Folder(folder.path).end() == journal.end
    with segment_path(folder.path, 2).open("ab") as file:
        file.write(b"torn" * 20)
    segment_path(folder.path, 3).touch()
    assert Folder(folder.path).end() == journal.end


def test_an_empty_folder_ends_at_the_start(folder: Folder) -> None:
    """There is nothing to wait for."""
    assert folder.end() == Position(0, 0, 0)
    assert all(folder.is_delivered(key) for key in KEYS)


def test_a_segment_is_removed_only_when_every_backend_is_past_it(
    directory: Directory, folder: Folder, journal: Journal
) -> None:
    """The slowest one decides; a segment that one of them is in stays."""
    for number in range(12):
        write(journal, "s", LONG + str(number))
    assert segment_numbers(folder.path) == [1, 2, 3, 4]
    move_cursor(folder, KEYS[0], journal.end)
    assert directory.collect(folder) == 0, "the second has nothing yet"
    move_cursor(folder, KEYS[1], Position(3, 100, 6))
    assert directory.collect(folder) > 0
    assert segment_numbers(folder.path) == [3, 4]
    assert sorted(path.stem for path in folder.path.glob("*.idx")) == ["00000003", "00000004"]


def test_a_damaged_cursor_holds_every_segment(directory: Directory, folder: Folder, journal: Journal) -> None:
    """What is not known to be delivered is kept."""
    for number in range(12):
        write(journal, "s", LONG + str(number))
    for key in KEYS:
        move_cursor(folder, key, journal.end)
    flip(folder.path / f"{KEYS[1]}.cursor", 9)
    assert directory.collect(folder) == 0
    assert not folder.is_delivered(KEYS[1])


def test_cursors_are_on_the_disk_before_anything_is_removed_on_their_word(
    directory: Directory, folder: Folder, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut could bring back an old cursor and not the segment."""
    for number in range(12):
        write(journal, "s", LONG + str(number))
    for key in KEYS:
        move_cursor(folder, key, journal.end)
    calls: list[str] = []
    monkeypatch.setattr(os, "fdatasync", lambda _: calls.append("sync"))
    monkeypatch.setattr(directory._files, "unlink", lambda path: calls.append(path.name))
    directory.collect(folder)
    assert calls[:2] == ["sync", "sync"]
    assert "00000001.seg" in calls[2:]


def test_a_folder_goes_when_its_writer_is_dead_and_all_is_delivered(
    directory: Directory, folder: Folder, journal: Journal
) -> None:
    """Not before, and its last tick is remembered."""
    write(journal, "s", "x")
    folder.writer_lock.close()
    assert not directory.remove_if_done(folder), "nothing is delivered"
    move_cursor(folder, KEYS[0], journal.end)
    assert not directory.remove_if_done(folder), "one backend lacks it"
    move_cursor(folder, KEYS[1], journal.end)
    folder.writer_lock.acquire()
    assert not directory.remove_if_done(folder), "the writer lives"
    folder.writer_lock.close()
    assert directory.remove_if_done(folder)
    assert directory.folders() == []
    assert directory.high_water() == tick_of(eid(NOON_MS))


def test_the_high_water_only_rises(directory: Directory) -> None:
    """And it is there for the next process."""
    directory.raise_high_water(100)
    directory.raise_high_water(50)
    assert Directory(directory.root, Files()).high_water() == 100


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 12, b"x" * 100])
def test_a_damaged_high_water_is_none(directory: Directory, content: bytes) -> None:
    """It is a hint beside the frames."""
    (directory.root / "high-water").write_bytes(content)
    assert directory.high_water() == 0
    directory.raise_high_water(7)
    assert directory.high_water() == 7 or len(content) == 100


def test_the_last_frame_of_a_killed_writer_counts_as_high_water(directory: Directory, journal: Journal) -> None:
    """What a kill left unsaid is read from the segment."""
    last = write(journal, "s", "x", "y")[-1]
    assert directory.high_water() == tick_of(last[:16])


def test_the_last_id_is_remembered_when_its_segment_goes(
    directory: Directory, folder: Folder, journal: Journal
) -> None:
    """A writer that is killed with all delivered leaves no frame that tells of it."""
    last = write(journal, "s", "x")[-1]
    journal.rotate()
    for key in KEYS:
        move_cursor(folder, key, Position(2, 64, 1))
    assert directory.collect(folder) > 0
    assert directory.high_water() == tick_of(last[:16])


def test_a_pushed_session_does_not_raise_the_high_water_beyond_the_file(directory: Directory, journal: Journal) -> None:
    """An id from the future is one session's; the file's own time is the most that all may follow."""
    path = segment_path(journal._folder, 1)
    journal._clock.observe(b"ahead", eid(NOON_MS + HOUR_MS), NOON_MS)
    write(journal, "ahead", "x")
    os.utime(path, (NOON_MS / 1000, NOON_MS / 1000))
    assert directory.high_water() >> 12 == NOON_MS + COARSE_MS


def test_the_usage_counts_segments_and_indexes(directory: Directory, folder: Folder, journal: Journal) -> None:
    """Not the small files beside them."""
    write(journal, "s", LONG)
    sizes = [path.stat().st_size for path in folder.path.iterdir() if path.suffix in (".seg", ".idx")]
    assert directory.usage_bytes() == sum(sizes) > 1000


def test_a_directory_that_was_removed_is_made_again(directory: Directory) -> None:
    """Someone cleaned up /tmp: the next writer goes on."""
    (directory.root / "lock").unlink()
    directory.root.rmdir()
    assert directory.folders() == []
    assert directory.new_folder(WRITER, IDENTITIES, deliver=True).alive
