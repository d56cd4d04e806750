"""Room: the table in which langchain-community's Cassandra class kept sessions: how it is asked.

Rules:
* Its name is ours without the end that ours has; it is never made, and one that is missing is looked for again later.
* What is removed is what is older than a clear: rows that come afterwards stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Any, NamedTuple
from uuid import UUID

from cassandra import InvalidRequest

from eventlog.adapters.cassandra_table import Names
from eventlog.adapters.legacy_rows import GREGORIAN_100NS, Row

SUFFIX = "_events"
LOOK_AGAIN_S = 60.0
_TEXTS = {
    "newest": "SELECT row_id FROM {table} WHERE partition_id = ? LIMIT 1",
    "since": "SELECT row_id, body_blob, ttl(body_blob) FROM {table} WHERE partition_id = ? AND row_id >= ?",
    "remove": "DELETE FROM {table} WHERE partition_id = ? AND row_id < ?",
    "sessions": "SELECT DISTINCT partition_id FROM {table}",
}
_LOWEST = 0x80
"""Cassandra compares what follows a TIMEUUID's time as signed bytes."""


class OldStatements(NamedTuple):
    """What is asked, prepared and idempotent."""

    newest: Any
    since: Any
    remove: Any
    sessions: Any


class OldTable:
    """The old table beside one of ours."""

    def __init__(self, ours: Names) -> None:
        """Name it; nothing is asked."""
        self.names = Names(ours.keyspace, ours.table.removesuffix(SUFFIX)) if ours.table.endswith(SUFFIX) else None
        self._prepared: tuple[Any, OldStatements | None] = (None, None)
        self._look_at_s = 0.0

    def is_known(self, session: Any) -> bool:
        """Tell whether `statements` asks nothing now."""
        known_for, statements = self._prepared
        fresh = statements is not None or monotonic() < self._look_at_s
        return self.names is None or (known_for is session and fresh)

    def statements(self, session: Any) -> OldStatements | None:
        """Give the statements; None where there is no such table."""
        if self.is_known(session):
            return self._prepared[1]
        self._look_at_s = monotonic() + LOOK_AGAIN_S
        try:
            found = OldStatements(*(session.prepare(text.format(table=self.names)) for text in _TEXTS.values()))
        except InvalidRequest:  # no such table, or one of another shape
            self._prepared = (session, None)
            return None
        for statement in found:
            statement.is_idempotent = True
        self._prepared = (session, found)
        return found


def first_row_at(ms: int) -> UUID:
    """Give the smallest TIMEUUID of a time in Unix ms (a bound, not an id)."""
    time = max(0, ms) * 10_000 + GREGORIAN_100NS
    low, middle, high = time & 0xFFFFFFFF, time >> 32 & 0xFFFF, time >> 48 & 0x0FFF | 0x1000
    node = int.from_bytes(bytes((_LOWEST,)) * 6, "big")
    return UUID(fields=(low, middle, high, _LOWEST, _LOWEST, node))


def rows_of(found: Any) -> Iterator[Row]:
    """Read rows."""
    for row_id, body, ttl_s in found:
        if body is not None:
            yield Row(row_id, body.encode(), ttl_s)
