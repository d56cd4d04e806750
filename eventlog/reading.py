"""Room: one session read: pending view, then a backend, merged and folded. The steps are pure; two drivers run them.

Invariants:
* The pending view is taken first, also when no backend is read in the end: nothing falls between.
* Pages are read newest first and it stops at `last` visible messages, at a clear, or at the beginning.
* A backend that does not answer is passed over for the next, then for what this process last saw: the answer is then
  not `complete`, and counted. Every id that is met is observed by the clock.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Sequence
from threading import RLock
from time import monotonic
from typing import NamedTuple, TypeVar

from eventlog.clock import Clock, is_damage
from eventlog.codec import is_cut
from eventlog.erasing import ErasedList
from eventlog.errors import BackendUnavailable, SessionUnavailable
from eventlog.events import ID_BYTES
from eventlog.pending import PendingView
from eventlog.place import backend_key
from eventlog.ports import Backend, Rider, by_keeping
from eventlog.projections.messages import Folded, fold_merged, merge

CACHE_BYTES_MAX = 32 << 20
LOOP_RECORDS_MAX = 1000
"""What an event loop folds itself; a larger page goes to a thread, for the loop must not stand still."""
BREAKER_FIRST_S, BREAKER_MAX_S = 0.5, 8.0
_PAGE_MIN = 16
_GROWTH = 4

T = TypeVar("T")
logger = logging.getLogger("eventlog.reading")


class Query(NamedTuple):
    """What a caller wants of a session."""

    session: str
    encoded: bytes
    now_ms: int
    """The time that the fold is made for."""
    wall_ms: int
    last: int | None = None
    before: bytes | None = None
    """Only ids smaller than this; the present is None."""
    rider: Rider | None = None
    """Asked along, of the first backend."""


class Answer(NamedTuple):
    """What a read gives, with where it came from."""

    folded: Folded
    source: str
    complete: bool


class Page(NamedTuple):
    """One read of a backend."""

    before: bytes | None
    limit: int


class Reach(NamedTuple):
    """Where a session can be read now."""

    store: Store | None
    """None: no backend answers."""
    waiting: list[bytes]
    """What the store lacks and the journal holds, in order; without a store all that is known of the session."""
    complete: bool

    @property
    def source(self) -> str:
        """Name the backend, or the journal."""
        return self.store.name if self.store else "journal"


Steps = Generator[Page, list[bytes], tuple[list[bytes], Folded]]


def steps(query: Query, pending: Sequence[bytes], page_events: int) -> Steps:
    """Ask for pages until what is wanted is complete; give the records read and their fold."""
    pending = [record for record in pending if query.before is None or record[:ID_BYTES] < query.before]
    limit = page_events if query.last is None else min(page_events, max(_PAGE_MIN, query.last))
    wanted = sys.maxsize if query.last is None else query.last
    before = query.before
    stored: list[bytes] = []
    while True:
        page = yield Page(before, limit)
        stored = page + stored
        at_start = len(page) < limit
        floor = b"" if at_start else page[0][:ID_BYTES]
        records = merge([record for record in pending if record[:ID_BYTES] >= floor], stored)
        if at_start or query.last is not None or any(map(is_cut, records)):
            folded = fold_merged(records, query.now_ms)
            if at_start or folded.cut or len(folded.messages) >= wanted:
                return records, folded
        before, limit = floor, limit * _GROWTH


def _sent(walk: Steps, records: list[bytes]) -> Page | tuple[list[bytes], Folded]:
    """Take one step: give the next page to read, or the result."""
    try:
        return walk.send(records)
    except StopIteration as done:
        result: tuple[list[bytes], Folded] = done.value
        return result


class Store:
    """A backend with its breaker: after a failed read it is left alone for a while."""

    def __init__(self, name: str, backend: Backend) -> None:
        self.name, self.backend = name, backend
        self.key = backend_key(backend.identity)
        self._pause_s = 0.0
        self._closed_until = 0.0

    @property
    def usable(self) -> bool:
        """Tell whether it may be asked now."""
        return monotonic() >= self._closed_until

    def failed(self, error: BackendUnavailable) -> None:
        """Leave it alone for a while."""
        if isinstance(error, SessionUnavailable):
            logger.warning("a read passes over %s: %s", self.backend.identity, error)
            return
        if not self._pause_s:
            logger.warning("reads pass over %s: %s", self.backend.identity, error)
        self._pause_s = min(BREAKER_MAX_S, self._pause_s * 2 or BREAKER_FIRST_S)
        self._closed_until = monotonic() + self._pause_s

    def answered(self) -> None:
        """Forget that it had failed."""
        if self._pause_s:
            logger.warning("reads use %s again", self.backend.identity)
            self._pause_s = self._closed_until = 0.0

    def stored(self) -> None:
        """Let it be asked at once."""
        self._closed_until = 0.0


class _Seen:
    """The sessions as this process last saw them, within a bound of bytes."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._bytes = 0
        self._entries: OrderedDict[str, tuple[list[bytes], list[bytes], int]] = OrderedDict()

    def keep(self, query: Query, records: list[bytes]) -> None:
        """Remember a read; one that asked for the last few is kept beside the last whole one."""
        with self._lock:
            whole, _, held = self._entries.pop(query.session, ([], [], 0))
            kept, tail = (records, []) if query.last is None else (whole, records)
            size = sum(map(len, kept)) + sum(map(len, tail))
            self._entries[query.session] = (kept, tail, size)
            self._bytes += size - held
            while self._bytes > CACHE_BYTES_MAX:
                _, (_, _, freed) = self._entries.popitem(last=False)
                self._bytes -= freed

    def of(self, session: str) -> list[bytes]:
        with self._lock:
            whole, tail, _ = self._entries.get(session, ([], [], 0))
            return merge(whole, tail)


class SessionReader:
    """Reads sessions for one process."""

    def __init__(
        self, backends: dict[str, Backend], pending: PendingView, clock: Clock, erased: ErasedList, *, strict: bool
    ) -> None:
        """Read from `backends`, the first one first, and from caches last."""
        self.stores = [Store(name, backend) for name, backend in by_keeping(backends)]
        self._pending, self._clock, self._erased, self._strict = pending, clock, erased, strict
        self._seen = _Seen()
        self.incomplete_reads = 0
        self.quarantined: set[bytes] = set()
        self._told: set[bytes] = set()

    def stored(self, key: str) -> None:
        """Ask a backend again that has just taken a batch: what was pending before is only there now."""
        for store in self.stores:
            if store.key == key:
                store.stored()

    def read(self, query: Query) -> Answer:
        """Read a session; `BackendUnavailable` only with strict reads."""
        error: BackendUnavailable | None = None
        pending = self._pending.records(query.encoded, self.stores[0].key)
        for store in self.stores:
            if store.usable:
                try:
                    answer = self._drive(query, store, pending)
                except BackendUnavailable as found:
                    error = found
                    store.failed(found)
                else:
                    return self._answer(query, store, answer)
        return self._without_backend(query, pending, error)

    def reach(self, query: Query, use: Callable[[Reach], T]) -> T:
        """Let `use` read from the first backend that answers it, or else from what is known here; raises as `read`."""
        error: BackendUnavailable | None = None
        pending = self.waiting(query, self.stores[0])
        for store in self.stores:
            if store.usable:
                lacks = pending if store is self.stores[0] else self.waiting(query, store)
                try:
                    found = use(Reach(store, lacks, complete=store is self.stores[0]))
                except BackendUnavailable as failure:
                    error = failure
                    store.failed(failure)
                else:
                    self._count(store)
                    return found
        return use(Reach(None, self._known(query, pending, error), complete=False))

    def waiting(self, query: Query, store: Store) -> list[bytes]:
        """Give what a store lacks of a session, in order."""
        return merge(self._pending.records(query.encoded, store.key))

    def _drive(self, query: Query, store: Store, pending: list[bytes]) -> tuple[list[bytes], Folded]:
        walk = self._steps(query, store, pending)
        page: Page | tuple[list[bytes], Folded] = next(walk)
        while isinstance(page, Page):
            if query.rider is not None and page.before is None:
                records = query.rider.read(store.backend, query.session, page.limit)
            else:
                records = store.backend.read(query.session, before=page.before, limit=page.limit)
            page = _sent(walk, records)
        return page

    async def aread(self, query: Query) -> Answer:
        """Do as `read`, with the backend's async API."""
        error: BackendUnavailable | None = None
        pending = self._pending.records(query.encoded, self.stores[0].key)
        for store in self.stores:
            if store.usable:
                try:
                    answer = await self._adrive(query, store, pending)
                except BackendUnavailable as found:
                    error = found
                    store.failed(found)
                else:
                    return self._answer(query, store, answer)
        return self._without_backend(query, pending, error)

    async def _adrive(self, query: Query, store: Store, pending: list[bytes]) -> tuple[list[bytes], Folded]:
        walk = self._steps(query, store, pending)
        page: Page | tuple[list[bytes], Folded] = next(walk)
        while isinstance(page, Page):
            if query.rider is not None and page.before is None:
                records = await query.rider.aread(store.backend, query.session, page.limit)
            else:
                records = await store.backend.aread(query.session, before=page.before, limit=page.limit)
            in_thread = len(records) > LOOP_RECORDS_MAX
            page = await asyncio.to_thread(_sent, walk, records) if in_thread else _sent(walk, records)
        return page

    def _steps(self, query: Query, store: Store, first_lacks: list[bytes]) -> Steps:
        lacks = first_lacks if store is self.stores[0] else self._pending.records(query.encoded, store.key)
        return steps(query, lacks, store.backend.page_events)

    def _answer(self, query: Query, store: Store, found: tuple[list[bytes], Folded]) -> Answer:
        complete = self._count(store)
        records, folded = found
        self.observe(query, reversed(records))
        if query.before is None:
            self._seen.keep(query, records)
        if query.rider is not None and complete:
            query.rider.met(records, cut=folded.cut)
        return Answer(self._reported(folded), store.name, complete)

    def _count(self, store: Store) -> bool:
        store.answered()
        complete = store is self.stores[0]
        self.incomplete_reads += not complete
        return complete

    def _without_backend(self, query: Query, pending: list[bytes], error: BackendUnavailable | None) -> Answer:
        records = self._known(query, pending, error)
        self.observe(query, reversed(records))
        return Answer(self._reported(fold_merged(records, query.now_ms)), "journal", complete=False)

    def _known(self, query: Query, pending: list[bytes], error: BackendUnavailable | None) -> list[bytes]:
        """Give what was seen of a session and what is pending; raises with strict reads."""
        if self._strict:
            raise error or BackendUnavailable("expected a backend that answers, found each passed over after a failure")
        self.incomplete_reads += 1
        floor = self._erased.cut(query.encoded)
        records = [record for record in merge(self._seen.of(query.session), pending) if record >= floor]
        if query.before is None:
            self._seen.keep(query._replace(last=None), records)
        return [record for record in records if query.before is None or record[:ID_BYTES] < query.before]

    def observe(self, query: Query, newest_first: Iterable[bytes]) -> None:
        """Let the clock know the newest id of a session that no broken clock made."""
        for record in newest_first:
            if not is_damage(record, query.wall_ms):
                self._clock.observe(query.encoded, record[:ID_BYTES], query.wall_ms)
                return
            self._tell_of(record[:ID_BYTES], "lies more than 24 h ahead of this clock; nothing follows it")

    def _reported(self, folded: Folded) -> Folded:
        for event_id in folded.quarantined:
            self.quarantined.add(event_id)
            self._tell_of(event_id, "cannot be read; the rest of the session is")
        return folded

    def _tell_of(self, event_id: bytes, what: str) -> None:
        if event_id not in self._told:
            self._told.add(event_id)
            logger.error("event %s %s", event_id.hex(), what)
