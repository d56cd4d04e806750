"""Adds, clears, TTLs, clocks that jump, outages, lost replies, other hosts, kills: `messages()` is what it should be.

The machine drives one log over one store. What it expects is the plain model of the fold over all events that were
acknowledged here or arrived from elsewhere; nothing here knows how the log works.

While the store answers, each read is exactly the model's. While it does not, a read may lack what other hosts wrote and
this process never saw; then it must still be some of the messages, in order, with all that was added in the outage.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import fakeredis
import pytest
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from momento import CredentialProvider

from eventlog import EventId
from eventlog.adapters.memory import MemoryBackend
from eventlog.adapters.momento import MomentoBackend
from eventlog.adapters.redis import RedisBackend
from eventlog.adapters.rockset import RocksetBackend
from eventlog.adapters.rockset_calls import Place
from eventlog.adapters.sqlite import SQLiteBackend
from eventlog.clock import is_damage
from eventlog.codec import FIXED, PERMANENT, SLIDING, encode_cleared, encode_message
from eventlog.events import HistoryCleared
from eventlog.log import EventLog
from eventlog.ports import Backend
from eventlog.projections.messages import fold
from tests.core.examples import examples
from tests.core.records import DAY_MS, HOUR_MS, eid
from tests.core.tools import Moody, Wall, crash, hurry, open_log
from tests.projections.model import Kind, Row, visible
from tests.servers.momento import HOST, MomentoServer
from tests.servers.rockset import RocksetServer

PATIENCE_S = 20.0
SESSIONS = ["a", "b {%}\n"]
FOREIGN = bytes.fromhex("bfffffffffffffff")
PREFIXES = {"stays": PERMANENT, "fixed": FIXED, "sliding": SLIDING}
TTLS_MS = [1, 1000, 60_000]
STEPS_MS = [-HOUR_MS, -1000, -1, 1, 500, 1000, 30_000, HOUR_MS]
SKEWS_MS = [-HOUR_MS, -1, 0, 1, 60_000, HOUR_MS, DAY_MS + HOUR_MS]
HISTORIES: list[dict[str, Any]] = [
    {},
    *({"ttl": ms / 1000, "expiry": e} for ms in TTLS_MS for e in ("fixed", "sliding")),
]


@lru_cache
def momento_server() -> MomentoServer:
    """Start a server that ends with this process."""
    server = MomentoServer()
    server.start()
    return server


def momento_backend(cache: str) -> MomentoBackend:
    """Give a backend on a cache, which is made at its first use."""
    return MomentoBackend(CredentialProvider("", HOST, HOST, HOST, momento_server().port), cache, create=True)


@lru_cache
def rockset_server() -> RocksetServer:
    """Start a server that ends with this process."""
    server = RocksetServer()
    server.start()
    return server


def rockset_backend(collection: str) -> RocksetBackend:
    """Give a backend on a collection, which is made at its first use."""
    return RocksetBackend(Place(rockset_server().url, "key"), collection, create=True)


MAKERS: dict[str, Callable[[Path], Backend]] = {
    "memory": lambda _: MemoryBackend("machine"),
    "sqlite": lambda place: SQLiteBackend(place / "events.db"),
    "momento": lambda place: momento_backend(place.name),
    "rockset": lambda place: rockset_backend(place.name),
    "redis": lambda _: RedisBackend(fakeredis.FakeRedis(server=fakeredis.FakeServer(), host="machine")),
}

sessions = st.sampled_from(SESSIONS)
histories = st.sampled_from(HISTORIES)


def kind_of(history: dict[str, Any]) -> Kind:
    """Give the kind of message that a history adds."""
    kind: Kind = history.get("expiry", "stays")
    return kind


class LogMachine(RuleBasedStateMachine):
    """One host's log, its store, and what other hosts write into that store."""

    kind: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="eventlog-machine-"))
        now_ms = time.time_ns() // 1_000_000
        self.lowest_ms, self.highest_ms = now_ms - 16 * HOUR_MS, now_ms - HOUR_MS
        self.wall = Wall(now_ms - 8 * HOUR_MS)
        self.rows: dict[str, list[Row]] = {name: [] for name in SESSIONS}
        self.foreign: list[tuple[str, Row]] = []
        self.outage: set[bytes] = set()
        self.floor: dict[str, bytes] = {}
        self.unpushed = b""
        self.touched: set[str] = set()
        self.texts = 0

    @initialize()
    def begin(self) -> None:
        """Open the log."""
        self.store = Moody(MAKERS[self.kind](self.place))
        self.reopen()

    def reopen(self) -> None:
        """Open it over what is there."""
        self.log: EventLog = open_log(self.store, journal=self.place / "journal", wall=self.wall)

    def teardown(self) -> None:
        """End with everything delivered: then the store alone has the whole truth."""
        if hasattr(self, "log"):
            self.mend()
            assert self.log.flush(PATIENCE_S)
            for name in SESSIONS:
                alone = fold(self.store.inner.read(name, limit=100_000), self.wall.ms)
                assert [event.message for event in alone.messages] == self.expected(name)
            status = self.log.status().backends[self.store.scheme]
            assert (status.lag_events, status.dead_letters) == (0, 0)
            self.log.close(timeout=0)
        shutil.rmtree(self.place, ignore_errors=True)

    # the model

    def expected(self, session: str, now_ms: int | None = None, up_to: bytes | None = None) -> list[Any]:
        """Give the messages that the model shows."""
        rows = [row for row in self.rows[session] if up_to is None or row.event_id <= up_to]
        return [row.message for row in visible(rows, self.wall.ms if now_ms is None else now_ms)]

    def next_text(self) -> str:
        """Give a message that no other is."""
        self.texts += 1
        return f"message {self.texts}"

    def added(self, session: str, event_id: EventId, row: Row) -> None:
        """Note an event that was acknowledged, and check where its id stands."""
        assert event_id > self.floor.get(session, b""), "what was seen sorts before"
        assert event_id > self.unpushed or session in self.touched, "a restart or a clock set back reorders nothing"
        assert event_id not in {other.event_id for rows in self.rows.values() for other in rows}
        self.floor[session] = event_id
        if session not in self.touched:
            self.unpushed = event_id
        self.rows[session].append(row)
        if self.store.down:
            self.outage.add(bytes(event_id))

    def seen(self, session: str) -> None:
        """Note that a read has shown all there is."""
        sane = [row.event_id for row in self.rows[session] if not is_damage(row.event_id, self.wall.ms)]
        self.floor[session] = max([self.floor.get(session, b""), *sane])

    # this host

    @rule(session=sessions, history=histories)
    def add(self, session: str, history: dict[str, Any]) -> None:
        """Add one message."""
        text = self.next_text()
        event_id = self.log.history(session, **history).add(text)
        ttl_ms = round(history.get("ttl", 0) * 1000)
        self.added(session, event_id, Row(bytes(event_id), kind_of(history), self.wall.ms, ttl_ms, text))

    @rule(session=sessions, history=histories, count=st.integers(0, 4))
    def add_many(self, session: str, history: dict[str, Any], count: int) -> None:
        """Add some in one call."""
        texts = [self.next_text() for _ in range(count)]
        ids = self.log.history(session, **history).add_many(texts)
        ttl_ms = round(history.get("ttl", 0) * 1000)
        for event_id, text in zip(ids, texts, strict=True):
            self.added(session, event_id, Row(bytes(event_id), kind_of(history), self.wall.ms, ttl_ms, text))

    @rule(session=sessions, history=histories)
    def clear(self, session: str, history: dict[str, Any]) -> None:
        """Clear a session."""
        event_id = self.log.history(session, **history).clear()
        self.added(session, event_id, Row(bytes(event_id), "clear", self.wall.ms))

    @rule(step_ms=st.sampled_from(STEPS_MS))
    def step_clock(self, step_ms: int) -> None:
        """Let time pass, or set the clock back."""
        self.wall.ms = max(self.lowest_ms, min(self.highest_ms, self.wall.ms + step_ms))

    @rule()
    def crash(self) -> None:
        """Kill the process and start it again."""
        crash(self.log)
        self.floor = {}
        self.reopen()

    @rule(torn=st.binary(min_size=1, max_size=60))
    def crash_in_a_write(self, torn: bytes) -> None:
        """Kill it while it writes a frame that it never acknowledged."""
        newest = sorted((self.place / "journal").glob("*/*.seg"))
        crash(self.log)
        if newest:
            with newest[-1].open("ab") as file:
                file.write(torn)
        self.floor = {}
        self.reopen()

    @rule()
    def close_and_reopen(self) -> None:
        """End it in good order, without time to deliver."""
        self.log.close(timeout=0)
        self.floor = {}
        self.reopen()

    # the store

    @rule()
    def go_down(self) -> None:
        """Take the store away."""
        self.store.down = True

    @rule(loses_replies=st.booleans(), takes_half=st.booleans())
    def limp(self, loses_replies: bool, takes_half: bool) -> None:  # noqa: FBT001 - two independent faults
        """Let the store lose its answers, or take the half of what it is given; also when it just comes back."""
        self.store.loses_replies, self.store.takes_half = loses_replies, takes_half
        self.store.down = False
        self.outage.clear()

    @rule()
    def mend(self) -> None:
        """Make the store well again."""
        self.store.loses_replies = self.store.takes_half = False
        self.store.down = False
        self.outage.clear()

    @precondition(lambda self: not self.store.down and not self.store.loses_replies and not self.store.takes_half)
    @rule()
    def flush(self) -> None:
        """Wait until all has arrived."""
        assert self.log.flush(PATIENCE_S)
        assert self.log.status().backends[self.store.scheme].lag_events == 0

    # other hosts

    @rule(
        session=sessions,
        kind=st.sampled_from(["stays", "fixed", "sliding", "clear"]),
        skew_ms=st.sampled_from(SKEWS_MS),
        arrived=st.integers(0, 2),
    )
    def happen_elsewhere(self, session: str, kind: Kind, skew_ms: int, arrived: int) -> None:
        """Another host, with another clock, acknowledges an event, which arrives at once or is on its way."""
        self.texts += 1
        at_ms = self.wall.ms + skew_ms
        event_id = bytes(eid(at_ms, self.texts % 4096, FOREIGN))
        ttl_ms = 60_000 if kind in ("fixed", "sliding") else 0
        self.foreign.append((session, Row(event_id, kind, at_ms, ttl_ms, f"foreign {self.texts}")))
        if not self.store.down:
            self.arrive(self.foreign[-arrived:] if arrived else [])

    @precondition(lambda self: self.foreign and not self.store.down)
    @rule(data=st.data())
    def arrive_from_elsewhere(self, data: st.DataObject) -> None:
        """Let some of it arrive, in any order, twice; or come again later."""
        self.arrive(data.draw(st.lists(st.sampled_from(self.foreign), min_size=1, max_size=4)))

    def arrive(self, chosen: Sequence[tuple[str, Row]]) -> None:
        """Let events of other hosts be in the store."""
        for session, row in chosen:
            self.store.inner.append({session: [_record(row)]})
            self.touched.add(session)
            if row not in self.rows[session]:
                self.rows[session].append(row)

    # reads

    def check(self, session: str, found: Any, expected: Sequence[Any]) -> None:
        """Compare one answer."""
        note(f"{session!r}: {list(found)} complete={found.complete}")
        if found.complete:
            assert list(found) == expected
            return
        assert self.store.down, "a store that answers is asked"
        order = [row.message for row in sorted(self.rows[session]) if row.is_message]
        assert list(found) == [text for text in order if text in found], "some of the messages, in order"

    @rule(session=sessions)
    def read(self, session: str) -> None:
        """Read all of it."""
        found = self.log.history(session).messages()
        expected = self.expected(session)
        self.check(session, found, expected)
        if found.complete:
            self.seen(session)
            return
        fresh = [row.message for row in self.rows[session] if row.event_id in self.outage and row.kind == "stays"]
        assert set(expected) & set(fresh) <= set(found), "what was added in the outage is there"

    @rule(session=sessions, skew_ms=st.sampled_from(SKEWS_MS), step_ms=st.sampled_from([0, *STEPS_MS]))
    def converse(self, session: str, skew_ms: int, step_ms: int) -> None:
        """Hear a question of another host, read it, and answer; the clock may be set in between."""
        self.step_clock(1000)
        self.happen_elsewhere(session, "stays", skew_ms, 1)
        self.read(session)
        self.step_clock(step_ms)
        self.add(session, {})

    @rule(session=sessions, last=st.integers(0, 5))
    def read_last(self, session: str, last: int) -> None:
        """Read its end."""
        expected = self.expected(session)
        self.check(
            session, self.log.history(session).messages(last=last), expected[len(expected) - min(last, len(expected)) :]
        )

    @rule(session=sessions, data=st.data())
    def read_as_of(self, session: str, data: st.DataObject) -> None:
        """Read what it was at one of its events."""
        if self.rows[session]:
            event_id = EventId(data.draw(st.sampled_from(self.rows[session])).event_id)
            found = self.log.history(session).messages(as_of=event_id)
            self.check(session, found, self.expected(session, event_id.ms, event_id))

    @invariant()
    def nothing_is_damaged(self) -> None:
        """No frame is lost by anything that happens here."""
        if hasattr(self, "log"):
            assert {place.what for place in self.log._live().directory.past.damage()} <= {"torn tail"}


def _record(row: Row) -> bytes:
    if row.kind == "clear":
        return row.event_id + encode_cleared(HistoryCleared(row.at_ms, DAY_MS * 30))
    return row.event_id + encode_message(PREFIXES[row.kind], row.at_ms, "", row.message, row.ttl_ms)


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # delivery does, in its own thread
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", MAKERS)
def test_whatever_happens_messages_are_what_the_model_says(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On each store, over many histories of many steps."""
    hurry(monkeypatch, BACKOFF_FIRST_S=0.001, BACKOFF_MAX_S=0.005, BREAKER_FIRST_S=1e-9, SYNC_EVERY_S=0.01)
    hurry(monkeypatch, PROBE_FIRST_S=0.001, PROBE_MAX_S=0.01)
    machine = type(f"{kind.title()}Machine", (LogMachine,), {"kind": kind})
    run_state_machine_as_test(machine, settings=examples(12, steps=30))
