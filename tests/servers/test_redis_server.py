"""Laws of the server that the tests break: it keeps what it should, and nothing of it stays behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from threading import Thread

import pytest
import redis

from tests.servers.redis_server import MakeRedis, RedisServer
from tests.servers.waiting import until

ROOT = Path(__file__).parents[2]
OWNER = """
from eventlog.demo.server import RedisServer
server = RedisServer().start()
print(server.port, flush=True)
input()
"""


def client_of(server: RedisServer, timeout_s: float = 5.0) -> redis.Redis:
    """Give a client that never tries twice."""
    return redis.Redis.from_url(server.url, socket_timeout=timeout_s)


def listens(port: int) -> bool:
    """Tell whether anyone takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_durable_server_keeps_what_it_acknowledged_when_killed(own_redis: MakeRedis) -> None:
    """A write that was answered is there after SIGKILL and restart, on the same port."""
    server = own_redis(durable=True)
    client = client_of(server)
    client.set("key", "value")
    server.kill()
    with pytest.raises(redis.ConnectionError):
        client.get("key")
    server.restart()
    assert client.get("key") == b"value"


def test_server_that_is_not_durable_comes_back_empty(own_redis: MakeRedis) -> None:
    """Without `durable`, a restart is a loss of all data."""
    server = own_redis()
    client_of(server).set("key", "value")
    server.restart()
    assert client_of(server).get("key") is None


def test_frozen_server_answers_nobody_until_thawed(own_redis: MakeRedis) -> None:
    """A client of a frozen server times out, and a frozen one may be frozen again; thawed, it answers."""
    server = own_redis()
    server.freeze()
    server.freeze()
    with pytest.raises(redis.TimeoutError):
        client_of(server, timeout_s=0.05).ping()
    server.thaw()
    assert client_of(server).ping()


def test_stopped_server_leaves_no_process_and_no_folder(own_redis: MakeRedis) -> None:
    """After stop, even of a frozen server, its process, its port and its files are gone."""
    server = own_redis(durable=True)
    folder = Path(str(client_of(server).config_get("dir")["dir"]))
    pid = server.pid
    server.freeze()
    server.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not listens(server.port)
    assert not folder.exists()


def test_killed_server_keeps_its_port(own_redis: MakeRedis) -> None:
    """While a server is down, nobody else can take its port, so that it can always come back."""
    server = own_redis()
    server.kill()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", server.port))
    server.restart()
    assert client_of(server).ping()


def test_password_is_asked_for(own_redis: MakeRedis) -> None:
    """A server with a password refuses who has none; its url carries it, whatever its letters."""
    server = own_redis(password="p@ss: /é\"'")  # noqa: S106 - it guards nothing
    assert client_of(server).ping()
    with pytest.raises(redis.AuthenticationError):
        redis.Redis.from_url(f"redis://127.0.0.1:{server.port}/0").ping()


def test_replica_follows_its_primary(own_redis: MakeRedis) -> None:
    """What was written to the primary arrives, behind a password too."""
    primary = own_redis(password="secret")  # noqa: S106 - it guards nothing
    replica = own_redis(replica_of=primary)
    client_of(primary).set("key", "value")
    until(lambda: client_of(replica).get("key") == b"value")


def test_server_outlives_the_thread_that_started_it(own_redis: MakeRedis) -> None:
    """A helper thread may restart a server and end; the server stays."""
    server = own_redis()
    helper = Thread(target=server.restart)
    helper.start()
    helper.join()
    assert client_of(server).ping()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_fork_does_not_stop_the_server_of_its_parent(own_redis: MakeRedis) -> None:
    """In a forked child, stop does nothing."""
    server = own_redis()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(10)
        server.stop()
        os._exit(0)
    assert os.waitpid(child, 0) == (child, 0)
    assert client_of(server).ping()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
@pytest.mark.usefixtures("redis_server")
def test_server_goes_when_its_owner_is_killed(tmp_path: Path) -> None:
    """SIGKILL of the process that started a server takes the server with it."""
    program = [sys.executable, "-c", OWNER]
    environ = os.environ | {"TMPDIR": str(tmp_path)}
    owner = subprocess.Popen(program, stdin=PIPE, stdout=PIPE, text=True, cwd=ROOT, env=environ)
    assert owner.stdout is not None
    port = int(owner.stdout.readline())
    assert listens(port)
    owner.kill()
    owner.communicate()
    until(lambda: not listens(port))
