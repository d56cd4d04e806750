"""Room: SQLite, the embedded default. One table, key (session, id), WITHOUT ROWID.

Rules:
* apsw, whose own SQLite is new enough to be free of the WAL-reset bug that older system libraries have.
* WAL with `synchronous=FULL`: a batch is on the disk when `append` returns, for on its word the journal lets go.
* No handle is open while the process forks (forks.py): a child that opens its own beside one would write unlocked.
* What `remove` and `discard` took is in no byte of the file or of its WAL when they return: deleted cells are wiped,
  copies of them in the gaps of pages are never written (sqlite_pages.py), and the WAL is truncated. While somebody
  else's long read keeps it from being truncated they say `BackendUnavailable`, though nobody reads the events any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import apsw

from eventlog.adapters import sqlite_pages
from eventlog.codec import CLEARED
from eventlog.errors import BackendError, BackendUnavailable, ConfigurationError
from eventlog.events import ID_BYTES
from eventlog.forks import Handle
from eventlog.ports import Batch

BUSY_TIMEOUT_MS = 2000
_TRUNCATE = apsw.SQLITE_CHECKPOINT_TRUNCATE
_IS_CUT = f"substr(body, 1, {len(CLEARED)}) = x'{CLEARED.hex()}'"
_SCHEMA = f"""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
CREATE TABLE IF NOT EXISTS events (
    session TEXT NOT NULL, id BLOB NOT NULL, body BLOB NOT NULL, PRIMARY KEY (session, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS cuts ON events (session, id) WHERE {_IS_CUT};
"""
_INSERT = """
INSERT INTO events (session, id, body) VALUES (?, ?, ?)
ON CONFLICT (session, id) DO UPDATE SET body = excluded.body WHERE excluded.body > events.body
"""
_NEWEST = "SELECT id, body FROM events WHERE session = ? ORDER BY id DESC LIMIT ?"
_NEWEST_BEFORE = "SELECT id, body FROM events WHERE session = ? AND id < ? ORDER BY id DESC LIMIT ?"
_NEWEST_CUT = f"SELECT id, body FROM events WHERE session = ? AND {_IS_CUT} ORDER BY id DESC LIMIT 1"  # noqa: S608
_NEXT_SESSION = "SELECT min(session) FROM events WHERE session > ?"
_FIRST_SESSION = "SELECT min(session) FROM events WHERE session >= ?"


class SQLiteBackend(Handle):
    """A file with every event in it."""

    scheme = "sqlite"
    page_events = 8192

    def __init__(self, path: str | Path) -> None:
        """Name the file; it is opened, and made if missing, at the first use."""
        super().__init__()
        self._path = Path(path).absolute()
        self.identity = f"sqlite:{self._path.resolve()}"
        self._unwiped = True
        """Whether the WAL may hold what was deleted: by a process before this one, as far as anybody knows."""

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

    def cuts(self, sessions: Sequence[str]) -> dict[str, bytes]:
        """Give the newest clear of each session that has one, at one index step each."""

        def newest(connection: apsw.Connection) -> dict[str, bytes]:
            found = {session: connection.execute(_NEWEST_CUT, (session,)).fetchone() for session in sessions}
            return {session: row[0] + row[1] for session, row in found.items() if row}

        cuts: dict[str, bytes] = self._with_connection(newest)
        return cuts

    def remove(self, session: str, before: bytes) -> None:
        """Remove the session's events below `before`."""
        self._wipe("DELETE FROM events WHERE session = ? AND id < ?", [(session, before)])

    def discard(self, session: str, records: Sequence[bytes]) -> None:
        """Remove just these events of the session."""
        self._wipe("DELETE FROM events WHERE session = ? AND id = ?", [(session, r[:ID_BYTES]) for r in records])

    def _wipe(self, query: str, rows: Sequence[tuple[str, bytes]]) -> None:
        """Delete rows, then have the WAL written to the file and truncated, for it holds what was deleted."""

        def delete(connection: apsw.Connection) -> bool:
            before = connection.total_changes()
            connection.executemany(query, rows)
            return connection.total_changes() > before

        with self._lock:
            self._unwiped = self._with_connection(delete, write=True) or self._unwiped
            if self._unwiped:
                self._with_connection(lambda connection: connection.wal_checkpoint(mode=_TRUNCATE))
                self._unwiped = False

    def after_fork(self) -> None:
        """Open a handle of one's own when needed."""

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
            connection = apsw.Connection(str(self._path), vfs=sqlite_pages.NAME)
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
