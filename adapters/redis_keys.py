"""Room: which keys a session has in Redis and which commands write and read them: pure.

    eventlog:{<session>}:e   events without a TTL            never expires
    eventlog:{<session>}:x   events with one                 PEXPIREAT: the latest deadline and a grace
    eventlog:{<session>}:m   clears of a history without TTL never expires
    eventlog:{<session>}:n   clears of a history with a TTL  PEXPIREAT: 90 days and the TTL after the last write

Rules:
* Each key is a sorted set, score 0, member = record: ZADD is idempotent by itself, BYLEX pages both ways.
* What expires never shares a key with what does not, for a key's TTL takes all of it.
* T of a key only grows: `PEXPIREAT T GT`, `ZADD`, `PEXPIREAT T NX`, in one pipeline. Any order and any number of
  deliveries give one state; T is never earlier than now and the grace.
* Braces and percent signs of a session id are escaped: its keys share one hash slot, whatever it holds.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from eventlog.adapters.redis_wire import pack, pack_zadd
from eventlog.codec import KIND_AT, decode
from eventlog.errors import DamagedBody
from eventlog.events import ID_BYTES, HistoryCleared, Kind, MessageAdded
from eventlog.ports import Batch

GRACE_MIN_MS, GRACE_MAX_MS = 60_000, 24 * 3600 * 1000
MARKER_MS = 90 * 24 * 3600 * 1000
SLOTS = 16384
_PREFIX = b"eventlog:{"
_EVENTS, _EXPIRING, _MARKERS, _EXPIRING_MARKERS = _KINDS = (b"}:e", b"}:x", b"}:m", b"}:n")
_SCAN_COUNT = 1000

Commands = tuple[list[str], list[bytes]]
"""The session of each command, and the commands, packed."""


def slot_of(session: str) -> int:
    """Give the hash slot that a cluster puts all keys of a session in."""
    return crc_hqx(_escape(session), 0) % SLOTS


def to_write(batch: Batch, now_ms: int) -> Commands:
    """Give what stores a batch."""
    owners: list[str] = []
    commands: list[bytes] = []
    for session, records in batch.items():
        if {record[KIND_AT] for record in records} == {Kind.MESSAGE}:
            commands.append(pack_zadd(_PREFIX + _escape(session) + _EVENTS, records))
        else:
            commands += _mixed(_PREFIX + _escape(session), records, now_ms)
        owners += [session] * (len(commands) - len(owners))
    return owners, commands


def to_read(session: str, before: bytes | None, limit: int) -> Commands:
    """Give what reads the newest `limit` records below `before`, from each key."""
    start = b"+" if before is None else b"(" + before
    words = (start, b"-", b"BYLEX", b"REV", b"LIMIT", 0, limit)
    return _of_one(session, [pack(b"ZRANGE", key, *words) for key in _keys(session)])


def to_find_cuts(sessions: Sequence[str]) -> Commands:
    """Give what reads the newest record of each session's two keys of clears."""
    owners = [session for session in sessions for _ in range(2)]
    keys = [_PREFIX + _escape(session) + kind for session in sessions for kind in (_MARKERS, _EXPIRING_MARKERS)]
    return owners, [pack(b"ZRANGE", key, -1, -1) for key in keys]


def to_remove(session: str, before: bytes) -> Commands:
    """Give what removes a session's records with an id below `before`."""
    return _of_one(session, [pack(b"ZREMRANGEBYLEX", key, b"-", b"(" + before) for key in _keys(session)])


def to_discard(session: str, records: Sequence[bytes]) -> Commands:
    """Give what removes the events of these records, whatever else is stored under their ids."""
    ids = [record[:ID_BYTES] for record in records]
    ranges = [(b"[" + event_id, b"(" + _successor(event_id)) for event_id in ids]
    keys = _keys(session)
    return _of_one(session, [pack(b"ZREMRANGEBYLEX", key, *bounds) for key in keys for bounds in ranges])


def to_scan(cursor: bytes, prefix: str) -> bytes:
    """Give what asks for the next keys of sessions that begin with `prefix`."""
    pattern = _PREFIX + _glob(_escape(prefix)) + b"*"
    return pack(b"SCAN", cursor, b"MATCH", pattern, b"COUNT", _SCAN_COUNT)


def to_scan_lists(cursor: bytes, prefix: str) -> bytes:
    """Give what asks for the next lists whose names begin with `prefix`."""
    return pack(b"SCAN", cursor, b"MATCH", _glob(prefix.encode()) + b"*", b"COUNT", _SCAN_COUNT, b"TYPE", b"list")


def session_of(key: bytes) -> str | None:
    """Give the session that a key belongs to, if it is one of ours."""
    if not key.startswith(_PREFIX) or key[-3:] not in _KINDS:
        return None
    return unquote_to_bytes(key[len(_PREFIX) : -3]).decode(errors="replace")


def newest(replies: Sequence[list[bytes]], limit: int) -> list[bytes]:
    """Merge what the keys gave for `to_read`, ascending."""
    filled = [reply for reply in replies if reply]
    if len(filled) == 1:
        return filled[0][::-1]
    return sorted(record for reply in filled for record in reply)[-limit:]


def _of_one(session: str, commands: list[bytes]) -> Commands:
    return [session] * len(commands), commands


def _escape(session: str) -> bytes:
    return session.encode().replace(b"%", b"%25").replace(b"{", b"%7B").replace(b"}", b"%7D")


def _keys(session: str) -> list[bytes]:
    base = _PREFIX + _escape(session)
    return [base + kind for kind in _KINDS]


def _glob(text: bytes) -> bytes:
    for letter in b"\\*?[]":
        text = text.replace(bytes([letter]), b"\\" + bytes([letter]))
    return text


def _successor(event_id: bytes) -> bytes:
    return (int.from_bytes(event_id, "big") + 1).to_bytes(ID_BYTES, "big")


def _mixed(base: bytes, records: Sequence[bytes], now_ms: int) -> list[bytes]:
    permanent, timed, cuts, timed_cuts, last_ms, ttl_ms = _sorted_out(records, now_ms)
    commands = [pack_zadd(base + kind, chosen) for kind, chosen in ((_EVENTS, permanent), (_MARKERS, cuts)) if chosen]
    if timed:
        commands += _with_deadline(base + _EXPIRING, timed, last_ms)
    if timed_cuts:
        commands += _with_deadline(base + _EXPIRING_MARKERS, timed_cuts, now_ms + MARKER_MS + ttl_ms)
    elif timed:
        commands.append(pack(b"PEXPIREAT", base + _EXPIRING_MARKERS, now_ms + MARKER_MS + ttl_ms, b"GT"))
    return commands


def _sorted_out(
    records: Sequence[bytes], now_ms: int
) -> tuple[list[bytes], list[bytes], list[bytes], list[bytes], int, int]:
    """Split records by key; give the expiring key's deadline and the longest TTL among them too."""
    permanent: list[bytes] = []
    timed: list[bytes] = []
    cuts: list[bytes] = []
    timed_cuts: list[bytes] = []
    last_ms = ttl_ms = 0
    for record in records:
        event = _event(record)
        if isinstance(event, HistoryCleared):
            (timed_cuts if event.history_ttl_ms else cuts).append(record)
            ttl_ms = max(ttl_ms, event.history_ttl_ms)
        elif isinstance(event, MessageAdded) and event.ttl_ms:
            timed.append(record)
            ttl_ms = max(ttl_ms, event.ttl_ms)
            grace = min(GRACE_MAX_MS, max(GRACE_MIN_MS, event.ttl_ms))
            last_ms = max(last_ms, max(event.at_ms + event.ttl_ms, now_ms) + grace)
        else:
            permanent.append(record)
    return permanent, timed, cuts, timed_cuts, last_ms, ttl_ms


def _event(record: bytes) -> object:
    try:
        return decode(record)
    except DamagedBody:
        return None


def _with_deadline(key: bytes, records: Sequence[bytes], deadline_ms: int) -> list[bytes]:
    return [
        pack(b"PEXPIREAT", key, deadline_ms, b"GT"),
        pack_zadd(key, records),
        pack(b"PEXPIREAT", key, deadline_ms, b"NX"),
    ]
