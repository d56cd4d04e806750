"""Room: Redis 7.0+ and Valkey. Four sorted sets a session, score 0, member = record: ZADD is idempotent by itself.

    eventlog:{<session>}:e   events without a TTL            never expires
    eventlog:{<session>}:x   events with one                 PEXPIREAT: the latest deadline and a grace
    eventlog:{<session>}:m   clears of a history without TTL never expires
    eventlog:{<session>}:n   clears of a history with a TTL  PEXPIREAT: 90 days and the TTL after the last write

Rules:
* What expires never shares a key with what does not, for a key's TTL takes all of it.
* T of a key only grows: `PEXPIREAT T GT`, `ZADD`, `PEXPIREAT T NX`, in one pipeline. Any order and any number of
  deliveries give one state; T is never earlier than now and the grace.
* Braces and percent signs of a session id are escaped: its keys share one hash slot, whatever it holds.
* The client's own retries are off; reads and writes have connections of their own with time-outs of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from time import time_ns
from typing import Any
from urllib.parse import unquote_to_bytes

from eventlog.adapters import missing
from eventlog.codec import KIND_AT, decode
from eventlog.errors import BackendError, BackendUnavailable, ConfigurationError, DamagedBody, SessionUnavailable
from eventlog.events import HistoryCleared, Kind, MessageAdded
from eventlog.ports import Batch

try:
    import redis
    from redis import exceptions
except ImportError as error:
    raise missing("redis", "redis") from error

from eventlog.adapters.redis_clients import Clients

GRACE_MIN_MS, GRACE_MAX_MS = 60_000, 24 * 3600 * 1000
MARKER_MS = 90 * 24 * 3600 * 1000
_PREFIX = b"eventlog:{"
_EVENTS = b"}:e"
_KINDS = (_EVENTS, b"}:x", b"}:m", b"}:n")


class RedisBackend:
    """A Redis database with every event in it."""

    scheme = "redis"
    page_events = 8192

    def __init__(self, client: redis.Redis) -> None:
        """Stand on the addresses and credentials of `client`, with connections of our own."""
        self._clients = Clients(client)
        self.identity = self._clients.identity

    def renew(self, newer: RedisBackend) -> None:
        """Connect from now on as `newer` does, a backend of the same identity."""
        if not self._clients.connect_like(newer._clients):
            self._clients = newer._clients

    def append(self, batch: Batch) -> dict[str, BackendError]:
        """Store every record with one pipeline, one round trip."""
        pipe = self._clients.writer().pipeline(transaction=False)
        owners: list[str] = []
        now_ms = time_ns() // 1_000_000
        for session, records in batch.items():
            commands = _commands(session, records, now_ms)
            for command in commands:
                pipe.execute_command(*command)  # type: ignore[no-untyped-call]
            owners.extend(repeat(session, len(commands)))
        try:
            replies = pipe.execute(raise_on_error=False)
        except (exceptions.RedisError, OSError) as error:
            raise unavailable(self.identity, error) from error
        return self._failed(owners, replies)

    def _failed(self, owners: list[str], replies: list[Any]) -> dict[str, BackendError]:
        failed: dict[str, BackendError] = {
            session: unavailable(self.identity, reply)
            for session, reply in zip(owners, replies, strict=True)
            if isinstance(reply, Exception)
        }
        for session, reply in zip(owners, replies, strict=True):
            if isinstance(reply, Exception) and not isinstance(failed[session], SessionUnavailable):
                raise failed[session]
        return failed

    def read(self, session: str, *, before: bytes | None = None, limit: int) -> list[bytes]:
        """Give the newest `limit` records below `before`, ascending, with one pipeline."""
        pipe = self._clients.reader().pipeline(transaction=False)
        for command in _read_commands(session, before, limit):
            pipe.execute_command(*command)  # type: ignore[no-untyped-call]
        try:
            return self._page(pipe.execute(raise_on_error=False), limit)
        except (exceptions.RedisError, OSError) as error:
            raise unavailable(self.identity, error) from error

    async def aread(self, session: str, *, before: bytes | None = None, limit: int) -> list[bytes]:
        """Do as `read`, with redis.asyncio."""
        pipe = self._clients.async_reader().pipeline(transaction=False)
        for command in _read_commands(session, before, limit):
            pipe.execute_command(*command)
        try:
            return self._page(await pipe.execute(raise_on_error=False), limit)
        except (exceptions.RedisError, OSError) as error:
            raise unavailable(self.identity, error) from error

    def _page(self, replies: list[Any], limit: int) -> list[bytes]:
        for reply in replies:
            if isinstance(reply, Exception):
                raise unavailable(self.identity, reply) from reply
        return _newest(replies, limit)

    def sessions(self, prefix: str = "") -> Iterator[str]:
        """Give the sessions that begin with `prefix`, by SCAN."""
        seen = set()
        pattern = _PREFIX + _glob(_escape(prefix)) + b"*"
        try:
            for key in self._clients.writer().scan_iter(match=pattern, count=1000):
                session = _session_of(key)
                if session is not None and session not in seen:
                    seen.add(session)
                    yield session
        except (exceptions.RedisError, OSError) as error:
            raise unavailable(self.identity, error) from error

    def remove(self, session: str, before: bytes) -> None:
        """Remove the session's events below `before`, in all its keys."""
        pipe = self._clients.writer().pipeline(transaction=False)
        for key in _keys(session):
            pipe.execute_command("ZREMRANGEBYLEX", key, b"-", b"(" + before)  # type: ignore[no-untyped-call]
        try:
            pipe.execute()
        except (exceptions.RedisError, OSError) as error:
            raise unavailable(self.identity, error) from error

    def after_fork(self) -> None:
        """Forget the parent's connections."""
        self._clients.forget()

    def close(self) -> None:
        """Close our connections, not the client that was given."""
        self._clients.close()


def _escape(session: str) -> bytes:
    return session.encode().replace(b"%", b"%25").replace(b"{", b"%7B").replace(b"}", b"%7D")


def _base(session: str) -> bytes:
    return _PREFIX + _escape(session)


def _keys(session: str) -> list[bytes]:
    base = _base(session)
    return [base + kind for kind in _KINDS]


def _session_of(key: bytes) -> str | None:
    if not key.startswith(_PREFIX) or key[-3:] not in _KINDS:
        return None
    return unquote_to_bytes(key[len(_PREFIX) : -3]).decode(errors="replace")


def _glob(text: bytes) -> bytes:
    for letter in b"\\*?[]":
        text = text.replace(bytes([letter]), b"\\" + bytes([letter]))
    return text


Command = Sequence[Any]

_WORDS_BY_TEXT = {
    "NOAUTH": "wrong password, user or rights",
    "WRONGPASS": "wrong password, user or rights",
    "NOPERM": "wrong password, user or rights",
    "WRONGTYPE": "a key of another type",
}
_WORDS: list[tuple[type[BaseException], str]] = [
    (exceptions.AuthenticationError, "wrong password, user or rights"),
    (exceptions.NoPermissionError, "wrong password, user or rights"),
    (exceptions.ReadOnlyError, "a read-only replica"),
    (exceptions.OutOfMemoryError, "out of memory"),
    (exceptions.TimeoutError, "no answer in time"),
    (exceptions.ConnectionError, "unreachable"),
    (OSError, "unreachable"),
]


def _commands(session: str, records: Sequence[bytes], now_ms: int) -> list[Command]:
    if {record[KIND_AT] for record in records} == {Kind.MESSAGE}:
        return [_zadd(_base(session) + _EVENTS, records)]
    events, expiring, markers, expiring_markers = _keys(session)
    permanent, timed, cuts, timed_cuts, last_ms, ttl_ms = _sorted_out(records, now_ms)
    commands = [_zadd(key, chosen) for key, chosen in ((events, permanent), (markers, cuts)) if chosen]
    if timed:
        commands += _with_deadline(expiring, timed, last_ms)
    if timed_cuts:
        commands += _with_deadline(expiring_markers, timed_cuts, now_ms + MARKER_MS + ttl_ms)
    elif timed:
        commands.append(("PEXPIREAT", expiring_markers, now_ms + MARKER_MS + ttl_ms, b"GT"))
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


def _zadd(key: bytes, records: Sequence[bytes]) -> Command:
    values: list[bytes] = [b"0"] * (2 * len(records))
    values[1::2] = records
    return ("ZADD", key, *values)


def _with_deadline(key: bytes, records: Sequence[bytes], deadline_ms: int) -> list[Command]:
    return [
        ("PEXPIREAT", key, deadline_ms, b"GT"),
        _zadd(key, records),
        ("PEXPIREAT", key, deadline_ms, b"NX"),
    ]


def _read_commands(session: str, before: bytes | None, limit: int) -> list[Command]:
    start = b"+" if before is None else b"(" + before
    return [("ZRANGE", key, start, b"-", b"BYLEX", b"REV", b"LIMIT", 0, limit) for key in _keys(session)]


def _newest(replies: list[list[bytes]], limit: int) -> list[bytes]:
    filled = [reply for reply in replies if reply]
    if len(filled) == 1:
        return filled[0][::-1]
    return sorted(record for reply in filled for record in reply)[-limit:]


def unavailable(identity: str, error: BaseException) -> BackendUnavailable:
    """Say what keeps Redis from serving, told apart for a person: a fault of one key, or of the server."""
    kind = SessionUnavailable if "WRONGTYPE" in str(error) else BackendUnavailable
    return kind(f"{identity}: {_word(error)}: {type(error).__name__}: {error}")


def _word(error: BaseException) -> str:
    text = str(error)
    for start, word in _WORDS_BY_TEXT.items():
        if start in text:
            return word
    return next((word for kind, word in _WORDS if isinstance(error, kind)), "refused")


def from_url(url: str) -> RedisBackend:
    """Read a URL as redis-py does: `redis://`, `rediss://`, `unix://`."""
    try:
        return RedisBackend(redis.Redis.from_url(url))
    except ValueError:
        raise ConfigurationError(
            "expected redis://[user:password@]host[:port][/database][?option=value], found a URL that does not parse"
        ) from None
