"""Room: Redis 7.0+ and Valkey: one server, a cluster, or a master that sentinels name. Keys: redis_keys.py.

Rules:
* A batch is one write and one wait for each server that it concerns.
* Of a cluster, a part may fail alone: its sessions are returned from `append`, and reads of the others go on.
* What a master acknowledged and had not replicated dies with it; nobody here can know. Servers that fail over need
  `min-replicas-to-write 1` (docs/redis.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import time_ns
from typing import Any

from eventlog.adapters import missing
from eventlog.errors import BackendError, SessionUnavailable
from eventlog.ports import Batch

try:
    import redis
except ImportError as error:
    raise missing("redis", "redis") from error

from eventlog.adapters import redis_clients, redis_old
from eventlog.adapters.legacy import Look
from eventlog.adapters.redis_clients import Clients
from eventlog.adapters.redis_keys import (
    GRACE_MAX_MS,
    GRACE_MIN_MS,
    MARKER_MS,
    Commands,
    newest,
    session_of,
    to_discard,
    to_find_cuts,
    to_read,
    to_remove,
    to_scan,
    to_scan_lists,
    to_write,
)
from eventlog.adapters.redis_places import Place, place_of
from eventlog.adapters.redis_urls import place_of_url
from eventlog.adapters.redis_words import cause_of, told

__all__ = ["GRACE_MAX_MS", "GRACE_MIN_MS", "MARKER_MS", "RedisBackend", "from_url"]

_LOOKS = 3


class RedisBackend:
    """A Redis database with every event in it."""

    scheme = "redis"
    page_events = 8192

    def __init__(self, client: redis.Redis | redis.RedisCluster | Place) -> None:
        """Stand on the addresses and credentials of `client`, with connections of our own."""
        self._clients = Clients(place_of(client))
        self.identity = self._clients.place.identity

    def renew(self, newer: RedisBackend) -> None:
        """Connect from now on as `newer` does, a backend of the same identity."""
        if self._clients.place != newer._clients.place:
            self._clients = newer._clients

    def append(self, batch: Batch) -> dict[str, BackendError]:
        """Store every record."""
        owners, commands = to_write(batch, time_ns() // 1_000_000)
        replies = self._ask((owners, commands))
        failed = {
            session: self._told(reply)
            for session, reply in zip(owners, replies, strict=True)
            if isinstance(reply, Exception)
        }
        for error in failed.values():
            if not isinstance(error, SessionUnavailable):
                raise error
        return failed

    def read(self, session: str, *, before: bytes | None = None, limit: int) -> list[bytes]:
        """Give the newest `limit` records below `before`, ascending."""
        replies = self._ask(to_read(session, before, limit), redis_clients.READ_TIMEOUT_S)
        return newest(self._answered(replies), limit)

    async def aread(self, session: str, *, before: bytes | None = None, limit: int) -> list[bytes]:
        """Do as `read`, with redis.asyncio."""
        try:
            replies = await self._clients.aexchange(*to_read(session, before, limit))
        except (redis.RedisError, OSError) as error:
            raise self._told(error, whole=True) from cause_of(error)
        return newest(self._answered(replies), limit)

    # the list of the class that users come from

    def read_with_old(self, session: str, limit: int) -> tuple[list[bytes], Look]:
        """Do as `read`, and look at the session's old list in the same round trip."""
        owners, commands = _joined(to_read(session, None, limit), redis_old.to_look(session))
        replies = self._ask((owners, commands), redis_clients.READ_TIMEOUT_S)
        return newest(self._answered(replies[:-_LOOKS]), limit), redis_old.look_of(replies[-_LOOKS:])

    async def aread_with_old(self, session: str, limit: int) -> tuple[list[bytes], Look]:
        """Do as `read_with_old`, with redis.asyncio."""
        try:
            replies = await self._clients.aexchange(*_joined(to_read(session, None, limit), redis_old.to_look(session)))
        except (redis.RedisError, OSError) as error:
            raise self._told(error, whole=True) from cause_of(error)
        return newest(self._answered(replies[:-_LOOKS]), limit), redis_old.look_of(replies[-_LOOKS:])

    def look_at_old(self, session: str) -> Look:
        """Look at the session's old list."""
        return redis_old.look_of(self._ask(redis_old.to_look(session), redis_clients.READ_TIMEOUT_S))

    def old_page(self, session: str, start: int, stop: int | None = None) -> list[bytes]:
        """Give elements of the session's old list by their places, oldest first."""
        return redis_old.page_of(self._ask(redis_old.to_page(session, start, stop)))

    def old_sessions(self, prefix: str) -> Iterator[str]:
        """Give the names of the lists that begin with `prefix`, some maybe twice."""
        for key in self._keys(to_scan_lists, prefix):
            yield key.decode(errors="replace")

    def write_old(self, session: str, elements: Sequence[bytes], deadline_ms: int) -> None:
        """Replace the session's old list."""
        self._answered(self._ask(redis_old.to_replace(session, elements, deadline_ms)))

    def remove_old(self, session: str, before: bytes) -> None:  # noqa: ARG002 (a list has no times)
        """Remove the session's old list."""
        self._ask(redis_old.to_remove(session))

    def cuts(self, sessions: Sequence[str]) -> dict[str, bytes]:
        """Give the newest clear of each session that has one."""
        owners, commands = to_find_cuts(sessions)
        replies = self._answered(self._ask((owners, commands)))
        found: dict[str, bytes] = {}
        for session, reply in zip(owners, replies, strict=True):
            for record in reply:
                found[session] = max(record, found.get(session, b""))
        return found

    def sessions(self, prefix: str = "") -> Iterator[str]:
        """Give the sessions that begin with `prefix`, by SCAN of every primary."""
        seen = set()
        for key in self._keys(to_scan, prefix):
            session = session_of(key)
            if session is not None and session not in seen:
                seen.add(session)
                yield session

    def _keys(self, to_scan: Callable[[bytes, str], bytes], prefix: str) -> Iterator[bytes]:
        try:
            for where in self._clients.servers():
                cursor = b"0"
                while True:
                    replies = self._clients.call(where, [to_scan(cursor, prefix)], redis_clients.WRITE_TIMEOUT_S)
                    [(cursor, keys)] = self._answered(replies)
                    yield from keys
                    if cursor == b"0":
                        break
        except (redis.RedisError, OSError) as error:
            raise self._told(error, whole=True) from cause_of(error)

    def remove(self, session: str, before: bytes) -> None:
        """Remove the session's events below `before`, in all its keys."""
        self._answered(self._ask(to_remove(session, before)))

    def discard(self, session: str, records: Sequence[bytes]) -> None:
        """Remove just these events of the session, in all its keys."""
        self._answered(self._ask(to_discard(session, records)))

    def after_fork(self) -> None:
        """Forget the parent's connections."""
        self._clients.after_fork()

    def close(self) -> None:
        """Close our connections, not the client that was given."""
        self._clients.close()

    def _ask(self, asked: Commands, timeout_s: float | None = None) -> list[Any]:
        try:
            return self._clients.exchange(*asked, timeout_s or redis_clients.WRITE_TIMEOUT_S)
        except (redis.RedisError, OSError) as error:
            raise self._told(error, whole=True) from cause_of(error)

    def _answered(self, replies: list[Any]) -> list[Any]:
        for reply in replies:
            if isinstance(reply, Exception):
                raise self._told(reply) from reply
        return replies

    def _told(self, error: Exception, *, whole: bool = False) -> BackendError:
        return told(self.identity, error, in_parts=self._clients.in_parts and not whole)


def _joined(first: Commands, second: Commands) -> Commands:
    return first[0] + second[0], first[1] + second[1]


def from_url(url: str) -> RedisBackend:
    """Read a URL of a server, a cluster or sentinels (redis_urls.py)."""
    return RedisBackend(place_of_url(url))
