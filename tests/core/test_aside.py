"""What is aside: safe on the disk, read with the rest, gone when it was taken, erased to the last byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventlog.aside import Aside
from eventlog.errors import JournalError
from tests.core.records import NOON_MS, eid, said

KEY, OTHER = "redis-1", "sqlite-2"
EVENTS = [said(eid(NOON_MS + number), f"aside-{number}") for number in range(4)]


@pytest.fixture
def aside(tmp_path: Path) -> Aside:
    """Give the events aside of an empty directory."""
    return Aside(tmp_path)


def test_nothing_aside_makes_no_file(aside: Aside, tmp_path: Path) -> None:
    """Who only looks leaves nothing behind."""
    assert aside.records("s", KEY) == []
    assert aside.sessions(KEY) == set()
    assert aside.counts(KEY) == (0, 0)
    assert list(tmp_path.iterdir()) == []


def test_what_is_put_aside_is_read_by_another_process_view(aside: Aside, tmp_path: Path) -> None:
    """The file is the truth, not the object; each backend has its own."""
    aside.put(KEY, {"s": EVENTS[:2], "t": EVENTS[2:3]}, "held", "away", NOON_MS)
    other = Aside(tmp_path)
    assert other.records("s", KEY) == EVENTS[:2]
    assert other.records("s", OTHER) == []
    assert other.sessions(KEY, "held") == {"s", "t"}
    assert other.counts(KEY) == (3, 0)
    assert (tmp_path / "aside.db").stat().st_mode & 0o777 == 0o600


def test_putting_twice_is_once(aside: Aside) -> None:
    """A crash between the commit and the cursor puts again."""
    for _ in range(2):
        aside.put(KEY, {"s": EVENTS}, "held", "away", NOON_MS)
    assert aside.counts(KEY) == (4, 0)


def test_those_tried_least_are_due_first(aside: Aside) -> None:
    """A session that never works does not keep others from their turn."""
    aside.put(KEY, {"a": EVENTS[:1], "b": EVENTS[1:2]}, "held", "away", NOON_MS)
    aside.tried(KEY, ["a"])
    assert aside.due(KEY, 1) == {"b": EVENTS[1:2]}


def test_what_was_taken_is_gone(aside: Aside) -> None:
    """And only that."""
    aside.put(KEY, {"s": EVENTS}, "held", "away", NOON_MS)
    aside.taken(KEY, {"s": EVENTS[:3]})
    assert aside.records("s", KEY) == EVENTS[3:]


def test_a_dead_letter_can_be_retried_or_dropped(aside: Aside) -> None:
    """By its id; a dead one is not due, a retried one is."""
    aside.put(KEY, {"s": EVENTS[:2]}, "dead", "too large", NOON_MS)
    assert [(letter.record, letter.reason) for letter in aside.dead_letters(KEY)] == [
        (EVENTS[0], "too large"),
        (EVENTS[1], "too large"),
    ]
    assert aside.due(KEY, 10) == {}
    aside.retry_dead(KEY, [EVENTS[0][:16]])
    aside.drop_dead(KEY, [EVENTS[0][:16], EVENTS[1][:16]])
    assert aside.due(KEY, 10) == {"s": EVENTS[:1]}
    assert aside.counts(KEY) == (1, 0)


def test_an_erased_session_is_in_no_byte_of_the_file(aside: Aside, tmp_path: Path) -> None:
    """The database, its write-ahead log and its index of it."""
    aside.put(KEY, {"s": EVENTS, "t": [said(eid(NOON_MS + 9), "another")]}, "held", "away", NOON_MS)
    assert any(b"aside-1" in path.read_bytes() for path in tmp_path.iterdir())
    aside.erase("s", eid(NOON_MS + 4))
    assert not any(b"aside-1" in path.read_bytes() for path in tmp_path.iterdir())
    assert aside.sessions(KEY) == {"t"}


def test_a_file_that_cannot_be_used_is_a_journal_error(aside: Aside, tmp_path: Path) -> None:
    """It names the file."""
    (tmp_path / "aside.db").write_bytes(b"no database" * 100)
    with pytest.raises(JournalError, match=r"aside\.db"):
        aside.records("s", KEY)
