"""Laws of the network that the tests break."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from subprocess import PIPE
from threading import Thread

import pytest

from tests.servers.proxy import Proxy
from tests.servers.waiting import until

ROOT = Path(__file__).parents[2]


class Echo(ThreadingTCPServer):
    """A target that sends back each line and remembers it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), EchoLines)
        self.heard: list[bytes] = []


class EchoLines(StreamRequestHandler):
    """One connection to it."""

    def handle(self) -> None:
        """Send back each line."""
        assert isinstance(self.server, Echo)
        for line in self.rfile:
            self.server.heard.append(line)
            self.wfile.write(line)


@pytest.fixture
def echo() -> Iterator[Echo]:
    """Give a running target."""
    with Echo() as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    """Give a proxy to it."""
    with Proxy(("127.0.0.1", echo.server_address[1])) as running:
        yield running


def connect(port: int) -> socket.socket:
    """Give a client that does not wait for ever."""
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def ask(client: socket.socket, line: bytes = b"hello\n") -> bytes:
    """Send a line and give what comes back before the connection ends, b"" at most."""
    client.sendall(line)
    reply = b""
    while not reply.endswith(b"\n") and (chunk := client.recv(1 << 16)):
        reply += chunk
    return reply


def test_bytes_pass_both_ways_and_connections_are_counted(proxy: Proxy) -> None:
    """A good network changes nothing."""
    with connect(proxy.port) as one, connect(proxy.port) as two:
        assert ask(one) == ask(two) == b"hello\n"
        assert (proxy.accepted, proxy.connected) == (2, 2)


def test_bytes_keep_their_order_when_the_delay_changes(proxy: Proxy) -> None:
    """What was sent on a slow network is not overtaken by what is sent on a fast one."""
    with connect(proxy.port) as client:
        proxy.delay_s = 0.1
        client.sendall(b"first ")
        until(lambda: proxy.carried_bytes == len(b"first "))
        proxy.delay_s = 0.0
        assert ask(client, b"second\n") == b"first second\n"


def test_delay_costs_a_round_trip_and_not_throughput(proxy: Proxy) -> None:
    """A hundred lines sent without waiting take about as long as one, and none less than two delays."""
    proxy.delay_s = 0.05
    with connect(proxy.port) as client:
        began = time.monotonic()
        ask(client)
        alone_s = time.monotonic() - began
        replies = client.makefile("rb")
        for number in range(100):
            client.sendall(b"%d\n" % number)
        assert [int(replies.readline()) for _ in range(100)] == list(range(100))
        together_s = time.monotonic() - began - alone_s
    assert alone_s >= 0.1
    assert 0.1 <= together_s < 5  # one by one it would be ten seconds


def test_cut_breaks_what_is_open_and_lets_new_ones_in(proxy: Proxy) -> None:
    """After a cut the old connection is dead and a new one works."""
    with connect(proxy.port) as old:
        ask(old)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            old.recv(1)
    with connect(proxy.port) as new:
        assert ask(new) == b"hello\n"


def test_refused_until_resumed_on_the_same_port(proxy: Proxy) -> None:
    """A refusing network leaves open connections alone, turns new ones away and comes back where it was."""
    with connect(proxy.port) as old:
        ask(old)
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            connect(proxy.port)
        assert ask(old) == b"hello\n"
    proxy.resume()
    with connect(proxy.port) as new:
        assert ask(new) == b"hello\n"


def test_dropped_reply_was_a_request_that_arrived(proxy: Proxy, echo: Echo) -> None:
    """The target has heard the request, the client sees the connection end, and the next one is answered."""
    with connect(proxy.port) as client:
        ask(client)
        proxy.drop_replies(1)
        assert ask(client, b"lost\n") == b""
    assert echo.heard == [b"hello\n", b"lost\n"]
    assert proxy.dropped_replies == 1
    with connect(proxy.port) as client:
        assert ask(client) == b"hello\n"


def test_connection_to_a_target_that_is_down_is_broken(proxy: Proxy, echo: Echo) -> None:
    """A client of a missing target meets the end of its connection, not silence."""
    echo.shutdown()
    echo.server_close()
    with pytest.raises(ConnectionResetError), connect(proxy.port) as client:
        client.recv(1)


def test_proxy_in_a_process_of_its_own_ends_with_its_input(echo: Echo) -> None:
    """The command prints its port, carries bytes, and ends cleanly when its input does."""
    words = [sys.executable, "-m", "tests.servers.proxy", "127.0.0.1", str(echo.server_address[1]), "0.001"]
    process = subprocess.Popen(words, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    with connect(int(process.stdout.readline())) as client:
        assert ask(client) == b"hello\n"
        _, complaints = process.communicate()
    assert (process.returncode, complaints) == (0, "")
