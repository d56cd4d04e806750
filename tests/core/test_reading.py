"""Reads: as few pages as it takes, from the first backend that answers, and never less than is known."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog import reading
from eventlog.adapters.memory import MemoryBackend
from eventlog.errors import BackendUnavailable
from eventlog.log import EventLog
from eventlog.projections.messages import Folded, fold
from eventlog.reading import Page, Query, steps
from tests.core.examples import examples
from tests.core.records import DAY_MS, HOUR_MS, NOON_MS, cut, eid, fixed, said, sliding
from tests.core.tools import Moody, Wall, open_log

NOW_MS = NOON_MS + 1000
FOREIGN = bytes.fromhex("bfffffffffffffff")


def texts(folded: Folded) -> list[Any]:
    """Give the visible messages."""
    return [event.message for event in folded.messages]


def drive(query: Query, pending: list[bytes], stored: list[bytes], page_events: int) -> tuple[Folded, list[Page]]:
    """Answer a read's pages from a list and give its fold and what it asked for."""
    walk, pages = steps(query, pending, page_events), []
    try:
        page = next(walk)
        while True:
            pages.append(page)
            below = [record for record in stored if page.before is None or record < page.before]
            page = walk.send(below[-page.limit :])
    except StopIteration as done:
        return done.value[1], pages


def query(last: int | None = None, before: bytes | None = None) -> Query:
    """Ask for a session as of the tests' now."""
    return Query("s", b"s", NOW_MS, NOW_MS, last, before)


def many(count: int) -> list[bytes]:
    """Give that many messages that stay."""
    return [said(eid(NOON_MS, number), number) for number in range(count)]


def test_the_last_few_cost_one_small_page() -> None:
    """However long the session is."""
    folded, pages = drive(query(last=3), [], many(4000), page_events=1000)
    assert texts(folded)[-3:] == [3997, 3998, 3999]
    assert len(pages) == 1
    assert pages[0].limit <= 16


def test_hidden_messages_make_the_last_few_reach_further_back() -> None:
    """Expired ones do not count; the pages grow."""
    stored = [*many(100), *(fixed(eid(NOON_MS, number), "gone", 1) for number in range(100, 200))]
    folded, pages = drive(query(last=3), [], stored, page_events=1000)
    assert texts(folded)[-3:] == [97, 98, 99]
    assert [page.limit for page in pages] == sorted({page.limit for page in pages})


def test_a_clear_ends_the_read() -> None:
    """Nothing before it can be visible, so nothing before it is read."""
    stored = [*many(3900), cut(eid(NOON_MS, 3900)), *(said(eid(NOON_MS, 3901 + number), number) for number in range(3))]
    folded, pages = drive(query(), [], stored, page_events=10)
    assert texts(folded) == [0, 1, 2]
    assert len(pages) == 1
    folded, pages = drive(query(last=5), [], stored, page_events=10)
    assert (texts(folded), len(pages)) == ([0, 1, 2], 1)


def test_a_pending_clear_ends_the_read_too() -> None:
    """What is pending takes part before anything is read twice."""
    folded, pages = drive(query(), [cut(eid(NOON_MS, 4000))], many(3900), page_events=10)
    assert (texts(folded), len(pages)) == ([], 1)


def test_an_older_clear_that_is_pending_ends_nothing_before_it_is_reached() -> None:
    """What lies between it and the page that was read is read first."""
    stored = [said(eid(NOON_MS, number), number) for number in range(10, 30)]
    folded, pages = drive(query(), [cut(eid(NOON_MS, 5))], [*many(5), *stored], page_events=4)
    assert texts(folded) == list(range(10, 30))
    assert len(pages) > 1


def test_older_messages_that_are_pending_do_not_count_before_they_are_reached() -> None:
    """Else the last few would have a gap."""
    stored = [said(eid(NOON_MS, number), number) for number in range(10, 30)]
    stored += [fixed(eid(NOON_MS, number), "gone", 1) for number in range(30, 50)]
    folded, _ = drive(query(last=4), many(5), stored, page_events=16)
    assert texts(folded)[-4:] == [26, 27, 28, 29]


kinds = st.sampled_from(["said", "fixed", "sliding", "cut"])


@given(st.lists(st.tuples(kinds, st.integers(1, 1500)), max_size=60), st.data())
@examples(100)
def test_any_split_into_pages_and_pending_gives_the_fold_of_all(
    rows: list[tuple[str, int]], data: st.DataObject
) -> None:
    """Whatever lies where, `last=N` is the end of the whole, and a bound on ids is respected."""
    makers = {
        "said": lambda ids, n, _: said(ids, n),
        "fixed": fixed,
        "sliding": sliding,
        "cut": lambda ids, *_: cut(ids),
    }
    records = [makers[kind](eid(NOON_MS + 20 * n), n, ttl) for n, (kind, ttl) in enumerate(rows)]
    places = data.draw(st.lists(st.sampled_from("psb"), min_size=len(rows), max_size=len(rows)))
    pending = [record for record, place in zip(records, places, strict=True) if place in "pb"]
    stored = [record for record, place in zip(records, places, strict=True) if place in "sb"]
    before = data.draw(st.none() | st.integers(0, len(rows)).map(lambda n: bytes(eid(NOON_MS + 20 * n))))
    expected = texts(fold([record for record in records if before is None or record < before], NOW_MS))
    page_events = data.draw(st.integers(1, 12))
    folded, _ = drive(query(before=before), data.draw(st.permutations(pending)), stored, page_events)
    assert texts(folded) == expected
    last = data.draw(st.integers(1, 10))
    folded, _ = drive(query(last, before), pending, stored, page_events)
    assert texts(folded)[-last:] == expected[-last:]


# a log's reads


@pytest.fixture
def wall() -> Wall:
    """Give a clock that is set."""
    return Wall()


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> list[Moody]:
    """Give two stores, with a breaker that pauses for no time worth naming."""
    monkeypatch.setattr(reading, "BREAKER_FIRST_S", 1e-9)
    return [Moody(MemoryBackend("first")), Moody(MemoryBackend("second"))]


@pytest.fixture
def log(stores: list[Moody], wall: Wall, tmp_path: Path) -> Iterator[EventLog]:
    """Give a log over both."""
    opened = open_log(*stores, wall=wall, journal=tmp_path / "journal", max_block=0.2)
    yield opened
    opened.close(timeout=0)


def put(store: Moody, *records: bytes, session: str = "s") -> None:
    """Store events as another host would."""
    store.inner.append({session: list(records)})


def test_the_first_backend_answers_and_the_answer_is_complete(log: EventLog) -> None:
    """`source` has the name that `status()` has."""
    log.history("s").add("hi")
    found = log.history("s").messages()
    assert (list(found), found.source, found.complete) == (["hi"], "memory", True)
    assert log.status().incomplete_reads == 0


def test_a_backend_that_does_not_answer_is_passed_over_for_the_next(log: EventLog, stores: list[Moody]) -> None:
    """The answer says so and is counted."""
    log.history("s").add("hi")
    assert log.flush(20)
    stores[0].down = True
    found = log.history("s").messages()
    assert (list(found), found.source, found.complete) == (["hi"], "memory2", False)
    assert log.status().incomplete_reads == 1
    stores[0].down = False
    assert log.history("s").messages().complete


def test_a_second_backend_that_is_behind_is_completed_from_the_journal(log: EventLog, stores: list[Moody]) -> None:
    """What it does not have yet is pending for it, whatever the first one has."""
    stores[1].deaf_to_appends = True
    chat = log.history("s")
    ids = [chat.add(number, ack="backend") for number in range(5)]
    assert chat.messages() == [0, 1, 2, 3, 4]
    stores[0].down = True
    found = chat.messages()
    assert (list(found), found.source) == ([0, 1, 2, 3, 4], "memory2")
    assert chat.messages(as_of=ids[2]) == [0, 1, 2]


def test_without_any_backend_what_was_seen_and_what_is_pending_is_given(log: EventLog, stores: list[Moody]) -> None:
    """The events of the last read, folded anew, and those of this host since."""
    chat = log.history("s")
    put(stores[0], said(eid(NOON_MS, 1, FOREIGN), "from elsewhere"))
    assert chat.messages() == ["from elsewhere"]
    for store in stores:
        store.down = True
    chat.add("in the outage")
    found = chat.messages()
    assert (list(found), found.source, found.complete) == (["from elsewhere", "in the outage"], "journal", False)
    assert chat.messages(last=1) == ["in the outage"]
    chat.clear()
    assert chat.messages() == []


def test_what_was_seen_is_folded_anew_at_each_read(log: EventLog, stores: list[Moody], wall: Wall) -> None:
    """A message expires in an outage too."""
    chat = log.history("s", ttl=60)
    chat.add("for a minute")
    assert chat.messages() == ["for a minute"]
    for store in stores:
        store.down = True
    assert chat.messages() == ["for a minute"]
    wall.ms += 60_000
    assert chat.messages() == []


def test_what_was_added_in_an_outage_stays_visible_when_it_ends(
    log: EventLog, stores: list[Moody], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves the journal for a backend that reads are still passing over: they stop doing so at once."""
    monkeypatch.setattr(reading, "BREAKER_FIRST_S", 1000.0)
    monkeypatch.setattr(reading, "BREAKER_MAX_S", 1000.0)
    chat = log.history("s")
    for store in stores:
        store.down = True
    chat.add("in the outage")
    assert chat.messages() == ["in the outage"]
    log.history("other").add("never read yet")
    for store in stores:
        store.down = False
    assert log.flush(20)
    assert chat.messages().complete
    assert log.history("other").messages() == ["never read yet"]


def test_what_was_shown_in_an_outage_is_remembered(log: EventLog, stores: list[Moody]) -> None:
    """Also when only another process knows that it was delivered meanwhile."""
    for store in stores:
        store.down = True
    chat = log.history("s")
    chat.add("in the outage")
    assert chat.messages() == ["in the outage"]
    for store in stores:
        store.deaf_to_appends = False
    assert log.flush(20)
    assert chat.messages() == ["in the outage"]
    assert chat.messages(last=1) == ["in the outage"]


def test_a_session_that_nobody_knows_begins_in_an_outage(log: EventLog, stores: list[Moody]) -> None:
    """It is empty, not an error, and not complete."""
    for store in stores:
        store.down = True
    found = log.history("new").messages()
    assert (list(found), found.source, found.complete) == ([], "journal", False)


def test_reading_the_last_few_does_not_forget_the_whole(log: EventLog, stores: list[Moody]) -> None:
    """A short read is kept beside the last long one."""
    chat = log.history("s")
    put(stores[0], *many(40))
    assert chat.messages() == list(range(40))
    put(stores[0], said(eid(NOON_MS, 40), 40))
    assert chat.messages(last=2) == [39, 40]
    for store in stores:
        store.down = True
    assert chat.messages() == list(range(41))


def test_what_is_remembered_has_a_bound(log: EventLog, stores: list[Moody], monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions that were read long ago are forgotten first."""
    monkeypatch.setattr(reading, "CACHE_BYTES_MAX", 2000)
    for name in ("a", "b", "c"):
        put(stores[0], said(eid(NOON_MS), "x" * 800), session=name)
        assert len(log.history(name).messages()) == 1
    for store in stores:
        store.down = True
    assert [len(log.history(name).messages()) for name in ("a", "b", "c")] == [0, 1, 1]


def test_strict_reads_raise_instead(stores: list[Moody], tmp_path: Path) -> None:
    """Who would rather stop than answer without the past gets `BackendUnavailable`."""
    with open_log(*stores, journal=tmp_path / "j", strict_reads=True) as log:
        chat = log.history("s")
        chat.add("hi", ack="backend")
        for store in stores:
            store.down = True
        with pytest.raises(BackendUnavailable):
            chat.messages()
        stores[1].down = False
        assert not chat.messages().complete, "the second one knows the past"
        stores[0].down = False
        assert chat.messages().complete


async def test_async_reads_do_the_same(log: EventLog, stores: list[Moody]) -> None:
    """From the first, from the second, from what is known, with the same tags and counts."""
    chat = log.history("s")
    await chat.aadd("hi", ack="backend")
    assert (await chat.amessages()).source == "memory"
    assert await chat.amessages(last=1) == ["hi"]
    stores[0].down = True
    assert (await chat.amessages()).source == "memory2"
    stores[1].down = True
    found = await chat.amessages()
    assert (list(found), found.source, found.complete) == (["hi"], "journal", False)
    assert log.status().incomplete_reads == 2


def test_a_backend_that_failed_is_left_alone_for_a_while(
    log: EventLog, stores: list[Moody], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads do not wait for it each time; the pause grows and ends with the first answer."""
    now = [1000.0]
    monkeypatch.setattr(reading, "monotonic", lambda: now[0])
    monkeypatch.setattr(reading, "BREAKER_FIRST_S", 0.5)
    chat = log.history("s")
    stores[0].down = True
    chat.messages()
    stores[0].down = False
    assert chat.messages().source == "memory2", "not asked"
    now[0] += 0.5
    assert chat.messages().source == "memory"
    stores[0].down = True
    for pause_s in (0.5, 1.0, 2.0, 4.0, 8.0, 8.0):
        chat.messages()
        stores[0].down, now[0] = False, now[0] + pause_s - 0.01
        assert chat.messages().source == "memory2"
        stores[0].down, now[0] = True, now[0] + 0.01


def test_an_outage_is_logged_once(log: EventLog, stores: list[Moody], caplog: pytest.LogCaptureFixture) -> None:
    """And its end, once."""
    caplog.set_level(logging.WARNING, "eventlog.reading")
    for down in (True, True, True, False, False):
        stores[0].deaf_to_reads = down
        log.history("s").messages()
    lines = [record.getMessage() for record in caplog.records if record.name == "eventlog.reading"]
    assert [("pass over" in line, "again" in line) for line in lines] == [(True, False), (False, True)]


def test_what_is_added_after_a_read_sorts_after_what_it_showed(log: EventLog, stores: list[Moody]) -> None:
    """Whatever the hosts' clocks say, and from whichever end it was read."""
    put(stores[0], said(eid(NOON_MS + HOUR_MS, 1, FOREIGN), "from a fast clock"))
    chat = log.history("s")
    assert chat.messages(last=1) == ["from a fast clock"]
    chat.add("the answer")
    assert chat.messages() == ["from a fast clock", "the answer"]
    assert log.history("other").add("x").ms == NOON_MS, "only that session is pushed"


def test_what_was_read_sorts_before_also_when_the_clock_is_then_set_back(
    log: EventLog, stores: list[Moody], wall: Wall
) -> None:
    """The clock's correction between a question and its answer changes no order."""
    put(stores[0], said(eid(NOON_MS - 1, 1, FOREIGN), "the question"))
    chat = log.history("s")
    chat.messages()
    wall.ms -= HOUR_MS
    chat.add("the answer")
    assert chat.messages() == ["the question", "the answer"]


def test_a_message_from_beyond_tomorrow_is_shown_and_not_followed(
    log: EventLog, stores: list[Moody], caplog: pytest.LogCaptureFixture
) -> None:
    """Its clock is damaged, which is told once; what is added next keeps its own time."""
    broken = eid(NOON_MS + DAY_MS + 1, 1, FOREIGN)
    put(stores[0], said(broken, "from a broken clock"))
    chat = log.history("s")
    assert chat.messages() == ["from a broken clock"]
    assert chat.messages(last=1) == ["from a broken clock"]
    assert caplog.text.count(broken.hex()) == 1
    assert log.status().quarantined == 0, "it can be read"
    assert chat.add("now").ms == NOON_MS
    assert chat.messages() == ["now", "from a broken clock"]


def test_a_look_into_the_future_follows_nothing_from_there(log: EventLog, stores: list[Moody]) -> None:
    """`as_of` moves the fold's now, not the wall: damage stays damage."""
    broken = eid(NOON_MS + 400 * DAY_MS, 1, FOREIGN)
    put(stores[0], said(broken, "from a broken clock"))
    chat = log.history("s")
    assert chat.messages(as_of=broken) == ["from a broken clock"]
    assert chat.add("now").ms == NOON_MS


def test_a_clear_from_beyond_tomorrow_hides_nothing(log: EventLog, stores: list[Moody]) -> None:
    """It is reported and counted instead."""
    put(stores[0], said(eid(NOON_MS), "kept"), cut(eid(NOON_MS + DAY_MS + 1, 1, FOREIGN)))
    assert log.history("s").messages() == ["kept"]
    assert log.status().quarantined == 1


def test_a_damaged_body_is_reported_once_and_the_rest_is_read(
    log: EventLog, stores: list[Moody], caplog: pytest.LogCaptureFixture
) -> None:
    """It is counted in `status()`, and no text of it is logged."""
    damaged = said(eid(NOON_MS, 1), "secret text")[:-3]
    put(stores[0], said(eid(NOON_MS), "before"), damaged, said(eid(NOON_MS, 2), "after"))
    for _ in range(3):
        assert log.history("s").messages() == ["before", "after"]
    assert log.status().quarantined == 1
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(lines) == 1
    assert damaged[:16].hex() in lines[0]
    assert "secret" not in caplog.text


def test_an_unknown_kind_is_stepped_over(log: EventLog, stores: list[Moody]) -> None:
    """What a later version wrote stays where it is."""
    put(stores[0], said(eid(NOON_MS), "a"), eid(NOON_MS, 1) + b"\x01\x63later", said(eid(NOON_MS, 2), "b"))
    assert log.history("s").messages() == ["a", "b"]
    assert log.status().quarantined == 0
    assert len(stores[0].inner.read("s", limit=9)) == 3


def test_a_read_as_of_a_time_sees_what_was_visible_then(log: EventLog, wall: Wall) -> None:
    """Messages that have expired or were cleared since are back; later ones are not there yet."""
    chat = log.history("s", ttl=timedelta(minutes=1))
    first = chat.add("first")
    wall.ms += 30_000
    second = chat.add("second")
    wall.ms += 31_000
    assert chat.messages() == ["second"]
    cleared = chat.clear()
    wall.ms += 1
    chat.add("third")
    assert chat.messages() == ["third"]
    assert chat.messages(as_of=first) == ["first"]
    assert chat.messages(as_of=str(second)) == ["first", "second"]
    assert chat.messages(as_of=second.time) == ["first", "second"]
    assert chat.messages(as_of=cleared) == []
    assert chat.messages(as_of=cleared.time - timedelta(milliseconds=1)) == ["second"]
    assert chat.messages(as_of=first.time - timedelta(days=1)) == []
    assert chat.messages(last=1, as_of=second) == ["second"]
