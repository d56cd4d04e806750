"""What was removed from SQLite is in no byte of its files: not in its pages, nor between them, nor in its WAL."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from random import Random
from struct import pack

import apsw
import pytest

from eventlog.adapters import sqlite_pages
from eventlog.adapters.sqlite import SQLiteBackend
from eventlog.adapters.sqlite_pages import without_gap
from eventlog.errors import BackendUnavailable
from tests.contract.suite import ALL
from tests.core.records import NOON_MS, eid, said

SESSIONS, EVENTS = 120, 20
SIZES = (50, 900, 3000)


def text_of(session: int) -> str:
    """Give the words that only one session has."""
    return f"SECRET-OF-{session:04d}."


def filled(backend: SQLiteBackend, order: str) -> dict[str, list[bytes]]:
    """Store sessions whose events come one after the other, in turns, or anyhow: pages are split in all ways."""
    random = Random(order)  # noqa: S311 - it hides nothing
    records = {
        f"s{session}": [
            said(eid(NOON_MS + number), text_of(session) + "x" * random.choice(SIZES)) for number in range(EVENTS)
        ]
        for session in range(SESSIONS)
    }
    turns = [(name, number) for name in records for number in range(EVENTS)]
    if order == "in turns":
        turns.sort(key=lambda turn: turn[1])
    elif order == "anyhow":
        random.shuffle(turns)
    for start in range(0, len(turns), 40):
        batch: dict[str, list[bytes]] = {}
        for name, number in turns[start : start + 40]:
            batch.setdefault(name, []).append(records[name][number])
        backend.append(batch)
    return records


def bytes_of(path: Path) -> bytes:
    """Give all that is on the disk of a database."""
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


@pytest.mark.parametrize("order", ["in order", "in turns", "anyhow"])
def test_removed_text_is_in_no_byte(tmp_path: Path, order: str) -> None:
    """Whichever session goes, however it came and whatever lay beside it; the others are whole."""
    path = tmp_path / "events.db"
    backend = SQLiteBackend(path)
    records = filled(backend, order)
    gone = Random(order).sample(range(SESSIONS), 40)  # noqa: S311 - it hides nothing
    for session in gone:
        assert text_of(session).encode() in bytes_of(path)
        if session % 2:
            backend.remove(f"s{session}", b"\xff" * 16)
        else:
            backend.discard(f"s{session}", records[f"s{session}"])
        assert text_of(session).encode() not in bytes_of(path)
    for session in set(range(SESSIONS)) - set(gone):
        assert backend.read(f"s{session}", limit=ALL) == records[f"s{session}"]
    backend.close()
    with sqlite3.connect(path) as plain:
        assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert plain.execute("SELECT count(*) FROM events").fetchone() == ((SESSIONS - 40) * EVENTS,)


def test_what_a_killed_process_deleted_goes_with_the_next_removal(tmp_path: Path) -> None:
    """It may have died before its WAL was truncated."""
    path = tmp_path / "events.db"
    SQLiteBackend(path).append({"s": [said(eid(NOON_MS), text_of(1))], "t": [said(eid(NOON_MS), "x")]})
    killed = apsw.Connection(str(path))
    killed.execute("PRAGMA secure_delete = ON; DELETE FROM events WHERE session = 's'").fetchall()
    assert text_of(1).encode() in bytes_of(path)
    SQLiteBackend(path).remove("nobody", b"\xff" * 16)
    assert text_of(1).encode() not in bytes_of(path)
    killed.close()


def test_a_removal_that_a_reader_holds_up_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads the events any more, but they are said to be removed only when their bytes are."""
    monkeypatch.setattr("eventlog.adapters.sqlite.BUSY_TIMEOUT_MS", 1)
    path = tmp_path / "events.db"
    backend = SQLiteBackend(path)
    backend.append({"s": [said(eid(NOON_MS), text_of(1))], "t": [said(eid(NOON_MS), "x")]})
    reader = apsw.Connection(str(path))
    reader.execute("BEGIN; SELECT * FROM events").fetchall()
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match="Busy"):
            backend.remove("s", b"\xff" * 16)
        assert backend.read("s", limit=ALL) == []
    reader.execute("COMMIT")
    backend.remove("s", b"\xff" * 16)
    assert text_of(1).encode() not in bytes_of(path)
    reader.close()


@pytest.mark.parametrize(("mode", "is_wiped"), [("NONE", True), ("FULL", False), ("INCREMENTAL", False)])
def test_a_file_with_auto_vacuum_is_written_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, *, is_wiped: bool
) -> None:
    """Some of its pages only look like those of a b-tree."""
    path = tmp_path / "events.db"
    with apsw.Connection(str(path)) as maker:
        maker.execute(f"PRAGMA auto_vacuum = {mode}; CREATE TABLE of_somebody_else (x)").fetchall()
    wiped: list[bytes] = []

    def look_on(page: bytes, *, first: bool) -> bytes:
        wiped.append(page)
        return without_gap(page, first=first)

    monkeypatch.setattr(sqlite_pages, "without_gap", look_on)
    backend = SQLiteBackend(path)
    records = filled(backend, "anyhow")
    backend.remove("s1", b"\xff" * 16)
    backend.close()
    assert bool(wiped) is is_wiped
    with sqlite3.connect(path) as plain:
        assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert backend.read("s2", limit=ALL) == records["s2"]


@pytest.mark.parametrize(("kind", "header_bytes"), [(2, 12), (5, 12), (10, 8), (13, 8)])
def test_only_the_gap_of_a_page_is_wiped(kind: int, header_bytes: int) -> None:
    """From the last pointer to the first cell; behind the file's own header on the first page."""
    for first in (False, True):
        start = 100 if first else 0
        page = b"\xaa" * start + bytes([kind]) + b"\xaa\xaa" + pack(">HH", 3, 400) + b"\xaa" * (512 - 7 - start)
        begin = start + header_bytes + 6
        assert without_gap(page, first=first) == page[:begin] + bytes(400 - begin) + page[400:]


@pytest.mark.parametrize(
    "page",
    [
        b"\x00" * 512,
        b"\x01\x02" + b"\xaa" * 510,
        b"\x0d\xaa\xaa" + pack(">HH", 3, 600) + b"\xaa" * 505,
        b"\x0d\xaa\xaa" + pack(">HH", 300, 400) + b"\xaa" * 505,
        b"\x0d\xaa\xaa" + pack(">HH", 196, 400) + b"\xaa" * 505,
    ],
)
def test_what_is_no_page_of_a_tree_is_left_alone(page: bytes) -> None:
    """Nor one whose header makes no sense, or has no gap."""
    assert without_gap(page) == page
