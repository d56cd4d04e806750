"""Room: which statements store a batch and remove events: pure, but for the clock that is handed in.

Rules:
* What one session gets in a batch goes in one mutation, up to `BATCH_BYTES_MAX`; a single event needs no batch.
* A fixed event has as TTL what remains, rounded up, at least a second; where Cassandra cannot hold its deadline, none.
* A clear writes its row and the static column in one statement; it never expires.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cassandra.query import BatchStatement, BatchType

from eventlog.adapters.cassandra_flight import Statement
from eventlog.adapters.cassandra_table import Statements, id_bound, timestamp_us
from eventlog.codec import FIXED, decode, is_cut
from eventlog.errors import DamagedBody
from eventlog.events import ID_BYTES, MessageAdded
from eventlog.ports import Batch

BATCH_BYTES_MAX = 10 << 20
BATCH_EVENTS_MAX = 8192
DEADLINE_MAX_S = 2**31 - 2
"""January 2038: a later one is refused by servers before 5.0, or moved."""

_Asked = tuple[Any, tuple[Any, ...]]
"""A prepared statement and its values."""


def to_write(statements: Statements, batch: Batch, now_ms: int) -> Iterator[Statement]:
    """Give what stores a batch."""
    for session, records in batch.items():
        for chunk in _chunks(records):
            yield session, _together([_insert(statements, session, record, now_ms) for record in chunk])


def to_remove(statements: Statements, session: str, before: bytes) -> Any:
    """Give what removes a session's events below `before`, and the note of a clear that is one of them."""
    cut_us = timestamp_us(before)
    return _together(
        [
            (statements.remove, (cut_us, session, id_bound(before))),
            (statements.discard_cut, (cut_us - 1, session)),
        ]
    )


def to_discard(statements: Statements, session: str, records: Sequence[bytes]) -> Iterator[Statement]:
    """Give what removes just these events."""
    for chunk in _chunks(records):
        asked: list[_Asked] = []
        for record in chunk:
            at_us = timestamp_us(record)
            asked.append((statements.discard, (at_us, session, record[:ID_BYTES])))
            if is_cut(record):
                asked.append((statements.discard_cut, (at_us, session)))
        yield session, _together(asked)


def _insert(statements: Statements, session: str, record: bytes, now_ms: int) -> _Asked:
    values = (session, record[:ID_BYTES], record[ID_BYTES:])
    at_us = timestamp_us(record)
    if is_cut(record):
        return statements.insert_cut, (*values, record, at_us)
    ttl_s = _ttl_s(record, now_ms) if record.startswith(FIXED, ID_BYTES) else 0
    return (statements.insert_ttl, (*values, at_us, ttl_s)) if ttl_s else (statements.insert, (*values, at_us))


def _ttl_s(record: bytes, now_ms: int) -> int:
    """Give the seconds that a fixed event has left; 0 where the store is not to know."""
    try:
        event = decode(record)
    except DamagedBody:
        return 0
    if not isinstance(event, MessageAdded) or event.at_ms + event.ttl_ms > DEADLINE_MAX_S * 1000:
        return 0
    return max(1, -((now_ms - event.at_ms - event.ttl_ms) // 1000))


def _together(asked: Sequence[_Asked]) -> Any:
    if len(asked) == 1:
        statement, values = asked[0]
        return statement.bind(values)
    batch = BatchStatement(BatchType.UNLOGGED)
    for statement, values in asked:
        batch.add(statement, values)
    batch.is_idempotent = True
    return batch


def _chunks(records: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Split what would not fit in one message."""
    if len(records) <= BATCH_EVENTS_MAX and sum(map(len, records)) <= BATCH_BYTES_MAX:
        yield records
        return
    chunk: list[bytes] = []
    size = 0
    for record in records:
        if chunk and (len(chunk) == BATCH_EVENTS_MAX or size + len(record) > BATCH_BYTES_MAX):
            yield chunk
            chunk, size = [], 0
        chunk.append(record)
        size += len(record)
    yield chunk
