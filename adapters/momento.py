"""Room: Momento, through its SDK. Keys and scores: momento_keys.py; who writes where: momento_segments.py.

    momento://cache-name[?endpoint=host[:port]][&create=true][&longest_ttl_s=86400]      key: $MOMENTO_API_KEY

Rules:
* Momento is a cache: what it holds of a session goes `longest_ttl` after the last write to it at the latest, and may
  go before. That is said once in the log, and in the status; reads prefer a backend that keeps what it has.
* Every write renews a key for as long as the service allows, for a shorter time would shorten what is there.
* One write call a session and batch, while a session is short.
* The service cannot list keys: sessions are listed by us, and again after a while, for the list expires too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from time import time
from typing import Any, TypeVar

from eventlog.adapters import missing
from eventlog.errors import BackendError, EventRejected, SessionUnavailable
from eventlog.events import ID_BYTES
from eventlog.ports import Batch

try:
    import momento
except ImportError as error:
    raise missing("momento", "momento") from error

from eventlog.adapters import momento_keys as keys
from eventlog.adapters.legacy import NOTHING, Look
from eventlog.adapters.momento_calls import Calls, KeyFull
from eventlog.adapters.momento_clients import Clients, at_once
from eventlog.adapters.momento_places import place_of
from eventlog.adapters.momento_segments import Segments
from eventlog.adapters.momento_urls import read_url

__all__ = ["LONGEST_TTL", "MomentoBackend", "from_url"]

LONGEST_TTL = timedelta(hours=24)
"""What the service allows without an agreement of one's own."""
_VERIFIED_AT_ONCE = 64
_LAST = b"\xff" * ID_BYTES

logger = logging.getLogger("eventlog.momento")
T = TypeVar("T")


class MomentoBackend:
    """A Momento cache with every event in it, for a while."""

    scheme = "momento"
    page_events = 1 << 20
    is_cache = True

    def __init__(
        self,
        client: momento.CacheClient | momento.CredentialProvider,
        cache_name: str,
        *,
        longest_ttl: timedelta = LONGEST_TTL,
        create: bool = False,
    ) -> None:
        """Stand on the endpoint and key of `client`, with connections of our own; `create`: make a missing cache."""
        place = place_of(client)
        self.identity = f"momento:{place.address}/{cache_name}"
        self.note = f"a cache: what it holds of a session goes {_hours(longest_ttl)} after the last write to it"
        self._ttl, self._told = longest_ttl, False
        self._clients = Clients(place, longest_ttl)
        self._calls = Calls(self._clients, cache_name, self.identity, create=create)
        self._segments = Segments(self._calls, longest_ttl)

    def renew(self, newer: MomentoBackend) -> None:
        """Connect from now on as `newer` does, a backend of the same identity; make the cache if either would."""
        self._calls.create |= newer._calls.create
        if self._clients.place != newer._clients.place:
            self._clients = self._calls.clients = newer._clients

    def append(self, batch: Batch) -> dict[str, BackendError]:
        """Store every record, with several sessions' calls under way at once."""
        self._tell_once()
        self._list(batch)
        errors = at_once([partial(self._write, session, records) for session, records in batch.items()])
        return {session: error for session, error in zip(batch, errors, strict=True) if error is not None}

    def _write(self, session: str, records: Sequence[bytes]) -> BackendError | None:
        try:
            self._segments.write(session, records)
        except (EventRejected, SessionUnavailable) as error:
            return error
        return None

    def _tell_once(self) -> None:
        if not self._told:
            self._told = True
            logger.warning(
                "%s is %s; use a backend that keeps them for histories that must stay", self.identity, self.note
            )

    # the list of sessions

    def _list(self, sessions: Batch) -> None:
        """List the sessions that were not listed for a while."""
        now_s = time()
        chosen = self._segments.untouched(sessions, now_s)
        by_shard: dict[str, keys.Elements] = {}
        for session in chosen:
            by_shard.setdefault(keys.shard_key(session), {})[session.encode()] = now_s * 1000
        at_once([partial(self._put_names, shard, names) for shard, names in by_shard.items()])
        at_once([partial(self._segments.renew, session) for session in chosen])
        self._segments.touched(chosen, now_s)

    def _put_names(self, shard: str, names: keys.Elements) -> None:
        try:
            self._put_all(shard, names)
        except KeyFull:
            self._leave_old(shard)
            try:
                self._put_all(shard, names)
            except KeyFull:
                logger.warning("%s: the list %s is full; its newest sessions are not listed", self.identity, shard)

    def _put_all(self, shard: str, names: keys.Elements) -> None:
        for portion in keys.portions(list(names)):
            self._calls.put(shard, {name: names[name] for name in portion}, self._ttl)

    def _leave_old(self, shard: str) -> None:
        """Take from a list the sessions that are gone by now."""
        old = self._drive(keys.walk(shard, 0.0, self._oldest_ms(), keys.COUNT_MAX))
        for portion in keys.portions([name for name, _ in old]):
            self._calls.remove(shard, portion)

    def _oldest_ms(self) -> float:
        return (time() - self._ttl.total_seconds()) * 1000

    def sessions(self, prefix: str = "") -> Iterator[str]:
        """Give the listed sessions that begin with `prefix` and hold an event."""
        for shard in keys.shard_keys():
            listed = self._drive(keys.walk(shard, self._oldest_ms(), None, keys.COUNT_MAX))
            names = [name for name in (value.decode() for value, _ in listed) if name.startswith(prefix)]
            for begin in range(0, len(names), _VERIFIED_AT_ONCE):
                chosen = names[begin : begin + _VERIFIED_AT_ONCE]
                pages = at_once([partial(self.read, name, limit=1) for name in chosen])
                yield from (name for name, page in zip(chosen, pages, strict=True) if page)

    # reading

    def read(self, session: str, *, before: bytes | None = None, limit: int) -> list[bytes]:
        """Give the newest `limit` records below `before`, ascending."""
        records, last = self._drive(keys.page(session, before, limit))
        self._segments.learn(session, last)
        return records

    async def aread(self, session: str, *, before: bytes | None = None, limit: int) -> list[bytes]:
        """Do as `read`, in a thread (momento_clients.py says why)."""
        return await asyncio.to_thread(self.read, session, before=before, limit=limit)

    def _drive(self, steps: keys.Steps[T]) -> T:
        try:
            fetch = next(steps)
            while True:
                fetch = steps.send(self._calls.fetch(fetch))
        except StopIteration as done:
            result: T = done.value
            return result

    def cuts(self, sessions: Sequence[str]) -> dict[str, bytes]:
        """Give the newest clear of each session that has one; a call each, several at once."""
        replies = at_once([partial(self._calls.fetch, keys.newest_cut(session)) for session in sessions])
        found = {session: keys.cut_of(reply or []) for session, reply in zip(sessions, replies, strict=True)}
        return {session: cut for session, cut in found.items() if cut is not None}

    # the list of the class that users come from

    def read_with_old(self, session: str, limit: int) -> tuple[list[bytes], Look]:
        """Do as `read`, and ask at the same time how long the session's old list is."""
        found: list[Any] = at_once([partial(self.read, session, limit=limit), partial(self.look_at_old, session)])
        return found[0], found[1]

    async def aread_with_old(self, session: str, limit: int) -> tuple[list[bytes], Look]:
        """Do as `read_with_old`, in a thread, as all async reads here."""
        return await asyncio.to_thread(self.read_with_old, session, limit)

    def look_at_old(self, session: str) -> Look:
        """Ask how long the session's old list is; more, a cache does not tell at a small price."""
        try:
            return Look(self._calls.list_length(session), None, lapses=True)
        except SessionUnavailable:  # a key of another type
            return NOTHING

    def old_page(self, session: str, start: int, stop: int | None = None) -> list[bytes]:
        """Give elements of the session's old list by their places, oldest first."""
        return self._calls.list_all(session)[start:stop]

    def remove_old(self, session: str, before: bytes) -> None:  # noqa: ARG002 (a list has no times)
        """Remove the session's old list."""
        if self.look_at_old(session).length:
            self._calls.delete(session)

    # removing

    def remove(self, session: str, before: bytes) -> None:
        """Remove the session's events below `before`."""
        for key in self._keys(session):
            found = self._drive(keys.between(key, bytes(ID_BYTES), before))
            self._remove(key, [record for record in found if record[:ID_BYTES] < before])

    def discard(self, session: str, records: Sequence[bytes]) -> None:
        """Remove just these events of the session, whatever else is stored under their ids."""
        ids = {record[:ID_BYTES] for record in records}
        for key in self._keys(session) if ids else ():
            found = self._drive(keys.between(key, min(ids), max(ids)))
            self._remove(key, [record for record in found if record[:ID_BYTES] in ids])

    def _keys(self, session: str) -> list[str]:
        last = keys.highest(self._calls.fetch(keys.marks(session)))
        return [keys.segment_key(session, number) for number in range(last + 1)]

    def _remove(self, key: str, records: Sequence[bytes]) -> None:
        for portion in keys.portions(keys.with_copies(records)):
            self._calls.remove(key, portion)

    def after_fork(self) -> None:
        """Forget the parent's connections."""
        self._clients.after_fork()
        self._segments = Segments(self._calls, self._ttl)

    def close(self) -> None:
        """Close our connections, not the client that was given."""
        self._clients.close()


def _hours(duration: timedelta) -> str:
    return f"{duration.total_seconds() / 3600:g} h"


def from_url(url: str) -> MomentoBackend:
    """Read a URL (momento_urls.py)."""
    credentials, cache_name, options = read_url(url)
    return MomentoBackend(credentials, cache_name, **options)
