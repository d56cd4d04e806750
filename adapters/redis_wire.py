"""Room: bytes to and from one Redis server, over redis-py's connections.

Rules:
* Commands are packed here and go out in one write: what a pipeline does for each command took over half of the time.
* A refusal is a value in its command's place. What breaks the conversation is raised and closes the connection, so that
  no reply is ever taken for another's.
* A connection that breaks in the middle is made once more, and everything sent again, which is harmless: it may have
  been dead since it was last used (a server that was restarted, an idle time-out). One that cannot be made is an error.
* A connection to a master that became a replica is not used again: its name may lead elsewhere by now.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from redis import exceptions

from eventlog.adapters.redis_places import pools_behind

_HANGS_UP = "Protocol error"
_PIECE_BYTES = 64 << 10
_LISTEN_S = 0.002
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


class Way:
    """Connections to one server, until they are closed."""

    def __init__(self, pool: Any) -> None:
        """Take a pool of them."""
        self.pool = pool
        self.is_open = True

    def close(self) -> None:
        """Close all of them, and have no call that is under way make a new one."""
        self.is_open = False
        for behind in pools_behind(self.pool):
            behind.disconnect()

    @contextmanager
    def used(self) -> Iterator[None]:
        """Have whatever redis-py trips over, when a connection was taken from it by `close`, be told as that."""
        try:
            yield
        except (AttributeError, TypeError, ValueError) as error:
            if self.is_open:
                raise
            raise exceptions.ConnectionError("closed while it was used") from error


class Call:
    """Commands on their way to one server; calls to several servers may be under way at once."""

    def __init__(self, way: Way, commands: Sequence[bytes]) -> None:
        """Send them."""
        self._way, self._packed, self._count = way, [b"".join(commands)], len(commands)
        self._broken: exceptions.ConnectionError | None = None
        with way.used():
            connection: Any = way.pool.get_connection(*_ARGUMENTS)
        self._connection = connection
        try:
            connection.send_packed_command(self._packed)
        except exceptions.ConnectionError as error:
            self._broken = error
        except BaseException:
            connection.disconnect()
            way.pool.release(connection)
            raise

    def replies(self) -> list[Any]:
        """Wait for the reply of each."""
        try:
            with self._way.used():
                return self._heard()
        except BaseException:
            self._connection.disconnect()
            raise
        finally:
            self._way.pool.release(self._connection)

    def _heard(self) -> list[Any]:
        try:
            if self._broken is None:
                return self._read([])
        except exceptions.ConnectionError as error:
            self._broken = error
        if isinstance(self._broken, exceptions.AuthenticationError) or not self._way.is_open:
            raise self._broken
        self._connection.disconnect()
        self._connection.connect()
        return self._read(self._send_in_pieces())

    def _send_in_pieces(self) -> list[Any]:
        """Send, and listen in between: who hangs up in the middle of a command has said why, and may say it once."""
        replies: list[Any] = []
        [packed] = self._packed
        for start in range(0, len(packed), _PIECE_BYTES):
            self._connection.send_packed_command([packed[start : start + _PIECE_BYTES]])
            while len(replies) < self._count and self._connection.can_read(timeout=_LISTEN_S):
                replies.append(self._reply())
        return replies

    def _read(self, replies: list[Any]) -> list[Any]:
        while len(replies) < self._count:
            replies.append(self._reply())
        if _demoted(replies):
            self._connection.disconnect()
        return replies

    def _reply(self) -> Any:
        try:
            return self._connection.read_response()
        except exceptions.ResponseError as refusal:
            return _checked(refusal)


async def acall(pool: Any, commands: Sequence[bytes]) -> list[Any]:
    """Send commands and wait for the reply of each."""
    connection: Any = await pool.get_connection(*_ARGUMENTS)
    try:
        return await _aheard(connection, [b"".join(commands)], len(commands))
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    finally:
        await pool.release(connection)


async def _aheard(connection: Any, packed: list[bytes], count: int) -> list[Any]:
    try:
        return await _aconverse(connection, packed, count)
    except exceptions.AuthenticationError:
        raise
    except exceptions.ConnectionError:
        await connection.disconnect(nowait=True)
    await connection.connect()
    return await _aconverse(connection, packed, count)


async def _aconverse(connection: Any, packed: list[bytes], count: int) -> list[Any]:
    await connection.send_packed_command(packed)
    replies: list[Any] = []
    for _ in range(count):
        try:
            replies.append(await connection.read_response())
        except exceptions.ResponseError as refusal:
            replies.append(_checked(refusal))
    return replies


def _demoted(replies: Sequence[Any]) -> bool:
    """Tell whether the server became a replica: whoever has its name or its address now is to be asked anew."""
    return any(isinstance(reply, exceptions.ReadOnlyError) for reply in replies)


def _checked(refusal: exceptions.ResponseError) -> exceptions.ResponseError:
    """Give a refusal back, unless the server hangs up after it."""
    if str(refusal).startswith(_HANGS_UP):
        raise refusal
    return refusal
