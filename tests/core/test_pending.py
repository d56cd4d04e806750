"""The pending view: what any process of this host holds for a session and a backend lacks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE

import pytest

import eventlog
from eventlog.adapters.memory import MemoryBackend
from eventlog.adapters.sqlite import SQLiteBackend
from eventlog.aside import Aside
from eventlog.directory import Directory, Folder
from eventlog.files import Files
from eventlog.journal import Journal
from eventlog.pending import PendingView
from eventlog.place import backend_key
from eventlog.segment import Position
from tests.core.records import NOON_MS, eid, said
from tests.core.tools import Moody, new_journal, open_log, write

IDENTITIES = ["memory:first", "memory:second"]
FIRST, SECOND = (backend_key(identity) for identity in IDENTITIES)
WRITERS = [bytes.fromhex(f"800000000000000{number}") for number in range(1, 4)]
LONG = "x" * 1000
SIBLING = """
import sys, eventlog
log = eventlog.open(f"sqlite:///{sys.argv[1]}", journal=sys.argv[2], deliver=False)
log.history("s").add("from the sibling")
print("added", flush=True)
input()
"""


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    """Give an empty directory."""
    return Directory(tmp_path / "journal", Files())


@pytest.fixture
def view(directory: Directory) -> Iterator[PendingView]:
    """Give a view of it."""
    pending = PendingView(directory, Aside(directory.root))
    yield pending
    pending.close()


def writer(directory: Directory, number: int, segment_bytes: int = 4096) -> tuple[Folder, Journal]:
    """Start one more writer, as another process would."""
    folder = directory.new_folder(WRITERS[number], IDENTITIES, deliver=False)
    return folder, new_journal(folder.path, segment_bytes=segment_bytes)


def shown(view: PendingView, key: str, session: bytes = b"s") -> list[bytes]:
    """Give what a backend lacks of a session, each record once and in order."""
    return sorted(set(view.records(session, key)))


def deliver(folder: Folder, key: str, position: Position) -> None:
    """Say that a backend has all up to there."""
    cursor = folder.cursor(key)
    cursor.save(position)
    cursor.close()


def test_what_was_added_is_pending_until_the_cursor_has_passed(directory: Directory, view: PendingView) -> None:
    """For each backend by its own cursor, and only that session's."""
    folder, journal = writer(directory, 0)
    first = write(journal, "s", 1)
    write(journal, "other", "x")
    between = journal.end
    second = write(journal, "s", 2)
    assert shown(view, FIRST) == first + second
    deliver(folder, FIRST, between)
    assert shown(view, FIRST) == second
    assert shown(view, SECOND) == first + second
    deliver(folder, FIRST, journal.end)
    assert shown(view, FIRST) == []
    assert view.records(b"nobody", SECOND) == []


def test_the_view_spans_all_writers_of_the_directory(directory: Directory, view: PendingView) -> None:
    """Living and dead ones, those that come later, and not those that are gone."""
    one, first = writer(directory, 0)
    records = write(first, "s", 1)
    one.release()
    assert shown(view, FIRST) == records
    _, second = writer(directory, 1)
    more = write(second, "s", 2)
    assert shown(view, FIRST) == sorted(records + more)
    for key in (FIRST, SECOND):
        deliver(one, key, first.end)
    assert directory.remove_if_done(one)
    assert shown(view, FIRST) == more


def test_the_view_follows_rotation(directory: Directory, view: PendingView) -> None:
    """New segments are seen, delivered ones are let go."""
    folder, journal = writer(directory, 0)
    written: list[bytes] = []
    for number in range(20):
        written += write(journal, "s", LONG + str(number))
        assert shown(view, FIRST) == written
    deliver(folder, FIRST, journal.end)
    assert shown(view, FIRST) == []


def test_one_backend_far_ahead_takes_nothing_from_the_view_of_another(directory: Directory, view: PendingView) -> None:
    """Segments that the first backend has are still pending for the second."""
    folder, journal = writer(directory, 0)
    written = [record for number in range(12) for record in write(journal, "s", LONG + str(number))]
    assert shown(view, FIRST) == written
    deliver(folder, FIRST, journal.end)
    assert shown(view, FIRST) == []
    assert shown(view, SECOND) == written
    assert view.sessions(SECOND) == {"s"}


def test_a_damaged_cursor_shows_more_and_never_less(directory: Directory, view: PendingView) -> None:
    """All that is there counts as pending then."""
    folder, journal = writer(directory, 0)
    written = write(journal, "s", 1) + write(journal, "s", 2)
    deliver(folder, FIRST, journal.end)
    (folder.path / f"{FIRST}.cursor").write_bytes(b"garbage")
    assert shown(view, FIRST) == written


def test_what_is_aside_is_pending_too(directory: Directory) -> None:
    """A message that a backend did not take is still a message."""
    aside = Aside(directory.root)
    record = said(eid(NOON_MS), "held")
    aside.put(FIRST, {"s": [record]}, "held", "why", NOON_MS)
    view = PendingView(directory, aside)
    assert shown(view, FIRST) == [record]
    assert shown(view, SECOND) == []
    assert view.sessions(FIRST) == {"s"}


def test_sessions_with_anything_pending_are_listed(directory: Directory, view: PendingView) -> None:
    """Over all writers, each once, whatever their names are."""
    _, one = writer(directory, 0)
    _, two = writer(directory, 1)
    for name in ("a", "b\n", "{}"):
        write(one, name, 1)
    write(two, "a", 2)
    assert view.sessions(FIRST) == {"a", "b\n", "{}"}


def test_what_a_sibling_added_is_in_the_next_read_also_in_an_outage(tmp_path: Path) -> None:
    """Two processes share a directory: neither needs the backend to see the other's messages."""
    backend = Moody(SQLiteBackend(tmp_path / "s.db"))
    backend.down = True
    command = [sys.executable, "-c", SIBLING, str(tmp_path / "s.db"), str(tmp_path / "journal")]
    with open_log(backend, journal=tmp_path / "journal") as log:
        log.history("s").add("mine")
        sibling = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True)
        assert sibling.stdout is not None
        sibling.stdout.readline()
        found = log.history("s").messages()
        assert (list(found), found.complete, found.source) == (["mine", "from the sibling"], False, "journal")
        sibling.kill()
        sibling.communicate()
        backend.down = False
        assert log.flush(20)
        assert len(backend.inner.read("s", limit=9)) == 2, "the survivor delivers for the dead"


def test_a_second_log_in_the_same_process_sees_the_first(tmp_path: Path) -> None:
    """Also where they share nothing but the directory."""
    store = MemoryBackend("shared")
    with (
        eventlog.open(store, journal=tmp_path / "journal", deliver=False) as one,
        eventlog.open(store, journal=tmp_path / "journal", deliver=False) as two,
    ):
        one.history("s").add(1)
        two.history("s").add(2)
        assert one.history("s").messages() == [1, 2] == two.history("s").messages()


def test_who_read_once_keeps_no_segment_alive(directory: Directory, view: PendingView) -> None:
    """A file that is open keeps its room on the disk when its name is gone, and nobody may read again for days."""
    folder, journal = writer(directory, 0)
    for text in "abc":
        write(journal, "s", LONG + text)
    journal.rotate()
    assert len(shown(view, FIRST)) == len(shown(view, SECOND)) == 3
    for key in (FIRST, SECOND):
        cursor = folder.cursor(key)
        cursor.save(Position(2, 64, 3))
        cursor.close()
    journal.sync()
    assert directory.collect(folder) > 0
    assert held_open(folder)
    view.let_go()
    assert not held_open(folder)


def held_open(folder: Folder) -> list[str]:
    """Give the removed files of a folder that this process keeps open."""
    names = []
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # one is of the listing itself, others come and go
            names.append(str(path.readlink()))
    return [name for name in names if name.startswith(str(folder.path)) and name.endswith("(deleted)")]
