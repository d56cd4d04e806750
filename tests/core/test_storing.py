"""What comes late below a clear goes from the store again; what is too old to be judged goes to a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventlog.adapters.memory import MemoryBackend
from eventlog.aside import Aside
from eventlog.clock import id_at
from eventlog.codec import IMPORTED, PERMANENT, encode_cleared, encode_message
from eventlog.events import ALL_OLD, HistoryCleared
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


class WithOld(MemoryBackend):
    """A store beside whose events an older layout lies."""

    def __init__(self) -> None:
        """Have something old in one session."""
        super().__init__("x")
        self.old = {"s"}
        self.stored_then: list[list[bytes]] = []

    def remove_old(self, session: str, before: bytes) -> None:
        """Remove it, and note what the store had by then."""
        self.stored_then.append(self.read(session, before=before + b"\xff", limit=9))
        self.old.discard(session)


def test_what_an_older_layout_holds_goes_before_its_clear_is_stored_and_once(aside: Aside) -> None:
    """Who meets the clear finds the old data gone; a clear that is delivered twice takes nothing that came after it."""
    store = WithOld()
    into = storer(store, aside, Wall(NOON_MS))
    cut = eid(NOON_MS) + encode_cleared(HistoryCleared(NOON_MS, 0, covered=ALL_OLD))
    into.store({"s": [cut], "t": [cleared(NOON_MS, 0)]})
    assert (store.old, store.stored_then) == (set(), [[]])
    store.old.add("s")
    into.store({"s": [cut]})
    assert store.old == {"s"}


def test_what_was_imported_was_never_pending(aside: Aside) -> None:
    """Its id is as old as what it was made of; so is that of the clear that an old program made."""
    store = MemoryBackend("x")
    records = [
        id_at(1, bytes(8)) + encode_message(PERMANENT, 0, IMPORTED, "x", 0),
        id_at(2, bytes(8)) + encode_cleared(HistoryCleared(0, None)),
        eid(NOON_MS - 2 * PENDING_MAX_MS) + encode_message(PERMANENT, 1, IMPORTED, "x", 0),
    ]
    storer(store, aside, Wall(NOON_MS)).store({"s": records})
    assert store.read("s", limit=9) == records
    assert aside.dead_letters(KEY) == []
