"""What rows share: each adapter over a server of its own, sessions beside their model, a store that is whimsical."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from momento import CredentialProvider

from eventlog.adapters.memory import MemoryBackend
from eventlog.adapters.momento import MomentoBackend
from eventlog.adapters.redis import from_url as redis_backend
from eventlog.adapters.rockset import RocksetBackend
from eventlog.adapters.rockset_calls import Place
from eventlog.adapters.sqlite import SQLiteBackend
from eventlog.clock import now_ms
from eventlog.errors import BackendError, BackendUnavailable, SessionUnavailable
from eventlog.events import ID_BYTES
from eventlog.log import EventLog
from eventlog.ports import Backend, Batch
from tests.chaos.promises import Figures
from tests.contract.suite import ALL
from tests.core.tools import Moody
from tests.projections.model import Row as Event
from tests.projections.model import visible
from tests.servers.momento import HOST, running_momento
from tests.servers.redis_server import make_redis
from tests.servers.rockset import running_rockset

HOUR_S = 3600
HISTORIES: list[dict[str, Any]] = [{}, {}, {"ttl": HOUR_S}, {"ttl": HOUR_S, "expiry": "sliding"}]
SESSION_EVENTS_MAX = 400


@contextmanager
def memory(_: Path) -> Iterator[Backend]:
    """Give the reference."""
    yield MemoryBackend("chaos")


@contextmanager
def sqlite(place: Path) -> Iterator[Backend]:
    """Give a file."""
    yield SQLiteBackend(place / "store.db")


@contextmanager
def redis(_: Path) -> Iterator[Backend]:
    """Give a real server."""
    with make_redis() as server:
        yield redis_backend(server.url)


@contextmanager
def momento(_: Path) -> Iterator[Backend]:
    """Give the server of ours that speaks its protocol."""
    with running_momento() as server:
        yield MomentoBackend(CredentialProvider("", HOST, HOST, HOST, server.port), "chaos", create=True)


@contextmanager
def rockset(_: Path) -> Iterator[Backend]:
    """Give the server of ours that speaks its protocol."""
    with running_rockset(api_key="key") as server:
        yield RocksetBackend(Place(server.url, "key"), "chaos", create=True)


STORES = {"memory": memory, "sqlite": sqlite, "redis": redis, "momento": momento, "rockset": rockset}


class Whimsical(Moody):
    """A store that mistreats a share of the batches, in each of the ways that networks and stores have."""

    def __init__(self, inner: Backend, chance: Random, share: float) -> None:
        super().__init__(inner)
        self._chance, self._share = chance, share
        self.batches = 0
        self.whims = 0
        self._late: list[Batch] = []
        self._ways: list[Callable[[Batch], dict[str, BackendError]]] = [
            self._refuse_it,
            self._lose_the_reply,
            self._take_half_and_fail,
            self._take_half_and_tell,
            self._time_out,
            self._double,
            self._reorder,
        ]

    def append(self, batch: Batch) -> dict[str, BackendError]:
        """Store, or do as it likes; what timed out before may arrive now."""
        self.batches += 1
        if self._late and self._chance.random() < self._share:
            self.inner.append(self._late.pop(self._chance.randrange(len(self._late))))
        if self._chance.random() >= self._share:
            return self.inner.append(batch)
        self.whims += 1
        return self._chance.choice(self._ways)(batch)

    def calm(self) -> None:
        """Be a good store from now on, when all that is under way has arrived."""
        self._share = 0.0
        for batch in self._late:
            self.inner.append(batch)

    def _fail(self, what: str) -> BackendUnavailable:
        return BackendUnavailable(f"{self.identity}: {what}")

    def _refuse_it(self, _: Batch) -> dict[str, BackendError]:
        raise self._fail("refused")

    def _lose_the_reply(self, batch: Batch) -> dict[str, BackendError]:
        self.inner.append(batch)
        raise self._fail("the reply was lost")

    def _halves(self, batch: Batch) -> dict[str, list[bytes]]:
        return {session: list(records[: len(records) // 2]) for session, records in batch.items() if len(records) > 1}

    def _take_half_and_fail(self, batch: Batch) -> dict[str, BackendError]:
        self.inner.append(self._halves(batch))
        raise self._fail("it stopped half way")

    def _take_half_and_tell(self, batch: Batch) -> dict[str, BackendError]:
        failed = list(batch)[::2]
        told = self.inner.append({session: batch[session] for session in batch if session not in failed})
        return {**told, **{session: SessionUnavailable(f"{self.identity}: a part is down") for session in failed}}

    def _time_out(self, batch: Batch) -> dict[str, BackendError]:
        self._late.append({session: list(records) for session, records in batch.items()})
        raise self._fail("it timed out")

    def _double(self, batch: Batch) -> dict[str, BackendError]:
        return self.inner.append(batch) or self.inner.append(batch)

    def _reorder(self, batch: Batch) -> dict[str, BackendError]:
        events = [(session, record) for session, records in batch.items() for record in records]
        self._chance.shuffle(events)
        failed: dict[str, BackendError] = {}
        for session, record in events:
            failed |= self.inner.append({session: [record]})
        return failed


class Ledger:
    """What was acknowledged, session by session, to be compared with what is there."""

    def __init__(self, chance: Random, prefix: str) -> None:
        self._chance, self._prefix = chance, prefix
        self.events: dict[str, list[Event]] = {}
        self.acknowledged = 0

    def do_something(self, log: EventLog) -> None:
        """Add, add some, or clear, in one of five sessions that are not full yet."""
        session = self._session()
        what = self._chance.random()
        if what < 0.05:
            event_id = log.history(session).clear()
            self.note(session, Event(bytes(event_id), "clear", now_ms()))
            return
        history = self._chance.choice(HISTORIES)
        texts = [self.acknowledged + n for n in range(self._chance.randrange(1, 5))]
        ids = log.history(session, **history).add_many(texts)
        kind: Any = history.get("expiry", "fixed") if history else "stays"
        for event_id, text in zip(ids, texts, strict=True):
            self.note(session, Event(bytes(event_id), kind, now_ms(), HOUR_S * 1000 if history else 0, text))

    def note(self, session: str, event: Event) -> None:
        """Write down what was acknowledged."""
        self.events.setdefault(session, []).append(event)
        self.acknowledged += 1

    def _session(self) -> str:
        return f"{self._prefix}-{self.acknowledged // SESSION_EVENTS_MAX}-{self._chance.randrange(5)}"

    def compared(self, log: EventLog, store: Backend) -> Figures:
        """Count what is lost, doubled, out of order or not ours in the store, and the sessions read wrongly."""
        total: Figures = {"acknowledged": self.acknowledged, **dict.fromkeys(COUNTED, 0)}
        for session, events in self.events.items():
            for name, count in self._session_compared(log, store, session, events).items():
                total[name] += count
        return total

    def _session_compared(self, log: EventLog, store: Backend, session: str, events: list[Event]) -> dict[str, int]:
        found = [record[:ID_BYTES] for record in store.read(session, limit=ALL)]
        wanted = {event.event_id for event in events}
        expected = [event.message for event in visible(events, now_ms())]
        return {
            "lost": len(wanted - set(found)),
            "strange": len(set(found) - wanted),
            "doubled": len(found) - len(set(found)),
            "disordered": int(found != sorted(found)),
            "unequal": int(list(log.history(session).messages()) != expected),
        }


COUNTED = ("lost", "strange", "doubled", "disordered", "unequal")
