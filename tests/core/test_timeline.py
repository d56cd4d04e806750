"""A session's timeline, from a log: the same as its messages at every instant, where each event is, and replays."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog import reading, replaying
from eventlog.adapters.memory import MemoryBackend
from eventlog.adapters.sqlite import SQLiteBackend
from eventlog.errors import BackendUnavailable
from eventlog.events import EPOCH, MS, EventId
from eventlog.log import EventLog
from eventlog.projections.timeline import TimelineEntry
from eventlog.settings import Expiry
from tests.core.examples import examples
from tests.core.records import NOON_MS, cut, eid, said
from tests.core.tools import Moody, Wall, eventually, open_log

FOREIGN = bytes.fromhex("bfffffffffffffff")
STEPS = st.one_of(
    st.tuples(st.just("wait"), st.integers(1, 30)),
    st.tuples(st.sampled_from(["stays", "fixed", "sliding"]), st.integers(1, 40)),
    st.tuples(st.just("clear"), st.just(0)),
)


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> list[Moody]:
    """Give two stores, with a breaker that pauses for no time worth naming."""
    monkeypatch.setattr(reading, "BREAKER_FIRST_S", 1e-9)
    return [Moody(MemoryBackend("first")), Moody(MemoryBackend("second"))]


@pytest.fixture
def log(stores: list[Moody], tmp_path: Path) -> Iterator[EventLog]:
    """Give a log over both."""
    opened = open_log(*stores, wall=Wall(), journal=tmp_path / "journal", max_block=0.2)
    yield opened
    opened.close(timeout=0)


def shown(entries: list[TimelineEntry]) -> list[Any]:
    """Give the messages that are visible."""
    return [each.message for each in entries if each.state == "visible"]


def do(log: EventLog, wall: Wall, step: tuple[str, int], number: int) -> None:
    """Let time pass, or write."""
    what, size = step
    if what == "wait":
        wall.ms += size
    elif what == "clear":
        log.history("s").clear()
    elif what == "stays":
        log.history("s").add(number)
    else:
        expiry: Expiry = "sliding" if what == "sliding" else "fixed"
        log.history("s", ttl=timedelta(milliseconds=size), expiry=expiry).add(number)


@given(st.lists(STEPS, max_size=14))
@examples(60)
def test_every_instant_is_shown_later_as_a_reader_saw_it_then(steps: list[tuple[str, int]]) -> None:
    """By its time, by the id of its last event, as messages and as a timeline, before clears too."""
    wall = Wall()
    with open_log("memory:", wall=wall) as log:
        chat, seen = log.history("s"), {}
        for number, step in enumerate(steps):
            until_ms = wall.ms + (step[1] if step[0] == "wait" else 0)
            do(log, wall, step if step[0] != "wait" else ("wait", 0), number)
            while True:
                seen[wall.ms] = (list(chat.messages()), [each.id for each in chat.timeline()])
                if wall.ms >= until_ms:
                    break
                wall.ms += 1
        for then_ms, (messages, ids) in seen.items():
            at = EPOCH + then_ms * MS
            assert chat.messages(as_of=at) == messages
            assert shown(chat.timeline(as_of=at)) == messages
            assert [each.id for each in chat.timeline(as_of=at)] == ids
        for each in chat.timeline():
            entries = chat.timeline(as_of=EventId(each.id))
            assert entries[-1].id == each.id
            assert shown(entries) == chat.messages(as_of=EventId(each.id))


def test_a_timeline_shows_what_a_clear_took_and_messages_do_not(log: EventLog) -> None:
    """With what took it, and a summary."""
    chat = log.history("s")
    chat.add({"role": "user", "content": "before"})
    by = chat.clear()
    chat.add({"role": "user", "content": "after"})
    found = chat.timeline()
    assert [(each.kind, each.text, each.state) for each in found] == [
        ("message", "before", "cleared"),
        ("clear", "", "applied"),
        ("message", "after", "visible"),
    ]
    assert found[0].cleared_by == by
    assert (found.summary.messages, found.summary.clears, len(found.summary.writers)) == (2, 1, 1)
    assert (found.source, found.complete) == ("memory", True)


def test_each_entry_says_which_backends_have_it_and_for_which_it_waits(log: EventLog, stores: list[Moody]) -> None:
    """What is under way to the second is pending there, and what only the second has is no message."""
    stores[1].deaf_to_appends = True
    chat = log.history("s")
    chat.add("waits for the second", ack="backend")
    (each,) = chat.timeline()
    assert (each.backends, each.pending) == (("memory",), ("memory2",))
    stores[1].deaf_to_appends = False
    assert log.flush(20)
    (each,) = chat.timeline()
    assert (each.backends, each.pending) == (("memory", "memory2"), ())


def test_a_backend_that_lost_an_event_does_not_count_as_having_it(log: EventLog, stores: list[Moody]) -> None:
    """It is asked, not believed; one that does not answer is not named."""
    chat = log.history("s")
    chat.add("x", ack="backend")
    assert log.flush(20)
    stores[1].inner.remove("s", b"\xff" * 16)
    assert [each.backends for each in chat.timeline()] == [("memory",)]
    stores[1].deaf_to_reads = True
    assert [each.backends for each in chat.timeline()] == [("memory",)]


def test_what_a_backend_has_is_not_pending_there_though_its_answer_was_lost(log: EventLog, stores: list[Moody]) -> None:
    """It is delivered again, which is this host's affair."""
    stores[0].loses_replies = True
    log.history("s").add("x")
    eventually(lambda: stores[0].appended)
    assert [each.backends[:1] for each in log.history("s").timeline()] == [("memory",)]
    assert "memory" not in log.history("s").timeline()[0].pending
    stores[0].loses_replies = False


def test_what_no_backend_has_yet_is_pending(log: EventLog, stores: list[Moody]) -> None:
    """The timeline of an outage says that it is not complete."""
    for store in stores:
        store.down = True
    log.history("s").add("x")
    found = log.history("s").timeline()
    assert [(each.text, each.backends, each.pending) for each in found] == [('"x"', (), ("memory", "memory2"))]
    assert (found.source, found.complete) == ("journal", False)


def test_a_backend_that_goes_away_in_the_middle_is_an_error_and_no_removed_text(
    log: EventLog, stores: list[Moody]
) -> None:
    """What cannot be read now is not called gone."""
    stores[0].inner.append({"s": [said(eid(NOON_MS, number), number) for number in range(5)]})
    replay = log.history("s").replay()
    replay.look()
    stores[0].down = stores[1].down = True
    with pytest.raises(BackendUnavailable):
        list(replay)
    replay.look()
    with pytest.raises(BackendUnavailable):
        list(replay)
    assert [each.state for each in replay.entries(0, 5, partial=True)] == ["unread"] * 5
    stores[0].down = False
    replay.look()
    assert shown(list(replay)) == [0, 1, 2, 3, 4]


def test_what_was_removed_while_it_was_read_says_so(log: EventLog, stores: list[Moody]) -> None:
    """It had a place and has no text any more."""
    stores[0].inner.append({"s": [said(eid(NOON_MS, number), number) for number in range(3)]})
    replay = log.history("s").replay()
    replay.look()
    stores[0].inner.discard("s", [eid(NOON_MS, 1)])
    assert [(each.state, each.text) for each in replay] == [("visible", "0"), ("removed", ""), ("visible", "2")]


def test_what_expired_and_was_removed_is_still_called_expired(stores: list[Moody], tmp_path: Path) -> None:
    """A store lets go of it when its time is over: that is no other reason."""
    wall = Wall()
    with open_log(*stores, wall=wall, journal=tmp_path / "j2") as log:
        log.history("s", ttl=1).add("short", ack="backend")
        replay = log.history("s").replay()
        replay.look()
        wall.ms += 2000
        stores[0].inner.remove("s", b"\xff" * 16)
        replay.look()
        assert [(each.state, each.text) for each in replay] == [("expired", "")]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 30])
def test_pieces_of_any_size_give_the_whole(
    log: EventLog, stores: list[Moody], monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """The first, the last, none missing, none twice; some of them pending."""
    monkeypatch.setattr(replaying, "PIECE_EVENTS", 8)
    records = [said(eid(NOON_MS - 100 + number), number) for number in range(count)]
    stores[0].inner.append({"s": records})
    stores[0].deaf_to_appends = True
    chat = log.history("s")
    chat.add_many(["pending"] * 3)
    replay = chat.replay()
    assert list(replay.look().ids()) == [each.id for each in replay]
    assert shown(list(replay)) == [*range(count), *["pending"] * 3]
    for start in range(count + 3):
        assert shown(replay.entries(start, start + 5)) == shown(list(replay))[start : start + 5]


def test_a_look_finds_what_is_new_and_a_whole_one_what_came_late(
    log: EventLog, stores: list[Moody], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long session is not read again for each new event; a whole look follows after twenty times what it took."""
    monkeypatch.setattr(replaying, "PIECE_EVENTS", 64)
    stores[0].inner.append({"s": [said(eid(NOON_MS - 5000 + number), number) for number in range(400)]})
    now_s = iter([0.0, 1.0, 2.0, 3.0, 22.0, 23.0])
    replay = replaying.Replay(log._reader, lambda: log.history("s")._query(None, None), lambda: next(now_s))
    assert len(replay.look()) == 400
    stores[0].pages.clear()
    late, new = eid(NOON_MS - 9000, 0, FOREIGN), eid(NOON_MS - 10, 0, FOREIGN)
    stores[0].inner.append({"s": [said(late, "late"), said(new, "new")]})
    assert list(replay.look().ids()) == [new]
    assert sum(stores[0].pages) <= 32
    assert list(replay.look().ids()) == []
    assert list(replay.look().ids()) == [late]
    assert (len(replay), replay.inserted) == (402, 1)


def test_what_a_replay_shows_is_observed_by_the_clock(log: EventLog, stores: list[Moody]) -> None:
    """What is added after looking sorts after what was seen."""
    stores[0].inner.append({"s": [said(eid(NOON_MS + 60_000, 0, FOREIGN), "from a fast clock")]})
    chat = log.history("s")
    assert [each.text for each in chat.timeline()] == ['"from a fast clock"']
    assert chat.add("the answer") > eid(NOON_MS + 60_000, 0, FOREIGN)


def test_ten_thousand_clears_are_gone_through(log: EventLog, stores: list[Moody]) -> None:
    """And each is there."""
    stores[0].inner.append({"s": [cut(eid(NOON_MS - 10_000 + number)) for number in range(10_000)]})
    assert log.history("s").timeline().summary.clears == 10_000


@pytest.mark.slow
def test_a_replay_takes_as_little_memory_for_a_long_session(tmp_path: Path) -> None:
    """Eight times the text, at most as many times 40 bytes an event more."""

    def peak_bytes(count: int) -> int:
        store = SQLiteBackend(str(tmp_path / f"{count}.db"))
        store.append({"s": [said(eid(NOON_MS - 90_000 + number), "x" * 500) for number in range(count)]})
        with open_log(store, wall=Wall(), journal=tmp_path / f"j{count}") as log:
            tracemalloc.start()
            replay = log.history("s").replay()
            replay.look()
            assert sum(1 for _ in replay) == count
            try:
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    assert peak_bytes(40_000) - peak_bytes(5_000) < 35_000 * 120
