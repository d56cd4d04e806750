"""Room: our own connections to a Redis store, and the way of commands over them.

Rules:
* Reads and writes have connections of their own, with time-outs of their own and no retries: the core retries.
* A child process forgets the parent's connections, touches none of them and opens its own.
* Async connections belong to one event loop; they are closed with it, or by `close`.
* A plain address is asked once whether it belongs to a cluster, when it is first used: a server that is down keeps
  nobody from opening a log.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import suppress
from typing import Any

from redis import exceptions

from eventlog.adapters.redis_cluster import Errand, Heard, Sends, Steps, Table
from eventlog.adapters.redis_places import Address, Place, pools_behind
from eventlog.adapters.redis_wire import Call, Way, acall, pack
from eventlog.adapters.redis_words import redirection

READ_TIMEOUT_S = 2.0
WRITE_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 2.0
ASYNC_READS_MAX = 64
"""At once in one event loop; more wait for their turn, so that a burst of tasks does not open a connection each."""
_HELLO = pack(b"HELLO")
_Where = Address | None

_inherited: list[Any] = []


class LoopPools:
    """The async connections of one event loop."""

    def __init__(self) -> None:
        """Begin with none."""
        self.pools: dict[_Where, Any] = {}
        self.turns = asyncio.Semaphore(ASYNC_READS_MAX)
        self._end: AsyncGenerator[None] | None = None

    async def end_with_loop(self) -> None:
        """Have them closed when the loop ends: it closes what async generators still wait in it."""
        self._end = _closing(self.pools)
        await anext(self._end)


async def _closing(pools: dict[_Where, Any]) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        for pool in pools.values():
            for behind in pools_behind(pool):
                await behind.disconnect()
        pools.clear()


class Clients:
    """Connections to a place: for writes, for reads, and for the reads of each event loop."""

    def __init__(self, place: Place) -> None:
        """Take the place; nothing is connected."""
        self.place = place
        self._forget()

    def _forget(self) -> None:
        self._ways: dict[tuple[_Where, float], Way] = {}
        self._loops: dict[asyncio.AbstractEventLoop, LoopPools] = {}
        self._asked = not self.place.may_be_cluster
        self._table = Table(self.place.seeds, self.place.remap) if self.place.seeds else None

    @property
    def in_parts(self) -> bool:
        """Tell whether a part of the store may fail alone."""
        return self._table is not None

    def after_fork(self) -> None:
        """Start anew without touching what there was, nor letting it be collected."""
        _inherited.append((self._ways, self._loops))
        self._forget()

    def close(self) -> None:
        """Close what is connected; a loop's connections in that loop, when it next runs."""
        ways = list(self._ways.values())
        self._forget()
        for way in ways:
            way.close()

    # one server

    def call(self, where: _Where, commands: Sequence[bytes], timeout_s: float) -> list[Any]:
        """Send commands to a node, or to the one server, and give their replies."""
        return Call(self._way(where, timeout_s), commands).replies()

    def _way(self, where: _Where, timeout_s: float) -> Way:
        way = self._ways.get((where, timeout_s))
        if way is None:
            self._leave_strangers()
            pool = self.place.pool(where, timeout_s, min(timeout_s, CONNECT_TIMEOUT_S))
            way = self._ways.setdefault((where, timeout_s), Way(pool))
        return way

    def _leave_strangers(self) -> None:
        held = list(self._ways)
        strangers = self._strangers([where for where, _ in held])
        for key in held:
            if key[0] in strangers and (way := self._ways.pop(key, None)):
                way.pool.disconnect(inuse_connections=False)

    def _strangers(self, connected: Collection[_Where]) -> set[_Where]:
        """Give those that are no nodes of the cluster any more."""
        return set(connected) - self._table.known if self._table is not None and self._table.version else set()

    async def _acall(self, where: _Where, commands: Sequence[bytes]) -> list[Any]:
        """Do as `call`, in the running loop."""
        held = await self._of_this_loop()
        pool = held.pools.get(where)
        if pool is None:
            for stranger in self._strangers(held.pools):
                await held.pools.pop(stranger).disconnect(inuse_connections=False)
            connect_timeout_s = min(READ_TIMEOUT_S, CONNECT_TIMEOUT_S)
            pool = held.pools[where] = self.place.async_pool(where, READ_TIMEOUT_S, connect_timeout_s)
        async with held.turns:
            return await acall(pool, commands)

    async def _of_this_loop(self) -> LoopPools:
        loop = asyncio.get_running_loop()
        held = self._loops.get(loop)
        if held is None:
            self._loops = {loop: held for loop, held in self._loops.items() if not loop.is_closed()}
            held = self._loops[loop] = LoopPools()
            await held.end_with_loop()
        return held

    # the way of commands

    def exchange(self, owners: Sequence[str], commands: Sequence[bytes], timeout_s: float) -> list[Any]:
        """Bring the commands of sessions to whom they belong; a refusal is an exception in its place."""
        if not commands:
            return []
        if not self._asked:
            self._settle(self.call(None, [_HELLO], timeout_s))
        if self._table is None:
            replies = self.call(None, commands, timeout_s)
            return self.exchange(owners, commands, timeout_s) if self._became_cluster(replies) else replies
        errand = Errand(self._table, owners, commands)
        self._drive(errand.steps(), timeout_s)
        return errand.result()

    def _settle(self, told: Sequence[Any]) -> None:
        """Go by what a server says to HELLO: pairs in one list. Who does not know the command is no cluster."""
        hello = told[0] if isinstance(told[0], list) else []
        mode = dict(zip(map(repr, hello[::2]), hello[1::2], strict=False)).get("b'mode'")
        if mode == b"sentinel":
            raise exceptions.ResponseError("a sentinel, which holds no data: name it with redis+sentinel://")
        self._table = Table([self.place.address], self.place.remap) if mode == b"cluster" else None
        self._asked = True

    def _became_cluster(self, replies: Sequence[Any]) -> bool:
        moved = any(isinstance(reply, Exception) and redirection(reply) for reply in replies)
        self._asked = self._asked and not (moved and self.place.may_be_cluster)
        return not self._asked

    def _drive(self, steps: Steps, timeout_s: float) -> None:
        with suppress(StopIteration):
            sends = next(steps)
            while True:
                sends = steps.send(self._hear(sends, timeout_s))

    def _hear(self, sends: Sends, timeout_s: float) -> Heard:
        """Send to all nodes, then wait for all."""
        calls = {where: _caught(Call, self._way(where, timeout_s), commands) for where, commands in sends.items()}
        return {where: call if isinstance(call, Exception) else _caught(call.replies) for where, call in calls.items()}

    async def aexchange(self, owners: Sequence[str], commands: Sequence[bytes]) -> list[Any]:
        """Do as `exchange`, in the running loop; in a thread where the connections have no async twin."""
        if not self.place.reads_async:
            return await asyncio.to_thread(self.exchange, owners, commands, READ_TIMEOUT_S)
        if not self._asked:
            self._settle(await self._acall(None, [_HELLO]))
        if self._table is None:
            replies = await self._acall(None, commands)
            return await self.aexchange(owners, commands) if self._became_cluster(replies) else replies
        errand = Errand(self._table, owners, commands)
        await self._adrive(errand.steps())
        return errand.result()

    async def _adrive(self, steps: Steps) -> None:
        with suppress(StopIteration):
            sends = next(steps)
            while True:
                sends = steps.send(await self._ahear(sends))

    async def _ahear(self, sends: Sends) -> Heard:
        """Send to one node after the other: a read concerns one."""
        heard: dict[Address, list[Any] | Exception] = {}
        for where, commands in sends.items():
            try:
                heard[where] = await self._acall(where, commands)
            except (exceptions.RedisError, OSError) as error:
                heard[where] = error
        return heard

    def servers(self) -> list[_Where]:
        """Give each server that has keys of its own."""
        if not self._asked:
            self._settle(self.call(None, [_HELLO], WRITE_TIMEOUT_S))
        if self._table is None:
            return [None]
        self._drive(self._table.refresh(self._table.version), WRITE_TIMEOUT_S)
        return list(self._table.primaries)


def _caught(do: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return do(*arguments)
    except (exceptions.RedisError, OSError) as error:
        return error
