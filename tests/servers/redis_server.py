"""The Valkey server that the demo uses, as tests ask for it."""

from __future__ import annotations

from collections.abc import Callable

from eventlog.demo.server import RedisServer, ServerMissing
from tests.servers.missing import missing_server

__all__ = ["MakeRedis", "RedisServer", "make_redis"]

MakeRedis = Callable[..., RedisServer]


def make_redis(
    *extra: str, durable: bool = False, password: str | None = None, replica_of: RedisServer | None = None
) -> RedisServer:
    """Give a server that is not started yet, or end the test where there is none."""
    try:
        return RedisServer(*extra, durable=durable, password=password, replica_of=replica_of)
    except ServerMissing as error:
        missing_server(str(error))
