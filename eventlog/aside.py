"""Room: events that a backend did not take while the rest flowed: held (tried again) or dead (a person decides).

    <root>/aside.db     SQLite: one row an event and backend

Invariants:
* A row is committed and on the disk before the cursor passes its event; it goes only when the backend has the event,
  or when a person drops it. So what is aside is as safe as what is in a segment, and is read with what is pending.
* Many processes share the file; SQLite keeps them apart.
* The reason of a dead letter is the backend's word without the message's text (the adapters see to that).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import apsw

from eventlog.errors import JournalError
from eventlog.events import ID_BYTES
from eventlog.forks import Handle

NAME = "aside.db"
BUSY_TIMEOUT_MS = 2000
Fate = Literal["held", "dead"]
_SCHEMA = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
CREATE TABLE IF NOT EXISTS events (
    backend TEXT NOT NULL, session TEXT NOT NULL, id BLOB NOT NULL, body BLOB NOT NULL,
    fate TEXT NOT NULL, reason TEXT NOT NULL, since_ms INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (backend, session, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_fate ON events (backend, fate, tries);
"""
_PUT = """
INSERT INTO events (backend, session, id, body, fate, reason, since_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET fate = excluded.fate, reason = excluded.reason
"""
_DUE = """
SELECT session, id, body FROM events WHERE backend = ? AND fate = 'held' ORDER BY tries, session, id LIMIT ?
"""
_TRIED = "UPDATE events SET tries = tries + 1 WHERE backend = ? AND session = ? AND fate = 'held'"
_GONE = "DELETE FROM events WHERE backend = ? AND session = ? AND id = ?"
_DEAD = "SELECT session, id, body, reason, since_ms FROM events WHERE backend = ? AND fate = 'dead' ORDER BY id"


class DeadLetter(NamedTuple):
    """An event that a backend will never take as it is."""

    session: str
    record: bytes
    reason: str
    since_ms: int


class Counts(NamedTuple):
    """How much of a backend's is aside."""

    held: int
    dead: int


class Aside(Handle):
    """The events aside of one directory; the file is made when the first one comes."""

    def __init__(self, root: Path) -> None:
        """Name the file; nothing is opened."""
        super().__init__()
        self._path = root / NAME

    def put(self, key: str, batch: Mapping[str, Sequence[bytes]], fate: Fate, reason: str, now_ms: int) -> None:
        """Take events aside; `JournalError` if the disk does not let us: then the cursor must stay."""
        rows = [
            (key, session, record[:ID_BYTES], record[ID_BYTES:], fate, reason, now_ms)
            for session, records in batch.items()
            for record in records
        ]
        self._run(lambda connection: connection.executemany(_PUT, rows), make=True)

    def records(self, session: str, key: str) -> list[bytes]:
        """Give a session's records that a backend did not take."""
        query = "SELECT id, body FROM events WHERE backend = ? AND session = ?"
        return [event_id + body for event_id, body in self._all(query, (key, session))]

    def sessions(self, key: str, fate: Fate | None = None) -> set[str]:
        """Give the sessions that have anything aside."""
        query = "SELECT DISTINCT session FROM events WHERE backend = ? AND (?2 IS NULL OR fate = ?2)"
        return {session for (session,) in self._all(query, (key, fate))}

    def due(self, key: str, limit: int) -> dict[str, list[bytes]]:
        """Give held events, those tried least first."""
        batch: dict[str, list[bytes]] = {}
        for session, event_id, body in self._all(_DUE, (key, limit)):
            batch.setdefault(session, []).append(event_id + body)
        return batch

    def taken(self, key: str, batch: Mapping[str, Sequence[bytes]]) -> None:
        """Forget events that the backend has now."""
        rows = [(key, session, record[:ID_BYTES]) for session, records in batch.items() for record in records]
        self._run(lambda connection: connection.executemany(_GONE, rows))
        self._run(lambda connection: connection.execute("PRAGMA incremental_vacuum").fetchall(), transaction=False)

    def tried(self, key: str, sessions: Iterable[str]) -> None:
        """Count a try that failed, so that others get their turn."""
        rows = [(key, session) for session in sessions]
        self._run(lambda connection: connection.executemany(_TRIED, rows))

    def holds(self, key: str, event_id: bytes) -> bool:
        """Tell whether an event is aside."""
        return bool(self._all("SELECT 1 FROM events WHERE backend = ? AND id = ?", (key, bytes(event_id))))

    def counts(self, key: str) -> Counts:
        """Count what is aside."""
        rows = dict(self._all("SELECT fate, count(*) FROM events WHERE backend = ? GROUP BY fate", (key,)))
        return Counts(rows.get("held", 0), rows.get("dead", 0))

    def dead_letters(self, key: str) -> list[DeadLetter]:
        """Give the dead letters of a backend, oldest first."""
        return [DeadLetter(row[0], row[1] + row[2], row[3], row[4]) for row in self._all(_DEAD, (key,))]

    def erase(self, session: str, below: bytes) -> None:
        """Remove a session's events below an id, for every backend, from every byte of the file."""
        query = "DELETE FROM events WHERE session = ? AND id < ?"
        self._run(lambda connection: connection.execute(query, (session, below)))
        self._run(
            lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall(), transaction=False
        )

    def retry_dead(self, key: str, ids: Sequence[bytes]) -> None:
        """Hold dead letters again: the deliverer tries them at its next probe."""
        rows = [(key, event_id) for event_id in ids]
        query = "UPDATE events SET fate = 'held', tries = 0 WHERE backend = ? AND id = ? AND fate = 'dead'"
        self._run(lambda connection: connection.executemany(query, rows))

    def drop_dead(self, key: str, ids: Sequence[bytes]) -> None:
        """Give dead letters up, for good."""
        rows = [(key, event_id) for event_id in ids]
        query = "DELETE FROM events WHERE backend = ? AND id = ? AND fate = 'dead'"
        self._run(lambda connection: connection.executemany(query, rows))

    def rename(self, old: str, new: str) -> None:
        """Let what is aside for one backend be for another."""
        query = "UPDATE OR REPLACE events SET backend = ? WHERE backend = ?"
        self._run(lambda connection: connection.execute(query, (new, old)))

    def forget(self, key: str) -> None:
        """Give up what is aside for a backend."""
        self._run(lambda connection: connection.execute("DELETE FROM events WHERE backend = ?", (key,)))

    @property
    def size_bytes(self) -> int:
        """The bytes of the file."""
        return self._path.stat().st_size if self._path.exists() else 0

    def _all(self, query: str, values: tuple[Any, ...]) -> list[Any]:
        rows: list[Any] = self._run(lambda connection: connection.execute(query, values).fetchall(), transaction=False)
        return rows or []

    def _run(self, work: Callable[[apsw.Connection], Any], *, make: bool = False, transaction: bool = True) -> Any:
        if not make and self._connection is None and not self._path.exists():
            return None
        with self._lock:
            try:
                connection = self._open()
                if not transaction:
                    return work(connection)
                with connection:
                    return work(connection)
            except apsw.Error as error:
                what = f"{type(error).__name__}: {error}"
                raise JournalError(f"expected to use {self._path}, found {what}") from error

    def _open(self) -> apsw.Connection:
        if self._connection is None:
            connection = apsw.Connection(str(self._path))
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            connection.execute(_SCHEMA).fetchall()
            self._path.chmod(0o600)
            self._connection = connection
        return self._connection
