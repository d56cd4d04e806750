"""Room: the rows that langchain-community's Cassandra class wrote <-> our records. Pure.

    partition_id text, row_id timeuuid, body_blob text      PRIMARY KEY (partition_id, row_id), newest first

Invariants:
* An id is made of a row's TIMEUUID: its time to 100 ns, and a hash of it. So old and new stand as they happened.
* A row's TTL goes on: its message is gone when the row is.
* What is hidden by a clear is so by its time. Rows that an old program deleted before their time are hidden one by one,
  by bodies that are larger and of a kind that nobody shows; what was added since stays.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from eventlog.adapters.legacy import body_of
from eventlog.clock import COUNTER_BITS, id_at
from eventlog.codec import FIXED, IMPORTED, PERMANENT, VERSION, decode, is_cut
from eventlog.errors import DamagedBody
from eventlog.events import ID_BYTES, WRITER_BYTES, EventId, MessageAdded

GREGORIAN_100NS = 0x01B21DD213814000
SKEW_MS = 10_000
"""How far behind the last row that is known rows are looked for: the clocks of old programs differ."""
_PER_MS = 10_000
_HASH_BITS = 48
_FORM_AT = 28
_FORM = bytes((0xA0 | len(IMPORTED),)) + IMPORTED.encode()
"""A body has the form after its kind, the array's head and nine bytes of time."""
REMOVED = bytes((VERSION, 0xFE))
"""The body of what an old program deleted."""


class Row(NamedTuple):
    """One old row; `ttl_s` is what is left of it."""

    row_id: UUID
    element: bytes
    ttl_s: int | None = None


Since = Callable[[int], list[Row]]
"""Gives the rows from a time (Unix ms) on, oldest first."""


def id_of_row(row_id: UUID) -> EventId:
    """Give the id of a row's event."""
    ms, rest = divmod(max(0, row_id.time - GREGORIAN_100NS), _PER_MS)
    tick = ms << COUNTER_BITS | (rest << COUNTER_BITS) // _PER_MS
    found = int.from_bytes(blake2b(row_id.bytes, digest_size=_HASH_BITS // 8).digest(), "big")
    writer = 0b10 << 62 | rest << _HASH_BITS | found
    return id_at(tick, writer.to_bytes(WRITER_BYTES, "big"))


def record_of_row(row: Row, now_ms: int) -> bytes:
    """Give the record of a row that was read at a time."""
    event_id = id_of_row(row.row_id)
    if row.ttl_s is None:
        return event_id + body_of(row.element, PERMANENT, event_id.ms, 0)
    ends_ms = (now_ms // 1000 + row.ttl_s) * 1000
    return event_id + body_of(row.element, FIXED, event_id.ms, max(1, ends_ms - event_id.ms))


def rows_are_settled(records: Sequence[bytes], newest: UUID | None) -> bool:
    """Tell whether the newest row is known or hidden, or there is neither a row nor anything that was imported."""
    if newest is None:
        return not _imported(_cut_and_after(records)[1])
    event_id = id_of_row(newest)
    place = bisect_left(records, event_id)
    known = place < len(records) and records[place].startswith(event_id)
    return known or any(map(is_cut, records[place:]))


def rows_news(records: Sequence[bytes], since: Since, now_ms: int) -> list[bytes]:
    """Give the records that are to be added so that a session shows what its rows hold."""
    cut, after = _cut_and_after(records)
    imported = _imported(after)
    floor_ms = EventId(max(cut, imported[-1][:ID_BYTES] if imported else b"")).ms if cut or imported else 0
    found = {id_of_row(row.row_id): row for row in since(max(0, floor_ms - SKEW_MS))}
    known = {record[:ID_BYTES] for record in after}
    new = [record_of_row(row, now_ms) for event_id, row in found.items() if event_id > cut and event_id not in known]
    if imported and imported[-1][:ID_BYTES] not in found and _is_live(imported[-1], now_ms):
        new += [record[:ID_BYTES] + REMOVED for record in imported if record[:ID_BYTES] not in found]
    return new


def _cut_and_after(records: Sequence[bytes]) -> tuple[bytes, Sequence[bytes]]:
    """Give the id of the newest clear, or nothing, and the records above it."""
    at = next((place for place in reversed(range(len(records))) if is_cut(records[place])), -1)
    return (records[at][:ID_BYTES] if at >= 0 else b""), records[at + 1 :]


def _imported(records: Sequence[bytes]) -> list[bytes]:
    return [record for record in records if record.startswith(_FORM, _FORM_AT)]


def _is_live(record: bytes, now_ms: int) -> bool:
    """Tell whether a row should still be there: its end, as reckoned here, is more than a second away."""
    try:
        event = decode(record)
    except DamagedBody:
        return True
    return not isinstance(event, MessageAdded) or not event.ttl_ms or event.at_ms + event.ttl_ms > now_ms + 2000
