"""Room: which records of a session nobody may need any more. Pure.

A record is due when
* a message lies below a clear whose `retain` is over; or its fixed TTL is; or it went with a lapsed sliding window;
* a clear has nothing left below it, and a newer clear hides all that it can hide, or it is older than 90 days.

Invariants:
* Removing what is due changes no answer of `messages()` now or later, and no replay of a moment whose events are kept.
* What an older layout still holds is not due for its window's sake: it would be imported again.
* A clear is never due before what it hides; so the newest one stays where it hides what an older layout keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from eventlog.clock import is_damage
from eventlog.codec import SLIDING, decode
from eventlog.errors import DamagedBody
from eventlog.events import ID_BYTES, Event, HistoryCleared, MessageAdded

MARKER_MS = 90 * 24 * 3600 * 1000


class _Entry(NamedTuple):
    record: bytes
    event: Event | None
    """None where the body does not decode."""


def due(records: Sequence[bytes], now_ms: int) -> list[bytes]:
    """Give the records, out of all of a session in id order, that may be removed."""
    entries = [_Entry(record, _event(record)) for record in records]
    gone = _below_due_clears(entries, now_ms) | _expired(entries, now_ms)
    gone |= _without_held(_lapsed(entries, now_ms), entries, now_ms)
    return [entry.record for entry in _with_spent_clears(entries, gone, now_ms)]


def is_over(cut: bytes, now_ms: int) -> bool:
    """Tell whether a clear lets go of what it hides."""
    return not is_damage(cut, now_ms) and _is_over(_event(cut), now_ms)


def _event(record: bytes) -> Event | None:
    try:
        return decode(record)
    except DamagedBody:
        return None


def _is_clear(entry: _Entry, now_ms: int) -> bool:
    return isinstance(entry.event, HistoryCleared) and not is_damage(entry.record, now_ms)


def _below_due_clears(entries: Sequence[_Entry], now_ms: int) -> set[bytes]:
    """Give the ids of what lies below the newest clear whose retention is over, but for clears."""
    cuts = [entry.record for entry in entries if _is_clear(entry, now_ms) and _is_over(entry.event, now_ms)]
    if not cuts:
        return set()
    below = max(cuts)
    return {
        entry.record[:ID_BYTES]
        for entry in entries
        if entry.record < below and not isinstance(entry.event, HistoryCleared)
    }


def _is_over(event: Event | None, now_ms: int) -> bool:
    if not isinstance(event, HistoryCleared):
        return False
    return event.erase or (event.retain_ms is not None and event.at_ms + event.retain_ms <= now_ms)


def _expired(entries: Sequence[_Entry], now_ms: int) -> set[bytes]:
    return {
        entry.record[:ID_BYTES]
        for entry in entries
        if isinstance(entry.event, MessageAdded)
        and entry.event.ttl_ms
        and not entry.record.startswith(SLIDING, ID_BYTES)
        and entry.event.at_ms + entry.event.ttl_ms <= now_ms
    }


def _lapsed(entries: Sequence[_Entry], now_ms: int) -> set[bytes]:
    """Give the ids of sliding messages whose window had closed before a later event, or by now."""
    gone: set[bytes] = set()
    gathered: set[bytes] = set()
    until_ms: int | None = None
    for entry in entries:
        event = entry.event
        if until_ms is not None and isinstance(event, MessageAdded) and until_ms <= event.at_ms:
            gone |= gathered
            gathered, until_ms = set(), None
        if _is_clear(entry, now_ms):
            gathered, until_ms = set(), None
        elif isinstance(event, MessageAdded) and entry.record.startswith(SLIDING, ID_BYTES):
            gathered.add(entry.record[:ID_BYTES])
            until_ms = event.at_ms + event.ttl_ms
    return gone | gathered if until_ms is not None and until_ms <= now_ms else gone


def _without_held(lapsed: set[bytes], entries: Sequence[_Entry], now_ms: int) -> set[bytes]:
    """Leave out what was imported from a list whose own deadline is still to come, and what shows that it lapsed."""
    held = {
        entry.record[:ID_BYTES]
        for entry in entries
        if isinstance(entry.event, MessageAdded) and not entry.event.at_ms and entry.event.ttl_ms > now_ms
    }
    return lapsed - held - {max(lapsed)} if lapsed & held else lapsed


def _with_spent_clears(entries: Sequence[_Entry], gone: set[bytes], now_ms: int) -> list[_Entry]:
    """Give what is gone, with the clears that have nothing left to hide."""
    newest = max((entry.record for entry in entries if _is_clear(entry, now_ms)), default=b"")
    removed = []
    clean = True
    for entry in entries:
        event = entry.event
        spent = isinstance(event, HistoryCleared) and clean and _is_spent(entry, event, newest, now_ms)
        if entry.record[:ID_BYTES] in gone or spent:
            removed.append(entry)
        else:
            clean = False
    return removed


def _is_spent(entry: _Entry, event: HistoryCleared, newest: bytes, now_ms: int) -> bool:
    if is_damage(entry.record, now_ms):
        return False
    if event.covered > 0 and entry.record == newest:
        return False
    return entry.record < newest or event.at_ms + MARKER_MS + event.history_ttl_ms <= now_ms
