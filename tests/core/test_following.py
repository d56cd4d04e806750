"""Following a session: each entry once, as it is written, by this process or another, late ones marked."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog import following, reading, replaying
from eventlog.adapters.memory import MemoryBackend
from eventlog.alarm import Alarm
from eventlog.errors import Closed
from eventlog.events import EventId
from eventlog.following import Following
from eventlog.history import ChatHistory
from eventlog.log import EventLog
from eventlog.projections.timeline import TimelineEntry
from tests.core.examples import examples
from tests.core.records import NOON_MS, eid, said
from tests.core.tools import Moody, Wall, eventually, open_log

FOREIGN = bytes.fromhex("bfffffffffffffff")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Moody:
    """Give a store, with a breaker that pauses for no time worth naming."""
    monkeypatch.setattr(reading, "BREAKER_FIRST_S", 1e-9)
    return Moody(MemoryBackend("only"))


@pytest.fixture
def log(store: Moody, tmp_path: Path) -> Iterator[EventLog]:
    """Give a log over it."""
    opened = open_log(store, wall=Wall(), journal=tmp_path / "journal", max_block=0.2)
    yield opened
    opened.close(timeout=0)


class Slept(Exception):
    """There was nothing left to do while it slept."""


class _Sleep(Alarm):
    """A bell beside which the next thing happens; nobody rings."""

    def __init__(self, things: list[Callable[[], object]]) -> None:
        super().__init__()
        self._things = things

    def wait(self, timeout_s: float) -> bool:
        assert timeout_s > 0
        if not self._things:
            raise Slept
        self._things.pop(0)()
        return False


def followed(chat: ChatHistory, *things: Callable[[], object], after: bytes | None = None) -> list[TimelineEntry]:
    """Follow a session while things happen, one for each time it sleeps; give what came."""
    left = list(things)

    @contextmanager
    def bells(alarm: Alarm) -> Iterator[Any]:
        del alarm
        yield _Sleep(left)

    found: list[TimelineEntry] = []
    entries = Following(chat.replay(), after, 0.5, bells)
    with suppress(Slept):
        while True:
            found.append(next(entries))
    return found


def texts(entries: list[TimelineEntry]) -> list[tuple[Any, bool]]:
    """Give what was said, and whether it came late."""
    return [(each.message, each.late) for each in entries]


def put(store: Moody, *records: bytes) -> None:
    """Store events as another host would."""
    store.inner.append({"s": list(records)})


def test_what_is_there_comes_first_and_then_what_is_written(log: EventLog) -> None:
    """Each once, in order, clears too."""
    chat = log.history("s")
    chat.add("one")
    found = followed(chat, lambda: chat.add_many(["two", "three"]), lambda: None, chat.clear)
    assert texts(found) == [("one", False), ("two", False), ("three", False), (None, False)]
    assert [each.kind for each in found] == ["message"] * 3 + ["clear"]


def test_it_goes_on_after_an_id(log: EventLog) -> None:
    """What lies up to there is known."""
    chat = log.history("s")
    ids = chat.add_many(["one", "two", "three"])
    assert texts(followed(chat, lambda: chat.add("four"), after=ids[1])) == [("three", False), ("four", False)]


def test_what_comes_late_is_delivered_and_marked(log: EventLog, store: Moody) -> None:
    """By another host, before what was shown and before the place where it went on."""
    chat = log.history("s")
    (one,) = chat.add_many(["one"])
    early, between = (said(eid(ms, 0, FOREIGN), ms) for ms in (NOON_MS - 9000, NOON_MS - 8000))
    found = followed(chat, lambda: put(store, early), lambda: chat.add("two"), lambda: put(store, between), after=one)
    assert texts(found) == [(NOON_MS - 9000, True), ("two", False), (NOON_MS - 8000, True)]


def test_late_ones_between_new_ones_come_in_order(log: EventLog, store: Moody, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the pieces fall."""
    monkeypatch.setattr(replaying, "PIECE_EVENTS", 2)
    monkeypatch.setattr(following, "PIECE_EVENTS", 2)
    put(store, *(said(eid(NOON_MS - 100 + 10 * number), number) for number in range(5)))
    late = [said(eid(NOON_MS - 95 + 10 * number, 0, FOREIGN), f"late {number}") for number in range(4)]
    found = followed(log.history("s"), lambda: put(store, *late, said(eid(NOON_MS), 5)))
    assert texts(found) == [
        *((number, False) for number in range(5)),
        *((f"late {number}", True) for number in range(4)),
        (5, False),
    ]


def test_an_outage_holds_nothing_back_that_is_pending(log: EventLog, store: Moody) -> None:
    """And what could not be read comes when it can, marked late."""
    put(store, said(eid(NOON_MS - 1000, 0, FOREIGN), "past"))
    store.down = True
    chat = log.history("s")

    def mend() -> None:
        store.down = False

    assert texts(followed(chat, lambda: chat.add("pending"), mend)) == [("pending", False), ("past", True)]


def test_a_backend_that_goes_away_between_a_look_and_its_text_loses_nothing(log: EventLog, store: Moody) -> None:
    """The text comes when it is back."""
    put(store, *(said(eid(NOON_MS - 1000 + number), number) for number in range(3)))
    chat = log.history("s")
    replay = chat.replay()
    whole_look = replay.look

    def look() -> Any:
        found = whole_look()
        store.down = len(found) > 0
        return found

    replay.look = look  # type: ignore[method-assign]
    entries = Following(replay, None, 0.5, log._bell)
    assert not entries.advance()
    store.down = False
    assert entries.advance()
    assert texts(list(islice(entries, 3))) == [(0, False), (1, False), (2, False)]


def test_what_this_process_knows_of_a_session_is_not_taken_for_all_of_it(log: EventLog, store: Moody) -> None:
    """After an outage the rest is looked for, wherever it lies."""
    put(store, *(said(eid(NOON_MS - 1000 + number), number) for number in range(100)))
    chat = log.history("s")
    known = len(chat.messages(last=20))
    store.down = True

    def mend() -> None:
        store.down = False

    found = texts(followed(chat, mend, lambda: None))
    assert found[:known] == [(number, False) for number in range(100 - known, 100)]
    assert found[known:] == [(number, True) for number in range(100 - known)]


def test_the_next_backend_takes_over_in_the_middle(tmp_path: Path) -> None:
    """When it has what is missing."""
    stores = [Moody(MemoryBackend("first")), Moody(MemoryBackend("second"))]
    records = [said(eid(NOON_MS - 1000 + number), number) for number in range(3)]
    for each in stores:
        put(each, *records)
    with open_log(*stores, wall=Wall(), journal=tmp_path / "j") as log:
        entries = log.history("s").follow()
        entries._look()
        stores[0].down = True
        assert texts(list(islice(entries, 3))) == [(0, False), (1, False), (2, False)]


def test_an_add_of_this_process_wakes_it(log: EventLog) -> None:
    """At once, not at the next look."""
    chat = log.history("s")
    found: list[TimelineEntry] = []
    reader = Thread(target=lambda: found.extend(islice(chat.follow(every=1000.0), 2)), daemon=True)
    reader.start()
    eventually(lambda: log._live().sleepers)
    chat.add("one")
    eventually(lambda: found or log._live().sleepers)
    chat.add("two")
    reader.join(20)
    assert texts(found) == [("one", False), ("two", False)]


async def test_a_coroutine_follows_too(log: EventLog) -> None:
    """And an add wakes it; another iterator of the same session is its own."""
    chat = log.history("s")
    chat.add("one")
    entries = chat.follow(every=1000.0)
    assert (await anext(entries)).message == "one"
    waiting = asyncio.create_task(anext(entries))
    while not log._live().sleepers:  # noqa: ASYNC110 (there is no event for it)
        await asyncio.sleep(0)
    chat.add("two")
    assert (await asyncio.wait_for(waiting, 20)).message == "two"
    assert next(iter(chat.follow())).message == "one"


WRITER = """
import sys, eventlog
with eventlog.open(f"sqlite:///{sys.argv[1]}/s.db", journal=sys.argv[1] + "/j") as log:
    for number in range(3):
        log.history("s").add(number, ack="backend")
"""


def test_what_another_process_writes_is_found(tmp_path: Path) -> None:
    """By looking, with no more than a pause between."""
    with open_log(f"sqlite:///{tmp_path}/s.db", journal=tmp_path / "j") as log:
        chat = log.history("s")
        chat.add("here")
        entries = chat.follow(every=0.01)
        assert next(entries).message == "here"
        subprocess.run([sys.executable, "-c", WRITER, str(tmp_path)], check=True, timeout=50)
        assert texts(list(islice(entries, 3))) == [(0, False), (1, False), (2, False)]


def test_it_ends_with_the_log(log: EventLog) -> None:
    """Who waits on a closed log is told."""
    entries = log.history("s").follow()
    log.close()
    with pytest.raises(Closed):
        next(entries)


@pytest.mark.parametrize(("after", "every"), [("no id", 1.0), (b"x", 1.0), (None, 0.0), (None, -1.0), (None, "1")])
def test_what_cannot_be_followed_is_refused_at_once(log: EventLog, after: Any, every: Any) -> None:
    """Before anything is waited for."""
    with pytest.raises((ValueError, TypeError)):
        log.history("s").follow(after, every)


def test_an_id_may_be_given_as_text(log: EventLog) -> None:
    """As it is shown."""
    ids: list[EventId] = log.history("s").add_many(["one", "two"])
    assert next(log.history("s").follow(str(ids[0]))).message == "two"


HAPPENINGS = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 4)),
    st.tuples(st.just("elsewhere"), st.integers(-300, 40)),
    st.sampled_from(
        [("clear", 0), ("down", 0), ("up", 0), ("deaf", 0), ("hearing", 0), ("look", 0), ("look", 0), ("later", 0)]
    ),
)


@given(st.lists(HAPPENINGS, min_size=5, max_size=25), st.integers(0, 6))
@examples(60)
def test_whatever_happens_each_entry_comes_once_and_only_late_ones_out_of_order(
    happenings: list[tuple[str, int]], pieces: int
) -> None:
    """Adds here and elsewhere, earlier and later, outages, pieces of any size, whole looks now and then."""
    store, wall, now_s = Moody(MemoryBackend()), Wall(), [0.0]
    size = 2 + pieces
    with (
        patch.multiple(replaying, PIECE_EVENTS=size, _GLANCE_EVENTS=2),
        patch.object(following, "PIECE_EVENTS", size),
        patch.object(reading, "BREAKER_FIRST_S", 1e-9),
        open_log(store, wall=wall) as log,
    ):
        chat, found = log.history("s"), []
        replay = replaying.Replay(log._reader, lambda: chat._query(None, None), lambda: _ticking(now_s))
        entries = Following(replay, None, 0.5, log._bell)
        for number, (what, amount) in enumerate(happenings):
            wall.ms += 10
            _happen(log, store, what, amount, number)
            now_s[0] += 1000.0 if what == "later" else 0.0
            while what == "look" and entries.advance():
                found.append(next(entries))
        store.down = False
        assert log.flush(20)
        now_s[0] += 1e6
        while entries.advance():
            found.append(next(entries))
    stored = [record[:16] for record in store.inner.read("s", limit=1000)]
    assert sorted(each.id for each in found) == stored
    highest = [max((each.id for each in found[:at]), default=b"") for at in range(len(found))]
    assert [each.late for each in found] == [each.id < high for each, high in zip(found, highest, strict=True)]


def _ticking(now_s: list[float]) -> float:
    now_s[0] += 0.01
    return now_s[0]


def _happen(log: EventLog, store: Moody, what: str, amount: int, number: int) -> None:
    chat = log.history("s")
    if what == "add":
        chat.add_many([f"{number}.{each}" for each in range(amount)])
    elif what == "elsewhere":
        put(store, said(eid(log.now_ms() + amount, number, FOREIGN), number))
    elif what == "clear":
        chat.clear()
    elif what in ("down", "up"):
        store.down = what == "down"
    elif what in ("deaf", "hearing"):
        store.deaf_to_appends = what == "deaf"
