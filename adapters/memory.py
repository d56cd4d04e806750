"""Room: a store in this process's memory: the reference that the contract suite is written against.

`memory:` makes a store of its own for each open; nothing outlives it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import count
from threading import Lock

from eventlog.codec import is_cut
from eventlog.errors import BackendError
from eventlog.events import ID_BYTES
from eventlog.ports import Batch

_numbers = count(1)


class MemoryBackend:
    """A dict of sessions, each a dict of records by id."""

    scheme = "memory"
    page_events = 1 << 30

    def __init__(self, name: str | None = None) -> None:
        """Make an empty store; `name` tells it from others in `identity`."""
        self.identity = f"memory:{name or next(_numbers)}"
        self._lock = Lock()
        self._sessions: dict[str, dict[bytes, bytes]] = {}

    def append(self, batch: Batch) -> dict[str, BackendError]:
        """Store every record; of two bodies under one id the larger stays."""
        with self._lock:
            for session, records in batch.items():
                held = self._sessions.setdefault(session, {})
                for record in records:
                    event_id = record[:ID_BYTES]
                    held[event_id] = max(record, held.get(event_id, b""))
        return {}

    def read(self, session: str, *, before: bytes | None = None, limit: int) -> list[bytes]:
        """Give the newest `limit` records below `before`, ascending."""
        with self._lock:
            records = sorted(self._sessions.get(session, {}).values())
        end = len(records) if before is None else bisect_left(records, before)
        return records[max(0, end - limit) : end]

    async def aread(self, session: str, *, before: bytes | None = None, limit: int) -> list[bytes]:
        """Do as `read`."""
        return self.read(session, before=before, limit=limit)

    def sessions(self, prefix: str = "") -> Iterator[str]:
        """Give the sessions that begin with `prefix`."""
        with self._lock:
            names = [name for name, held in self._sessions.items() if held and name.startswith(prefix)]
        yield from names

    def cuts(self, sessions: Sequence[str]) -> dict[str, bytes]:
        """Give the newest clear of each session that has one."""
        with self._lock:
            found = {session: [*filter(is_cut, self._sessions.get(session, {}).values())] for session in sessions}
        return {session: max(cuts) for session, cuts in found.items() if cuts}

    def remove(self, session: str, before: bytes) -> None:
        """Remove the session's events below `before`."""
        with self._lock:
            held = self._sessions.get(session, {})
            self._sessions[session] = {event_id: record for event_id, record in held.items() if event_id >= before}

    def discard(self, session: str, records: Sequence[bytes]) -> None:
        """Remove just these events of the session."""
        with self._lock:
            held = self._sessions.get(session, {})
            for record in records:
                held.pop(record[:ID_BYTES], None)

    def after_fork(self) -> None:
        """Take a lock of one's own; the copied memory is the child's."""
        self._lock = Lock()

    def close(self) -> None:
        """Nothing to let go of."""


def from_url(url: str) -> MemoryBackend:
    """Make a store; the URL says no more than its scheme."""
    del url
    return MemoryBackend()
