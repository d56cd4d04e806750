"""Room: sessions moved between stores, and out of and back into what langchain-community's classes wrote.

Rules:
* All of it can be stopped and repeated: what is there already is found there, by its id.
* Memory holds one page, and while sessions are compared or continued the ids of one session.
* What is written goes straight into the store: no journal grows, and what is reported is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import msgspec

from eventlog.adapters.legacy import Look, element_of, is_known_value, known_of, made, news
from eventlog.adapters.legacy_rows import Row, rows_news
from eventlog.clock import now_ms
from eventlog.codec import decode, is_cut
from eventlog.compacting import read_all
from eventlog.errors import ConfigurationError, EventLogError
from eventlog.events import ID_BYTES, EventId, MessageAdded
from eventlog.ports import Backend

PAGE_RECORDS = 1000
BATCH_RECORDS = 4096
Told = Callable[[str], None]


class NotMoved(EventLogError):
    """A store refused events, or two that should hold the same do not."""


@runtime_checkable
class ListSource(Protocol):
    """A store of old lists."""

    def look_at_old(self, session: str) -> Look:
        """Give what can be told of a list."""
        ...

    def old_page(self, session: str, start: int, stop: int | None = None) -> list[bytes]:
        """Give elements by their places, oldest first."""
        ...


@runtime_checkable
class RowSource(Protocol):
    """A store of old rows."""

    def old_rows(self, session: str, since_ms: int) -> list[Row]:
        """Give rows from a time on, oldest first."""
        ...


class Strange(NamedTuple):
    """An element that no version of the old classes wrote: kept as it is."""

    session: str
    event_id: EventId
    element: bytes


class Report(msgspec.Struct):
    """What was moved."""

    sessions: int = 0
    messages: int = 0
    already_there: int = 0
    quarantined: int = 0


class Batches:
    """Records on their way into a store, many sessions at once."""

    def __init__(self, store: Backend | None) -> None:
        """Write to a store, or nowhere."""
        self._store = store
        self._batch: dict[str, list[bytes]] = {}
        self._count = 0

    def put(self, session: str, records: Iterable[bytes]) -> None:
        """Add records; a full batch is written."""
        found = list(records)
        if found:
            self._batch.setdefault(session, []).extend(found)
            self._count += len(found)
        if self._count >= BATCH_RECORDS:
            self.write()

    def write(self) -> None:
        """Write what was gathered; `NotMoved` names a session that was refused."""
        batch, self._batch, self._count = self._batch, {}, 0
        if self._store is None or not batch:
            return
        for session, error in self._store.append(batch).items():
            raise NotMoved(f"expected the store to take the session {session!r}, found: {error}") from error


class Import:
    """Old data of a store, into another store or the same."""

    def __init__(self, source: Any, store: Backend, *, dry: bool, on_strange: Callable[[Strange], None]) -> None:
        """Write nothing if `dry`."""
        if not isinstance(source, (ListSource, RowSource)):
            raise ConfigurationError("expected as --from a store that langchain-community had a class for")
        self._source, self._store, self._on_strange = source, store, on_strange
        self._batches = Batches(None if dry else store)
        self.report = Report()

    def run(self, sessions: Iterable[str], told: Told) -> None:
        """Import sessions; each may come twice."""
        for session in sessions:
            records = read_all(self._store, session)
            for fresh in self._fresh(session, records):
                self._take(session, fresh)
            self.report.sessions += 1
            told(session)
        self._batches.write()

    def _fresh(self, session: str, records: list[bytes]) -> Iterator[list[bytes]]:
        now = now_ms()
        if isinstance(self._source, RowSource):
            fresh = rows_news(records, partial(self._source.old_rows, session), now)
            self.report.already_there += 0 if fresh else len(records)
            yield fresh
            return
        known = known_of(records, now, cut=any(map(is_cut, records)), pending=lambda _: False)
        look = self._source.look_at_old(session)
        self.report.already_there += len(known.imported)
        if known.imported or known.covered or known.hidden:
            yield news(known, look, partial(self._source.old_page, session), now)
            return
        for start in range(0, look.length, PAGE_RECORDS):
            elements = self._source.old_page(session, start, start + PAGE_RECORDS)
            yield made(known.next_tick + start, elements, look.deadline_ms)

    def _take(self, session: str, records: list[bytes]) -> None:
        for record in records:
            event = decode(record)
            if isinstance(event, MessageAdded):
                self.report.messages += 1
                if not is_known_value(event.message):
                    self.report.quarantined += 1
                    self._on_strange(Strange(session, EventId(record[:ID_BYTES]), element_of(event.message)))
        self._batches.put(session, records)

    def differences(self, sessions: Iterable[str]) -> Iterator[str]:
        """Name the sessions whose old data are not, byte for byte, what the store has of them."""
        for session in sessions:
            records = read_all(self._store, session)
            if any(self._fresh(session, records)) or not self._is_same(session, records):
                yield session

    def _is_same(self, session: str, records: list[bytes]) -> bool:
        if isinstance(self._source, RowSource):
            return True  # an id holds a hash of its row, and none was missing
        known = known_of(records, now_ms(), cut=any(map(is_cut, records)), pending=lambda _: False)
        held = [element_of(event.message) for event in map(decode, known.imported) if isinstance(event, MessageAdded)]
        elements = self._source.old_page(session, 0)
        return known.hidden or held == elements[known.covered :]


def copy(source: Backend, store: Backend, sessions: Iterable[str], told: Told) -> Report:
    """Copy every event of sessions, newest first, bytes as they are."""
    report, batches = Report(), Batches(store)
    for session in sessions:
        for page in pages(source, session):
            batches.put(session, page)
            report.messages += len(page)
        report.sessions += 1
        told(session)
    batches.write()
    return report


def pages(source: Backend, session: str) -> Iterator[list[bytes]]:
    """Give a session's records, newest page first."""
    before = None
    while page := source.read(session, before=before, limit=PAGE_RECORDS):
        yield page
        before = page[0][:ID_BYTES]


def differences(one: Backend, other: Backend, prefix: str, told: Told) -> Iterator[str]:
    """Name the sessions whose ids or bytes differ between two stores."""
    for session in sorted({*one.sessions(prefix), *other.sessions(prefix)}):
        if read_all(one, session) != read_all(other, session):
            yield session
        told(session)
