"""Room: SQLite, the embedded default. One table, key (session, id), WITHOUT ROWID.

Rules:
* apsw, whose own SQLite is new enough to be free of the WAL-reset bug that older system libraries have.
* WAL with `synchronous=FULL`: a batch is on the disk when `append` returns, for on its word the journal lets go.
* A handle of the parent is never closed in a child: closing would drop the parent's POSIX locks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import Any
from urllib.parse import unquote, urlsplit

import apsw

from eventlog.errors import BackendError, BackendUnavailable, ConfigurationError
from eventlog.events import ID_BYTES
from eventlog.ports import Batch

BUSY_TIMEOUT_MS = 2000
_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS events (
    session TEXT NOT NULL, id BLOB NOT NULL, body BLOB NOT NULL, PRIMARY KEY (session, id)
) WITHOUT ROWID;
"""
_INSERT = """
INSERT INTO events (session, id, body) VALUES (?, ?, ?)
ON CONFLICT (session, id) DO UPDATE SET body = excluded.body WHERE excluded.body > events.body
"""
_NEWEST = "SELECT id, body FROM events WHERE session = ? ORDER BY id DESC LIMIT ?"
_NEWEST_BEFORE = "SELECT id, body FROM events WHERE session = ? AND id < ? ORDER BY id DESC LIMIT ?"
_NEXT_SESSION = "SELECT min(session) FROM events WHERE session > ?"
_FIRST_SESSION = "SELECT min(session) FROM events WHERE session >= ?"

_inherited: list[apsw.Connection] = []


class SQLiteBackend:
    """A file with every event in it."""

    scheme = "sqlite"
    page_events = 8192

    def __init__(self, path: str | Path) -> None:
        """Name the file; it is opened, and made if missing, at the first use."""
        self._path = Path(path).absolute()
        self.identity = f"sqlite:{self._path.resolve()}"
        self._lock = RLock()
        self._connection: apsw.Connection | None = None

    def append(self, batch: Batch) -> dict[str, BackendError]:
        """Store every record in one transaction."""
        rows = [
            (session, record[:ID_BYTES], record[ID_BYTES:]) for session, records in batch.items() for record in records
        ]
        self._with_connection(lambda connection: connection.executemany(_INSERT, rows), write=True)
        return {}

    def read(self, session: str, *, before: bytes | None = None, limit: int) -> list[bytes]:
        """Give the newest `limit` records below `before`, ascending."""
        query, values = (_NEWEST, (session, limit)) if before is None else (_NEWEST_BEFORE, (session, before, limit))
        rows = self._with_connection(lambda connection: connection.execute(query, values).fetchall())
        return [event_id + body for event_id, body in reversed(rows)]

    async def aread(self, session: str, *, before: bytes | None = None, limit: int) -> list[bytes]:
        """Do as `read`, in a thread: SQLite has no other way."""
        return await asyncio.to_thread(self.read, session, before=before, limit=limit)

    def sessions(self, prefix: str = "") -> Iterator[str]:
        """Give the sessions that begin with `prefix`, in order, at one index step each."""
        query, name = _FIRST_SESSION, prefix
        while True:
            name = self._one(query, name)
            if name is None or not name.startswith(prefix):
                return
            yield name
            query = _NEXT_SESSION

    def _one(self, query: str, value: str) -> Any:
        row = self._with_connection(lambda connection: connection.execute(query, (value,)).fetchone())
        return row[0] if row else None

    def remove(self, session: str, before: bytes) -> None:
        """Remove the session's events below `before`."""
        query = "DELETE FROM events WHERE session = ? AND id < ?"
        self._with_connection(lambda connection: connection.execute(query, (session, before)), write=True)

    def after_fork(self) -> None:
        """Keep the parent's handle alive and unused; open one's own when needed."""
        self._lock = RLock()
        if self._connection is not None:
            _inherited.append(self._connection)
            self._connection = None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _with_connection(self, work: Callable[[apsw.Connection], Any], *, write: bool = False) -> Any:
        with self._lock:
            try:
                connection = self._open()
                if not write:
                    return work(connection)
                with connection:
                    return work(connection)
            except (apsw.Error, OSError) as error:
                self._drop_if_broken(error)
                raise BackendUnavailable(f"{self.identity}: {type(error).__name__}: {error}") from error

    def _drop_if_broken(self, error: Exception) -> None:
        if not isinstance(error, apsw.BusyError):
            with suppress(apsw.Error):
                self.close()

    def _open(self) -> apsw.Connection:
        if self._connection is None:
            connection = apsw.Connection(str(self._path))
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            connection.execute(_SCHEMA).fetchall()
            self._connection = connection
        return self._connection


def from_url(url: str) -> SQLiteBackend:
    """Read `sqlite:///relative.db` or `sqlite:////absolute.db`."""
    parts = urlsplit(url)
    path = unquote(parts.path)[1:]
    if parts.netloc or not path:
        raise ConfigurationError("expected sqlite:///path or sqlite:////absolute/path, found a URL without a path")
    return SQLiteBackend(path)
