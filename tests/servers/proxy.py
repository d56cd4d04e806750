"""A network of one's own: a TCP proxy that is slow, cuts, refuses and loses replies when it is told to.

Rules:
* A delay holds back each chunk for itself: it costs time, not throughput, and bytes never change places.
* What is told has taken effect when the call returns.
* `python -m tests.servers.proxy HOST PORT DELAY_S` runs one in a process of its own, prints its port and ends
  with its standard input: for benchmarks, where it must not share an interpreter with what is measured.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from asyncio import Queue, StreamReader, StreamWriter
from collections.abc import Coroutine
from contextlib import suppress
from selectors import SelectSelector
from threading import Thread
from types import TracebackType
from typing import Self

from eventlog.demo.server import HOST, hold_port

CHUNK_BYTES = 256 * 1024
LINE_CHUNKS = 1024
CALL_TIMEOUT_S = 10.0
_NO_LINGER = struct.pack("ii", 1, 0)

Line = Queue[tuple[float, bytes]]


class Proxy:
    """A proxy to one target; `delay_s` is that of one direction and may be set at any time."""

    def __init__(self, target: tuple[str, int], delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self.accepted = 0
        self.carried_bytes = 0
        self.dropped_replies = 0
        self._drops_left = 0
        self._target = target
        self._links: set[tuple[StreamWriter, ...]] = set()
        self._listener: asyncio.Server | None = None
        # select() waits for microseconds, epoll for milliseconds
        self._loop = asyncio.SelectorEventLoop(SelectSelector())
        self._thread = Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self.port, self._holder = hold_port()

    @property
    def connected(self) -> int:
        """How many connections reach the target now."""
        return len(self._links)

    def start(self) -> Self:
        """Start to listen."""
        self._thread.start()
        self.resume()
        return self

    def cut(self) -> None:
        """Break the connections that there are, without a farewell; new ones are welcome."""
        self._call(self._cut())

    def refuse(self) -> None:
        """Refuse new connections; those that there are stay."""
        self._call(self._refuse())

    def drop_replies(self, count: int) -> None:
        """Let requests through, swallow the next `count` answers, and close the connection of each."""
        self._drops_left = count

    def resume(self) -> None:
        """Be a good network again, as slow as `delay_s` says."""
        self._drops_left = 0
        self._call(self._listen())

    def stop(self) -> None:
        """Break everything and end."""
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._holder.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _call(self, order: Coroutine[object, object, None]) -> None:
        asyncio.run_coroutine_threadsafe(order, self._loop).result(CALL_TIMEOUT_S)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, HOST, self.port)

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _cut(self) -> None:
        for link in self._links:
            _abort(link)

    async def _end(self) -> None:
        await self._refuse()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, requests: StreamReader, client: StreamWriter) -> None:
        self.accepted += 1
        try:
            replies, target = await asyncio.open_connection(*self._target)
        except (OSError, asyncio.CancelledError):
            _abort((client,))
            return
        link = (client, target)
        self._links.add(link)
        with suppress(asyncio.CancelledError):  # by stop(): asyncio's streams would print it
            await asyncio.gather(self._carry(requests, target, lossy=False), self._carry(replies, client, lossy=True))
        self._links.discard(link)
        _abort(link)

    async def _carry(self, source: StreamReader, sink: StreamWriter, *, lossy: bool) -> None:
        line: Line = Queue(LINE_CHUNKS)
        sender = asyncio.create_task(_send(line, sink))
        while (chunk := await _receive(source)) and not (lossy and self._drops()):
            self.carried_bytes += len(chunk)
            await line.put((self._loop.time() + self.delay_s, chunk))
        await line.put((self._loop.time() + self.delay_s, b""))
        await sender

    def _drops(self) -> bool:
        if not self._drops_left:
            return False
        self._drops_left -= 1
        self.dropped_replies += 1
        return True


def _abort(writers: tuple[StreamWriter, ...]) -> None:
    """Close with a reset and without sending what is left."""
    for writer in writers:
        with suppress(OSError):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        writer.transport.abort()


async def _receive(source: StreamReader) -> bytes:
    with suppress(ConnectionError):
        return await source.read(CHUNK_BYTES)
    return b""


async def _send(line: Line, sink: StreamWriter) -> None:
    """Send each chunk when it is due; nothing is the end."""
    while True:
        due, chunk = await line.get()
        early_s = due - asyncio.get_running_loop().time()
        if early_s > 0:
            await asyncio.sleep(early_s)
        if not chunk:
            break
        if not sink.is_closing():
            sink.write(chunk)
            with suppress(ConnectionError):
                await sink.drain()
    sink.close()
    with suppress(ConnectionError):
        await sink.wait_closed()


def main() -> None:
    """Run one until standard input ends."""
    host, port, delay_s = sys.argv[1:]
    with Proxy((host, int(port)), float(delay_s)) as proxy:
        sys.stdout.write(f"{proxy.port}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
