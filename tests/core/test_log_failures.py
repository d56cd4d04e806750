"""A log on a bad disk, in a full directory, at its end: nothing acknowledged is lost, nothing refused is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from errno import EIO, ENOSPC, EROFS
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from eventlog.adapters.memory import MemoryBackend
from eventlog.adapters.sqlite import SQLiteBackend
from eventlog.errors import Closed, EventLogError, JournalError, JournalFull
from eventlog.history import ChatHistory
from eventlog.log import EventLog
from eventlog.segment import segment_path
from tests.core.tools import BadDisk, Moody, crash, eventually, flip, frames_in, hurry, writer_folder

Open = Callable[..., EventLog]
MIB = 1 << 20
AT_EXIT = """
import os, sys, eventlog
log = eventlog.open(f"sqlite:///{sys.argv[1]}", journal=sys.argv[2])
chat = log.history("s")
for number in range(1000):
    chat.add(number)
if sys.argv[3] == "kill":
    os.kill(os.getpid(), 9)
if sys.argv[3] == "raise":
    raise SystemExit(3)
"""


@pytest.fixture
def disk() -> BadDisk:
    """Give a disk that is good until it is told."""
    return BadDisk()


@pytest.fixture
def store() -> Moody:
    """Give a store with moods."""
    return Moody(MemoryBackend("first"))


def messages_in(store: Moody, session: str = "s") -> int:
    """Count what a store has."""
    return len(store.inner.read(session, limit=100_000))


def bytes_in(place: Path) -> int:
    """Count what a journal takes."""
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())


def fill(chat: ChatHistory) -> list[int]:
    """Add numbered messages of 10 kB until the journal is full, and give the numbers that were taken."""
    kept: list[int] = []
    while len(kept) < 1000:
        try:
            chat.add([len(kept), "x" * 10_000])
        except JournalFull:
            return kept
        kept.append(len(kept))
    return []


# full


def test_a_full_journal_refuses_before_it_acknowledges(opened: Open, store: Moody, place: Path) -> None:
    """With a dead backend the directory stays within its bound; what was acknowledged is all there."""
    store.down = True
    log = opened(store, max_journal_bytes=MIB, max_block=0.05)
    chat = log.history("s")
    kept = fill(chat)
    assert 30 < len(kept) < 105
    assert bytes_in(place) <= MIB
    assert [number for number, _ in chat.messages()] == kept
    with pytest.raises(JournalFull):
        chat.add_many(["x" * 5000] * 10)
    store.down = False
    assert log.flush(20)
    assert messages_in(store) == len(kept)
    chat.add([len(kept), "there is room again"])
    assert log.flush(20)
    assert messages_in(store) == len(kept) + 1


def test_an_add_waits_for_room_while_there_is_hope(opened: Open, store: Moody) -> None:
    """Delivery makes room within `max_block`, and nobody sees an error."""
    log = opened(store, max_journal_bytes=MIB, max_block=20)
    for number in range(400):
        log.history("s").add([number, "x" * 10_000])
    assert [number for number, _ in log.history("s").messages()] == list(range(400))
    assert log.status().journal_bytes <= MIB


def test_the_bound_holds_for_all_processes_together(opened: Open, store: Moody, place: Path) -> None:
    """Each takes a share of what is left."""
    store.down = True
    logs = [opened(store, max_journal_bytes=MIB, max_block=0.02) for _ in range(3)]
    full = 0
    while full < 9:
        for log in logs:
            try:
                log.history("s").add("x" * 10_000)
            except JournalFull:
                full += 1
    assert bytes_in(place) <= MIB


def test_a_message_larger_than_the_bound_is_refused(opened: Open, store: Moody) -> None:
    """It would never fit."""
    log = opened(store, max_journal_bytes=MIB, max_block=0.05)
    with pytest.raises(JournalFull):
        log.history("s").add("x" * 2 * MIB)
    log.history("s").add("fits")
    assert log.flush(20)
    assert log.history("s").messages() == ["fits"]


# a bad disk


@pytest.mark.parametrize("code", [ENOSPC, EROFS, EIO])
def test_a_disk_that_refuses_refuses_the_add_and_delivery_goes_on(
    opened: Open, store: Moody, disk: BadDisk, code: int
) -> None:
    """`JournalError` has the `OSError`; what was acknowledged before is delivered, and space may come free."""
    log = opened(store, files=disk)
    store.down = True
    chat = log.history("s")
    chat.add("before")
    disk.failing = {"write": code, "create": code, "truncate": code}
    for call in (lambda: chat.add("lost"), lambda: chat.add_many(["lost", "too"]), chat.clear):
        with pytest.raises(JournalError) as caught:
            call()
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.__cause__.errno == code
    store.down = False
    assert log.flush(20), "delivery needs no room"
    assert messages_in(store) == 1
    disk.mend()
    chat.add("after")
    assert chat.messages() == ["before", "after"]
    assert log.flush(20)


@pytest.mark.parametrize("call", ["create", "write", "sync_folder", "_write_private"])
def test_a_disk_that_is_full_at_the_first_add_is_no_obstacle_later(
    opened: Open, store: Moody, disk: BadDisk, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever half of a folder it left: the next add begins anew, and it goes with the next one."""

    def fail(*_: Any) -> None:
        raise OSError(ENOSPC, os.strerror(ENOSPC))

    log = opened(store, files=disk)
    with monkeypatch.context() as patch:
        patch.setattr("eventlog.directory._write_private" if call.startswith("_") else disk, *target(call, fail))
        for _ in range(2):
            with pytest.raises(JournalError) as caught:
                log.history("s").add("refused")
            assert isinstance(caught.value.__cause__, OSError)
    log.history("s").add("taken")
    assert log.history("s").messages() == ["taken"]
    assert log.flush(20)
    assert messages_in(store) == 1


def target(call: str, fail: Callable[..., None]) -> tuple[Any, ...]:
    """Give the rest of the arguments of `setattr` for a call of the disk, or of a room."""
    return (fail,) if call.startswith("_") else (call, fail)


def test_a_directory_that_vanished_refuses_the_first_add(opened: Open, store: Moody, place: Path) -> None:
    """A file in its place cannot hold a journal."""
    log = opened(store)
    for path in sorted(place.rglob("*"), reverse=True):
        path.unlink()
    place.rmdir()
    place.touch()
    with pytest.raises(EventLogError):
        log.history("s").add("x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_became_read_only_refuses_the_first_add(opened: Open, store: Moody, place: Path) -> None:
    """With the `OSError` as the cause."""
    log = opened(store)
    place.chmod(0o500)
    with pytest.raises(JournalError) as caught:
        log.history("s").add("x")
    place.chmod(0o700)
    assert isinstance(caught.value.__cause__, OSError)
    log.history("s").add("y")


def test_a_failed_background_sync_is_told_by_the_next_add(
    opened: Open, store: Moody, disk: BadDisk, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was acknowledged is written again, once; the add after that is taken."""
    hurry(monkeypatch, SYNC_EVERY_S=0.001)
    store.down = True
    log = opened(store, files=disk)
    chat = log.history("s")
    chat.add("first", ack="fsync")
    disk.dying()
    chat.add("in doubt")
    eventually(lambda: len(frames_in(writer_folder(place))) > 2)
    disk.mend()
    with pytest.raises(JournalError, match="sync"):
        chat.add("refused")
    chat.add("after", ack="fsync")
    found = chat.messages()
    assert found == ["first", "in doubt", "after"]
    store.down = False
    assert log.flush(20)
    assert chat.messages() == found, "each once"


def test_a_failed_sync_reaches_who_asked_for_it(opened: Open, store: Moody, disk: BadDisk) -> None:
    """`ack="fsync"` promises the disk and nothing less."""
    log = opened(store, files=disk)
    log.history("s").add("x", ack="fsync")
    disk.dying()
    with pytest.raises(JournalError, match="sync"):
        log.history("s").add("y", ack="fsync")


def test_closing_on_a_dead_disk_ends(
    opened: Open, store: Moody, disk: BadDisk, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told in the log, not by an error that nobody catches."""
    log = opened(store, files=disk)
    log.history("s").add("x")
    disk.failing = dict.fromkeys(("write", "create", "truncate", "sync"), EIO)
    log.close(timeout=0.1)
    assert "sync" in caplog.text


# the end


def overtakes(kept: list[Any], count: int) -> bool:
    """Tell whether more than that many were kept."""
    return len(kept) > count


def test_adds_that_race_with_close_are_taken_or_refused(opened: Open, store: Moody) -> None:
    """Each that returned is there afterwards; each that did not raised one of our errors."""
    for _ in range(5):
        log = opened(store)
        kept: list[Any] = []
        faults: list[BaseException] = []

        def work(log: EventLog = log, kept: list[Any] = kept, faults: list[BaseException] = faults) -> None:
            try:
                while True:
                    kept.append(log.history("s").add("x"))
            except Closed:
                pass
            except BaseException as error:  # noqa: BLE001 - told below
                faults.append(error)

        threads = [Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        eventually(partial(overtakes, kept, 100))
        log.close(timeout=0)
        for thread in threads:
            thread.join()
        assert faults == []
        later = opened(store)
        assert later.flush(20)
        arrived = {record[:16] for record in store.inner.read("s", limit=1 << 30)}
        assert arrived >= set(kept)
        later.close()


@pytest.mark.parametrize("end", ["leave", "raise", "kill"])
def test_a_process_needs_no_close(tmp_path: Path, place: Path, opened: Open, end: str) -> None:
    """At exit what is pending is delivered; a killed process leaves it to the next one."""
    path = tmp_path / "events.db"
    done = subprocess.run([sys.executable, "-c", AT_EXIT, str(path), str(place), end], check=False, capture_output=True)
    assert done.returncode == {"leave": 0, "raise": 3, "kill": -9}[end], done.stderr
    if end != "kill":
        assert len(SQLiteBackend(path).read("s", limit=9999)) == 1000
    log = opened(SQLiteBackend(path))
    assert log.history("s").messages() == list(range(1000))
    assert log.flush(20)


def test_a_torn_tail_of_a_killed_writer_is_counted_and_left(opened: Open, store: Moody, place: Path) -> None:
    """The power went in the middle of a write; what was whole is there."""
    store.down = True
    log = opened(store)
    log.history("s").add_many([1, 2, 3])
    crash(log)
    with next(place.rglob("*.seg")).open("ab") as file:
        file.write(b"half of a frame" * 5)
    store.down = False
    later = opened(store)
    assert later.flush(20)
    assert later.history("s").messages() == [1, 2, 3]
    eventually(lambda: later.status().torn_tails == 1)
    assert later.status().damaged_frames == 0
    assert opened(store).status().torn_tails == 1


def test_a_damaged_frame_is_counted_and_the_rest_arrives(opened: Open, store: Moody, place: Path) -> None:
    """A bad sector costs what lay on it."""
    store.down = True
    log = opened(store)
    for number in range(3):
        log.history("s").add(number)
    crash(log)
    folder = writer_folder(place)
    flip(segment_path(folder, 1), frames_in(folder)[1].offset + 45)
    store.down = False
    later = opened(store)
    assert later.flush(20)
    assert later.history("s").messages() == [0, 2]
    assert (later.status().torn_tails, later.status().damaged_frames) == (0, 1)
    assert opened(store).status().damaged_frames == 1


def test_what_went_out_of_folders_that_are_gone_is_still_counted(opened: Open, store: Moody) -> None:
    """A counter that falls back tells an operator nothing."""
    for number in (1, 2):
        log = opened(store)
        log.history("s").add_many(range(5))
        assert log.flush(20)
        assert log.status().backends["memory"].delivered == 5 * number
        log.close()
    assert opened(store).status().backends["memory"].delivered == 10
