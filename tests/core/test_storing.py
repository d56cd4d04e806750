"""What comes late below a clear goes from the store again; what is too old to be judged goes to a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventlog.adapters.memory import MemoryBackend
from eventlog.aside import Aside
from eventlog.codec import encode_cleared
from eventlog.events import HistoryCleared
from eventlog.storing import LATE_MS, PENDING_MAX_MS, Storer
from tests.core.records import DAY_MS, NOON_MS, eid, said
from tests.core.tools import Wall

KEY = "memory-1"


@pytest.fixture
def aside(tmp_path: Path) -> Aside:
    """Give the events aside of an empty directory."""
    return Aside(tmp_path)


def cleared(ms: int, retain_ms: int | None) -> bytes:
    """Give the record of a clear."""
    return eid(ms) + encode_cleared(HistoryCleared(ms, retain_ms))


def storer(store: MemoryBackend, aside: Aside, wall: Wall) -> Storer:
    """Give what stores batches for one process."""
    return Storer(store, KEY, aside, wall)


def stored_after(late_record: bytes, cut: bytes, now_ms: int, aside: Aside) -> list[bytes]:
    """Deliver a clear, then something older, at a time; give what the store has then."""
    store, wall = MemoryBackend("x"), Wall(NOON_MS)
    into = storer(store, aside, wall)
    into.store({"s": [cut]})
    wall.ms = now_ms
    into.store({"s": [late_record]})
    return store.read("s", limit=9)


def test_what_comes_late_below_a_clear_does_not_stay(aside: Aside) -> None:
    """Another host's backlog does not bring a cleared session back."""
    late, cut = said(eid(NOON_MS - 5), "late"), cleared(NOON_MS, 0)
    assert stored_after(late, cut, NOON_MS + LATE_MS, aside) == [cut]


def test_it_stays_while_the_clear_retains_it(aside: Aside) -> None:
    """For replay, as if it had come in time."""
    late = said(eid(NOON_MS - 5), "late")
    assert stored_after(late, cleared(NOON_MS, DAY_MS), NOON_MS + LATE_MS, aside)[0] == late
    assert stored_after(late, cleared(NOON_MS, None), NOON_MS + LATE_MS, aside)[0] == late


def test_what_was_said_after_the_clear_stays_however_late_it_comes(aside: Aside) -> None:
    """Only what lies below the cut is late for it."""
    after, cut = said(eid(NOON_MS + 1), "after"), cleared(NOON_MS, 0)
    assert stored_after(after, cut, NOON_MS + LATE_MS + 2, aside) == [cut, after]


def test_what_was_pending_for_ninety_days_is_a_dead_letter(aside: Aside) -> None:
    """The marker that would have hidden it may be gone; what is younger goes its way."""
    store = MemoryBackend("x")
    old, young = said(eid(NOON_MS), "old"), said(eid(NOON_MS + 2), "young")
    storer(store, aside, Wall(NOON_MS + 1 + PENDING_MAX_MS)).store({"s": [old, young]})
    assert store.read("s", limit=9) == [young]
    assert [letter.record for letter in aside.dead_letters(KEY)] == [old]


def test_clears_of_one_batch_cost_one_removal_a_session(aside: Aside) -> None:
    """The newest removes what the others would have."""
    store, removed = MemoryBackend("x"), []
    remove = store.remove

    def noted(session: str, before: bytes) -> None:
        removed.append((session, before))
        remove(session, before)

    store.remove = noted  # type: ignore[method-assign]
    cuts = [cleared(NOON_MS + number, 0) for number in range(3)]
    kept = cleared(NOON_MS + 9, DAY_MS)
    batch = {"s": [said(eid(NOON_MS - 1), "x"), *cuts, said(eid(NOON_MS + 5), "y"), kept], "t": cuts[:1]}
    storer(store, aside, Wall(NOON_MS + 10)).store(batch)
    assert removed == [("s", cuts[2][:16]), ("t", cuts[0][:16])]
    assert store.read("s", limit=9) == batch["s"][3:]
