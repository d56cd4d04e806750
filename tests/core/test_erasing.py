"""A session erased: from every byte of the journal and the stores, for all processes of the host, and it stays away."""

from __future__ import annotations

from pathlib import Path

import pytest

import eventlog
from eventlog.adapters.memory import MemoryBackend
from eventlog.adapters.sqlite import SQLiteBackend
from eventlog.erasing import ErasedList
from eventlog.log import EventLog
from tests.core.records import HOUR_MS, NOON_MS, eid
from tests.core.tools import Moody, Wall, crash, eventually, open_log

MARK = "the-text-that-must-go"


def files_with_mark(place: Path) -> list[str]:
    """Search every byte below a folder."""
    return [path.name for path in place.rglob("*") if path.is_file() and MARK.encode() in path.read_bytes()]


def fill(log: EventLog) -> None:
    """Write a session that must go between others that must stay."""
    for number in range(20):
        log.history("gone").add(f"{MARK} {number}")
        log.history("stays").add(f"keep {number}")


def test_an_erased_session_is_in_no_byte_of_journal_and_store(tmp_path: Path) -> None:
    """Delivered or pending; what lies between is whole."""
    store = SQLiteBackend(tmp_path / "store.db")
    with open_log(store, journal=tmp_path / "journal") as log:
        fill(log)
        assert log.flush(20)
        fill(log)
        assert files_with_mark(tmp_path)
        log.erase("gone")
        eventually(lambda: files_with_mark(tmp_path / "journal") == [])
        assert log.history("gone").messages() == []
        assert len(log.history("stays").messages()) == 40
        assert log.status().damaged_frames == 0
        assert log.flush(20)
    assert [record for record in store.read("gone", limit=99) if MARK.encode() in record] == []


def test_an_erase_in_an_outage_goes_when_the_cut_arrives(tmp_path: Path) -> None:
    """Nothing of it is delivered afterwards; the lag tells what is still on its way."""
    store = Moody(MemoryBackend("x"))
    with open_log(store, journal=tmp_path / "journal", max_block=0.3) as log:
        fill(log)
        assert log.flush(20)
        store.down = True
        log.history("gone").add(f"{MARK} late")
        log.erase("gone")
        assert files_with_mark(tmp_path / "journal") == []
        assert log.history("gone").messages() == []
        assert log.status().backends["memory"].lag_events > 0
        store.down = False
        assert log.flush(20)
        assert [record for record in store.inner.read("gone", limit=99) if MARK.encode() in record] == []


def test_what_a_dead_writer_left_is_erased_too(tmp_path: Path) -> None:
    """Its folder is blanked like one's own."""
    store = Moody(MemoryBackend("x"))
    store.down = True
    first = open_log(store, journal=tmp_path / "journal", max_block=0.3)
    fill(first)
    crash(first)
    with open_log(store, journal=tmp_path / "journal", max_block=0.3) as log:
        log.erase("gone")
        assert files_with_mark(tmp_path / "journal") == []
        store.down = False
        assert log.flush(20)
        assert len(log.history("stays").messages()) == 20


def test_another_hosts_late_backlog_does_not_bring_a_session_back(tmp_path: Path) -> None:
    """That host knows of no erasure; it meets the marker where it delivers, and removes what it brought."""
    wall = Wall()
    theirs = Moody(SQLiteBackend(tmp_path / "store.db"))
    theirs.down = True
    with (
        open_log(SQLiteBackend(tmp_path / "store.db"), journal=tmp_path / "here", wall=wall) as log,
        open_log(theirs, journal=tmp_path / "there", wall=wall) as other,
    ):
        fill(log)
        fill(other)
        wall.ms += HOUR_MS
        log.erase("gone")
        assert log.flush(20)
        theirs.down = False
        assert other.flush(20)
        assert other.history("gone").messages() == log.history("gone").messages() == []
        assert len(other.history("stays").messages()) == 40
    assert files_with_mark(tmp_path) == []


def test_what_another_process_remembers_is_not_shown_in_an_outage(tmp_path: Path) -> None:
    """Its memory has the messages still; the list of erased sessions hides them."""
    store = Moody(MemoryBackend("x"))
    with (
        open_log(store, journal=tmp_path / "journal") as log,
        open_log(store, journal=tmp_path / "journal") as other,
    ):
        fill(log)
        assert log.flush(20)
        assert len(other.history("gone").messages()) == 20
        log.erase("gone")
        assert log.flush(20)
        store.deaf_to_reads = True
        assert other.history("gone").messages() == []
        assert len(other.history("stays").messages()) == 0  # never seen by it: a new chat begins in an outage


def test_a_session_can_begin_anew_after_it_was_erased(tmp_path: Path) -> None:
    """An erasure is of what was, not of what will be."""
    with eventlog.open("memory:", journal=tmp_path / "journal") as log:
        log.history("s").add(MARK)
        log.erase("s")
        log.history("s").add("anew")
        assert log.history("s").messages() == ["anew"]


def test_the_list_tells_the_newest_cut_to_every_view(tmp_path: Path) -> None:
    """Across objects, as across processes; a torn last entry is not read."""
    written, seen = ErasedList(tmp_path), ErasedList(tmp_path)
    assert seen.cut(b"s") == bytes(16)
    written.add(b"s", eid(NOON_MS + 1))
    written.add(b"s", eid(NOON_MS))
    assert seen.cut(b"s") == eid(NOON_MS + 1)
    with (tmp_path / "erased").open("ab") as file:
        file.write(b"torn")
    assert seen.cut(b"s") == eid(NOON_MS + 1)


@pytest.mark.parametrize("bad", ["", "x" * 1025])
def test_a_bad_session_id_is_refused(bad: str) -> None:
    """Before anything is written."""
    with eventlog.open("memory:") as log, pytest.raises(ValueError, match="1024"):
        log.erase(bad)
