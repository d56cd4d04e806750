"""TLS in front of a server that has none: what a managed Redis shows to the world, with a certificate of one's own."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from asyncio import StreamReader, StreamReaderProtocol
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import NamedTuple, Self

from eventlog.demo.server import HOST, hold_port
from tests.servers.missing import missing_server

_CHUNK_BYTES = 1 << 18
_HANDSHAKE = b"\x16"


class Certificate(NamedTuple):
    """A certificate that stands for itself: who trusts it names its file."""

    certificate: Path
    key: Path


def make_certificate(folder: Path) -> Certificate:
    """Make one for this host, or end the test where there is no openssl."""
    if shutil.which("openssl") is None:
        missing_server("expected the command openssl, found none")
    made = Certificate(folder / "server.pem", folder / "server.key")
    words = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    words += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    words += ["-addext", f"subjectAltName=IP:{HOST},DNS:localhost"]
    words += ["-out", str(made.certificate), "-keyout", str(made.key)]
    subprocess.run(words, check=True, capture_output=True)
    return made


class TlsFront:
    """A port that speaks TLS, and plainly to those who begin so, as a server's own peers do."""

    def __init__(self, target_port: int, certificate: Certificate, *, mutual: bool = False) -> None:
        """Take a certificate; `mutual` asks clients for it too."""
        self._target_port = target_port
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(*certificate)
        if mutual:
            self._context.load_verify_locations(certificate.certificate)
            self._context.verify_mode = ssl.CERT_REQUIRED
        self.port, self._holder = hold_port()
        self._gate = socket.create_server((HOST, self.port), backlog=64)
        self._gate.setblocking(False)  # noqa: FBT003 (the standard library's)
        self._thread = Thread(target=lambda: asyncio.run(self._serve()), name="tls-front", daemon=True)
        self._over = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._gate.close()
        self._holder.close()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        tasks = {self._loop.create_task(self._accept())}
        await self._over.wait()
        del tasks  # asyncio.run cancels them, and all that they began

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        visitors = set()
        while True:
            client, _ = await loop.sock_accept(self._gate)
            visitors.add(task := loop.create_task(self._welcome(client)))
            task.add_done_callback(visitors.discard)

    async def _welcome(self, client: socket.socket) -> None:
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(client, readable.set)
        await readable.wait()
        loop.remove_reader(client)
        with client, suppress(OSError):
            context = self._context if client.recv(1, socket.MSG_PEEK) == _HANDSHAKE else None
            requests, replies = StreamReader(), StreamReader()
            ways = [StreamReaderProtocol(requests), StreamReaderProtocol(replies)]
            inner, _ = await loop.create_connection(lambda: ways[1], HOST, self._target_port)
            try:
                outer, _ = await loop.connect_accepted_socket(lambda: ways[0], client, ssl=context)
                await asyncio.gather(_pass_on(requests, inner), _pass_on(replies, outer))
            finally:
                inner.abort()


async def _pass_on(source: StreamReader, sink: asyncio.WriteTransport) -> None:
    try:
        while chunk := await source.read(_CHUNK_BYTES):
            sink.write(chunk)
    finally:
        sink.close()
