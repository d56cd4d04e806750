"""Room: bytes to and from one Redis server, over redis-py's connections.

Rules:
* Commands are packed here and go out in one write: what a pipeline does for each command took over half of the time.
* A refusal is a value in its command's place. What breaks the conversation is raised and closes the connection, so that
  no reply is ever taken for another's.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import redis
from redis.exceptions import ResponseError

_HANGS_UP = "Protocol error"
_name = inspect.signature(redis.ConnectionPool.get_connection).parameters.get("command_name")
_ARGUMENTS = ("_",) if _name is not None and _name.default is _name.empty else ()
"""What `get_connection` takes: until redis-py 5.3 a word that meant nothing."""


def pack(*words: bytes | int) -> bytes:
    """Give a command as it goes over the wire."""
    parts = [word if isinstance(word, bytes) else b"%d" % word for word in words]
    return b"*%d\r\n" % len(parts) + b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])


def pack_zadd(key: bytes, records: Sequence[bytes]) -> bytes:
    """Give the ZADD of records with score 0: what deliveries are made of."""
    head = b"*%d\r\n$4\r\nZADD\r\n$%d\r\n%b\r\n" % (2 + 2 * len(records), len(key), key)
    return head + b"".join([b"$1\r\n0\r\n$%d\r\n%b\r\n" % (len(record), record) for record in records])


class Call:
    """Commands on their way to one server; calls to several servers may be under way at once."""

    def __init__(self, pool: redis.ConnectionPool, commands: Sequence[bytes]) -> None:
        """Send them."""
        connection: Any = pool.get_connection(*_ARGUMENTS)
        self._pool, self._connection, self._count = pool, connection, len(commands)
        try:
            connection.send_packed_command([b"".join(commands)])
        except BaseException:
            connection.disconnect()
            pool.release(connection)
            raise

    def replies(self) -> list[Any]:
        """Wait for the reply of each."""
        read, replies = self._connection.read_response, []
        try:
            for _ in range(self._count):
                try:
                    replies.append(read())
                except ResponseError as refusal:
                    replies.append(_checked(refusal))
        except BaseException:
            self._connection.disconnect()
            raise
        finally:
            self._pool.release(self._connection)
        return replies


async def acall(pool: Any, commands: Sequence[bytes]) -> list[Any]:
    """Send commands and wait for the reply of each."""
    connection: Any = await pool.get_connection(*_ARGUMENTS)
    replies: list[Any] = []
    try:
        await connection.send_packed_command([b"".join(commands)])
        for _ in commands:
            try:
                replies.append(await connection.read_response())
            except ResponseError as refusal:
                replies.append(_checked(refusal))
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    finally:
        await pool.release(connection)
    return replies


def _checked(refusal: ResponseError) -> ResponseError:
    """Give a refusal back, unless the server hangs up after it."""
    if str(refusal).startswith(_HANGS_UP):
        raise refusal
    return refusal
