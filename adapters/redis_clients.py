"""Room: connections to Redis, made from the addresses and credentials of a client that somebody else owns.

Rules:
* The given client is only asked where it connects to and how; its connections are its owner's. So a fork, a closed
  client, `decode_responses` or a retry policy of theirs do not reach us.
* A child process forgets the parent's connections and opens its own.
* An async client belongs to one event loop; there is one a loop.
"""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

READ_TIMEOUT_S = 2.0
WRITE_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 2.0
_NOT_OURS = frozenset(
    {
        "retry",
        "retry_on_error",
        "retry_on_timeout",
        "decode_responses",
        "encoding",
        "encoding_errors",
        "maint_notifications_config",
        "maint_notifications_pool_handler",
        "event_dispatcher",
    }
)
_ASYNC_CLASSES = {
    "Connection": redis.asyncio.Connection,
    "SSLConnection": redis.asyncio.SSLConnection,
    "UnixDomainSocketConnection": redis.asyncio.UnixDomainSocketConnection,
}


class Clients:
    """A writer, a reader, and an async reader for each event loop."""

    def __init__(self, given: redis.Redis) -> None:
        """Learn from `given` where to connect to."""
        pool = given.connection_pool
        self._class = pool.connection_class
        self._kwargs = {name: value for name, value in pool.connection_kwargs.items() if name not in _NOT_OURS}
        self.identity = _identity(self._kwargs)
        self.forget()

    def connect_like(self, other: Clients) -> bool:
        """Tell whether another's connections are made as ours are."""
        return (self._class, self._kwargs) == (other._class, other._kwargs)

    def forget(self) -> None:
        """Start anew without touching what there was."""
        self._writer: redis.Redis | None = None
        self._reader: redis.Redis | None = None
        self._async: WeakKeyDictionary[asyncio.AbstractEventLoop, redis.asyncio.Redis] = WeakKeyDictionary()

    def writer(self) -> redis.Redis:
        """Give the client that delivery uses."""
        if self._writer is None:
            self._writer = self._client(WRITE_TIMEOUT_S)
        return self._writer

    def reader(self) -> redis.Redis:
        """Give the client that reads use."""
        if self._reader is None:
            self._reader = self._client(READ_TIMEOUT_S)
        return self._reader

    def _options(self, timeout_s: float) -> dict[str, Any]:
        ours = {"socket_timeout": timeout_s, "socket_connect_timeout": CONNECT_TIMEOUT_S}
        return {**self._kwargs, **ours, "decode_responses": False}

    def _client(self, timeout_s: float) -> redis.Redis:
        options = self._options(timeout_s)
        pool = redis.ConnectionPool(connection_class=self._class, retry=Retry(NoBackoff(), 0), **options)
        return redis.Redis(connection_pool=pool)

    def async_reader(self) -> redis.asyncio.Redis:
        """Give the running loop's client."""
        loop = asyncio.get_running_loop()
        client = self._async.get(loop)
        if client is None:
            client = self._async[loop] = self._async_client()
        return client

    def _async_client(self) -> redis.asyncio.Redis:
        kind = _ASYNC_CLASSES.get(self._class.__name__) or _fake_async_class(self._class)
        options = self._options(READ_TIMEOUT_S)
        retry = redis.asyncio.retry.Retry(NoBackoff(), 0)
        pool = redis.asyncio.ConnectionPool(connection_class=kind, retry=retry, **options)
        return redis.asyncio.Redis(connection_pool=pool)

    def close(self) -> None:
        """Close the sync clients; those of event loops go with their loops."""
        for client in (self._writer, self._reader):
            if client is not None:
                client.close()
                client.connection_pool.disconnect()
        self.forget()


def _fake_async_class(kind: type) -> Any:
    """Give the async twin of a connection class that is not redis-py's own: a module beside it names it."""
    import importlib

    package = kind.__module__.partition(".")[0]
    return importlib.import_module(f"{package}.aioredis").FakeConnection


def _identity(kwargs: dict[str, Any]) -> str:
    database = kwargs.get("db") or 0
    if "path" in kwargs:
        return f"redis:unix:{kwargs['path']}/{database}"
    return f"redis:{kwargs.get('host', 'localhost')}:{kwargs.get('port', 6379)}/{database}"
