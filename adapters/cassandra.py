"""Room: Cassandra 4 and 5, and what speaks their protocol. The table: cassandra_table.py.

Rules:
* A session's events of one batch are one mutation of one partition; several are on their way at once.
* A session whose token range lacks replicas is returned from `append`; the others are stored, and read.
* A table that is gone is made again, at the next batch.
* Pages are read newest first and begin small: what a clear hides lies behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from eventlog.adapters import missing
from eventlog.clock import now_ms
from eventlog.errors import BackendError
from eventlog.ports import Batch

try:
    import cassandra.cluster  # noqa: F401 (or else it is missing)
except ImportError as error:
    raise missing("cassandra", "cassandra-driver") from error

from eventlog.adapters import cassandra_links
from eventlog.adapters.cassandra_flight import Flight
from eventlog.adapters.cassandra_links import READ_TIMEOUT_S, READS, WRITE_TIMEOUT_S, Link, Links
from eventlog.adapters.cassandra_old import OldTable, first_row_at, rows_of
from eventlog.adapters.cassandra_places import Place, level_of, place_of
from eventlog.adapters.cassandra_reads import PAGE_ROWS, aread_all, read_all, to_read
from eventlog.adapters.cassandra_ring import is_of_one_range
from eventlog.adapters.cassandra_table import (
    Replication,
    Statements,
    Table,
    checked_names,
    checked_replication,
    prepared,
)
from eventlog.adapters.cassandra_urls import place_of_url
from eventlog.adapters.cassandra_words import is_gone, told
from eventlog.adapters.cassandra_writes import to_discard, to_remove, to_write
from eventlog.adapters.legacy_rows import Row

__all__ = ["CassandraBackend", "from_url"]


class CassandraBackend:
    """A table with every event in it."""

    scheme = "cassandra"
    page_events = 100

    def __init__(  # noqa: PLR0913 (each may be left out)
        self,
        session: Any,
        keyspace: str,
        table: str = "eventlog",
        *,
        consistency: str = "LOCAL_QUORUM",
        replication: Replication = None,
        provision: bool = True,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        """Stand on the addresses and credentials of `session`, a `cassandra.cluster.Session`, with our own connections.

        `replication` is for a keyspace that is to be made: copies in this data center (3, or as many as there are
        nodes), or a dict of data centers. `provision=False` makes neither keyspace nor table.
        """
        place = session if isinstance(session, Place) else place_of(session)
        self._names = checked_names(keyspace, table)
        self._table = Table(self._names, checked_replication(replication), provision)
        self.identity = f"cassandra:{place.hosts}/{keyspace}/{table}"
        self._links = Links(place, level_of(consistency), self._ready)
        self._now_ms = now_ms
        self._old = OldTable(self._names)

    def _ready(self, session: Any) -> Statements:
        self._table.make_sure(session)
        self._old.statements(session)
        return prepared(session, self._names)

    def renew(self, newer: CassandraBackend) -> None:
        """Connect from now on as `newer` does, a backend of the same identity."""
        if newer._table.provision:
            self._table = newer._table
        if self._links.place != newer._links.place:
            older, self._links = self._links, newer._links
            older.close()

    def append(self, batch: Batch) -> dict[str, BackendError]:
        """Store every record."""
        link = self._link(WRITE_TIMEOUT_S)
        return self._flight(link).fly(to_write(link.statements, batch, self._now_ms()))

    def read(self, session: str, *, before: bytes | None = None, limit: int) -> list[bytes]:
        """Give the newest `limit` records below `before`, ascending."""
        link = self._link(cassandra_links.READ_TIMEOUT_S)
        try:
            return _records(read_all(link.session, to_read(link.statements, session, before, limit)))
        except Exception as error:
            raise self._told(link, error, session) from error

    async def aread(self, session: str, *, before: bytes | None = None, limit: int) -> list[bytes]:
        """Do as `read`, with the driver's callbacks."""
        try:
            link = await self._links.alink()
        except Exception as error:
            raise told(self.identity, error) from error
        try:
            return _records(await aread_all(link.session, to_read(link.statements, session, before, limit)))
        except Exception as error:
            raise self._told(link, error, session) from error

    # the table of the class that users come from

    def read_with_old(self, session: str, limit: int) -> tuple[list[bytes], UUID | None]:
        """Do as `read`, and ask at the same time for the newest row of the session's old partition."""
        link = self._link(READ_TIMEOUT_S)
        old = self._old.statements(link.session)
        asked = old and link.session.execute_async(old.newest.bind((session,)), execution_profile=READS)
        records = self.read(session, limit=limit)
        try:
            return records, _newest(asked.result()) if asked else None
        except Exception as error:
            raise self._told(link, error, session) from error

    async def aread_with_old(self, session: str, limit: int) -> tuple[list[bytes], UUID | None]:
        """Do as `read_with_old`, with the driver's callbacks."""
        try:
            link = await self._links.alink()
            if not self._old.is_known(link.session):
                await asyncio.to_thread(self._old.statements, link.session)
            old = self._old.statements(link.session)
        except Exception as error:
            raise told(self.identity, error) from error
        asked = old and asyncio.ensure_future(aread_all(link.session, old.newest.bind((session,))))
        records = await self.aread(session, limit=limit)
        try:
            return records, _newest(await asked) if asked else None
        except Exception as error:
            raise self._told(link, error, session) from error

    def old_rows(self, session: str, since_ms: int) -> list[Row]:
        """Give the rows of the session's old partition from a time on, oldest first."""
        link = self._link(READ_TIMEOUT_S)
        try:
            old = self._old.statements(link.session)
            if old is None:
                return []
            statement = old.since.bind((session, first_row_at(since_ms)))
            statement.fetch_size = PAGE_ROWS
            return list(rows_of(read_all(link.session, statement)))[::-1]
        except Exception as error:
            raise self._told(link, error, session) from error

    def remove_old(self, session: str, before: bytes) -> None:
        """Remove the rows of the session's old partition that are older than an id."""
        link = self._link(WRITE_TIMEOUT_S)
        try:
            old = self._old.statements(link.session)
        except Exception as error:
            raise self._told(link, error, session) from error
        if old is not None:
            bound = first_row_at(int.from_bytes(before[:6], "big") + 1)
            _raise_first(self._flight(link).fly([(session, old.remove.bind((session, bound)))]))

    def cuts(self, sessions: Sequence[str]) -> dict[str, bytes]:
        """Give the newest clear of each session that has one."""
        link = self._link(WRITE_TIMEOUT_S)
        flight = self._flight(link)
        _raise_first(flight.fly((session, link.statements.cut.bind((session,))) for session in sessions))
        return {session: rows[0][1] for session, rows in flight.found.items() if rows[0][1] is not None}

    def sessions(self, prefix: str = "") -> Iterator[str]:
        """Give the sessions that begin with `prefix`, by a scan of all partitions."""
        link = self._link(WRITE_TIMEOUT_S)
        try:
            statement = link.statements.sessions.bind(())
            statement.fetch_size = PAGE_ROWS
            for (name,) in link.session.execute(statement):
                if name.startswith(prefix):
                    yield name
        except Exception as error:
            raise self._told(link, error) from error

    def remove(self, session: str, before: bytes) -> None:
        """Remove the session's events below `before`, by one range delete."""
        link = self._link(WRITE_TIMEOUT_S)
        _raise_first(self._flight(link).fly([(session, to_remove(link.statements, session, before))]))

    def discard(self, session: str, records: Sequence[bytes]) -> None:
        """Remove just these events of the session."""
        if records:
            link = self._link(WRITE_TIMEOUT_S)
            _raise_first(self._flight(link).fly(to_discard(link.statements, session, records)))

    def after_fork(self) -> None:
        """Forget the parent's connections."""
        self._links.after_fork()

    def close(self) -> None:
        """Close our connections, not the session that was given."""
        self._links.close()

    def _link(self, timeout_s: float) -> Link:
        try:
            return self._links.link(timeout_s)
        except Exception as error:
            raise told(self.identity, error) from error

    def _flight(self, link: Link) -> Flight:
        return Flight(link.session, lambda error, session: self._told(link, error, session))

    def _told(self, link: Link, error: BaseException, session: str | None = None) -> BackendError:
        if is_gone(error):
            self._links.renew(link)
        in_part = session is not None and is_of_one_range(error, link.session.cluster, self._names.keyspace, session)
        return told(self.identity, error, in_part=in_part)


def _newest(rows: Iterable[Any]) -> UUID | None:
    return next((row[0] for row in rows), None)


def _records(rows: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    return [event_id + body for event_id, body in reversed(rows)]


def _raise_first(failed: Mapping[str, BackendError]) -> None:
    for error in failed.values():
        raise error


def from_url(url: str) -> CassandraBackend:
    """Read a URL of a cluster or of Astra (cassandra_urls.py)."""
    place, keyspace, options = place_of_url(url)
    return CassandraBackend(place, keyspace, **options)
