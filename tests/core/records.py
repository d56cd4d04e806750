"""Records made by hand: events with the ids, times and bodies that a test wants."""

from __future__ import annotations

from typing import Any

from eventlog.codec import FIXED, PERMANENT, SLIDING, encode_cleared, encode_message
from eventlog.events import EventId, HistoryCleared

WRITER = bytes.fromhex("8000000000000001")
NOON_MS = 1_760_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def eid(ms: int, counter: int = 0, writer: bytes = WRITER) -> EventId:
    """Give the id of a millisecond."""
    return EventId((ms << 16 | 0x7000 | counter).to_bytes(8, "big") + writer)


def said(event_id: bytes, message: Any, *, at_ms: int | None = None) -> bytes:
    """Give the record of a message that stays."""
    at = int.from_bytes(event_id[:6], "big") if at_ms is None else at_ms
    return event_id + encode_message(PERMANENT, at, "", message, 0)


def fixed(event_id: bytes, message: Any, ttl_ms: int, *, at_ms: int | None = None) -> bytes:
    """Give the record of a message that goes `ttl_ms` after it was said."""
    at = int.from_bytes(event_id[:6], "big") if at_ms is None else at_ms
    return event_id + encode_message(FIXED, at, "", message, ttl_ms)


def sliding(event_id: bytes, message: Any, ttl_ms: int, *, at_ms: int | None = None) -> bytes:
    """Give the record of a message that goes with the last of its kind."""
    at = int.from_bytes(event_id[:6], "big") if at_ms is None else at_ms
    return event_id + encode_message(SLIDING, at, "", message, ttl_ms)


def cut(event_id: bytes, *, history_ttl_ms: int = 0) -> bytes:
    """Give the record of a clear."""
    at = int.from_bytes(event_id[:6], "big")
    return event_id + encode_cleared(HistoryCleared(at, None, erase=False, history_ttl_ms=history_ttl_ms))
