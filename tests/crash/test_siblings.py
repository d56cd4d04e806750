"""The processes of one host are one: they see each other's messages, and deliver what the dead among them left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

import eventlog
from eventlog.demo.server import RedisServer
from tests.core.tools import eventually

ROOT = Path(__file__).parents[2]
WRITER = """
import sys, time, eventlog
log = eventlog.open(sys.argv[1], journal=sys.argv[2])
chat = log.history(sys.argv[3])
for number in range(int(sys.argv[4])):
    chat.add([sys.argv[3], number])
print("acknowledged", flush=True)
time.sleep(600)
"""
LOADER = """
import sys, os, eventlog
log = eventlog.open(sys.argv[1], journal=sys.argv[2])
chat, number = log.history("s"), 0
while True:
    chat.add([sys.argv[3], number])
    number += 1
    if number % 50 == 0:
        os.write(1, b"%d\\n" % number)
"""


@pytest.fixture
def server(own_redis: Callable[..., RedisServer]) -> RedisServer:
    """Give a server that keeps what it acknowledged when it is killed."""
    return own_redis(durable=True)


def started(script: str, *args: object) -> subprocess.Popen[bytes]:
    """Start a writer."""
    return subprocess.Popen([sys.executable, "-c", script, *map(str, args)], stdout=subprocess.PIPE, cwd=ROOT)


def acknowledged(writer: subprocess.Popen[bytes]) -> None:
    """Wait until a writer says that its adds returned."""
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"acknowledged\n"


def killed(writer: subprocess.Popen[bytes]) -> None:
    """Kill a process and wait for its end."""
    writer.kill()
    writer.communicate()


def test_a_sibling_reads_what_was_just_added_while_the_server_is_down(tmp_path: Path, server: RedisServer) -> None:
    """From the journal; the kill of its writer takes nothing away."""
    server.kill()
    writer = started(WRITER, server.url, tmp_path / "journal", "s", 100)
    try:
        with eventlog.open(server.url, journal=tmp_path / "journal") as log:
            acknowledged(writer)
            assert log.history("s").messages() == [["s", number] for number in range(100)]
            writer.kill()
            writer.wait()
            found = log.history("s").messages()
            assert found == [["s", number] for number in range(100)]
            assert not found.complete
    finally:
        killed(writer)


def test_a_living_sibling_delivers_what_a_killed_one_left(tmp_path: Path, server: RedisServer) -> None:
    """Without anyone asking, once the server is back."""
    server.kill()
    with eventlog.open(server.url, journal=tmp_path / "journal"):
        writer = started(WRITER, server.url, tmp_path / "journal", "s", 100)
        acknowledged(writer)
        killed(writer)
        server.restart()
        client = redis.Redis.from_url(server.url)
        eventually(lambda: client.zcard("eventlog:{s}:e") == 100)


def test_a_backlog_is_delivered_from_its_first_event_at_once(tmp_path: Path) -> None:
    """Opening does not read it all: the first batch is stored while almost all of it is still ahead."""
    url = f"sqlite:///{tmp_path}/store.db"
    with eventlog.open(url, journal=tmp_path / "journal", deliver=False) as log:
        for number in range(500):
            log.history(f"s-{number}").add_many(range(200))
    with eventlog.open(url, journal=tmp_path / "journal") as log:
        eventually(lambda: log.status().backends["sqlite"].delivered)
        assert log.status().backends["sqlite"].delivered < 50_000
        assert log.flush(60)
        assert log.status().backends["sqlite"].lag_events == 0


def test_an_outage_under_load_loses_doubles_and_reorders_nothing(tmp_path: Path, server: RedisServer) -> None:
    """Killed with SIGKILL and back, then frozen and thawed, with two writers, one of which is killed too."""
    writers = [started(LOADER, server.url, tmp_path / "journal", name) for name in "ab"]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"50\n"
    server.kill()
    time.sleep(0.5)
    writers[0].send_signal(signal.SIGKILL)
    server.restart()
    time.sleep(0.5)
    server.freeze()
    time.sleep(0.3)
    server.thaw()
    writers[1].send_signal(signal.SIGKILL)
    counts = [int((writer.communicate()[0].splitlines() or [b"50"])[-1]) for writer in writers]
    with eventlog.open(server.url, journal=tmp_path / "journal") as log:
        assert log.flush(60)
        found = log.history("s").messages()
    for name, count in zip("ab", counts, strict=True):
        numbers = [number for writer, number in found if writer == name]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= count


def test_a_child_that_ends_does_not_let_go_of_the_parents_locks(tmp_path: Path) -> None:
    """Another process must not take the living parent for dead."""
    with eventlog.open(f"sqlite:///{tmp_path}/store.db", journal=tmp_path / "journal") as log:
        log.history("s").add("x")
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        folder = log._live().own
        assert folder is not None
        with eventlog.open(f"sqlite:///{tmp_path}/store.db", journal=tmp_path / "journal") as other:
            others = {found.path: found for found in other._live().directory.folders()}
            assert others[folder.path].alive
            assert not others[folder.path].delivery_lock.acquire()
