"""The node that the tests stand on leaves nothing behind, and is shared by the workers of a run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import pytest

from eventlog.demo.server import ServerMissing
from tests.servers import cassandra_node
from tests.servers.cassandra_node import java
from tests.servers.cassandra_shared import make_cassandra, shared
from tests.servers.waiting import until

ROOT = Path(__file__).parents[2]
_OWNER = """
import sys
from tests.servers.cassandra_node import CassandraNode
node = CassandraNode()
node.begin()
print(node.pid, node._folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def owner() -> Iterator[subprocess.Popen[str]]:
    """Give a program that has begun a node."""
    make_cassandra()
    command = [sys.executable, "-c", _OWNER]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def runs(pid: int) -> bool:
    """Tell whether a process is there, and no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.crash
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing ends with its parent")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_node_goes_with_its_owner(owner: subprocess.Popen[str], how: signal.Signals) -> None:
    """Also when that is interrupted or killed; what is left of the folder goes when the next one starts."""
    assert owner.stdout is not None
    pid, folder = owner.stdout.readline().split()
    until(lambda: Path(f"/proc/{pid}/exe").resolve().name == "java")
    owner.send_signal(how)
    owner.wait()
    until(lambda: not runs(int(pid)))
    cassandra_node._sweep()
    assert not Path(folder).exists()


def test_missing_java_or_maven_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a laptop the test is skipped, in CI it fails; both say what is missing."""
    monkeypatch.setattr(cassandra_node, "_javas", list)
    with pytest.raises(ServerMissing, match="expected Java 17 to run Cassandra, found none"):
        java()
    monkeypatch.setenv("CI", "false")
    with pytest.raises(pytest.skip.Exception, match="Java 17"):
        make_cassandra()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="Java 17"):
        make_cassandra()
    monkeypatch.setenv("EVENTLOG_CASSANDRA_JARS", str(tmp_path / "jars"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ServerMissing, match="Maven"):
        cassandra_node.jars()


def test_java_of_another_version_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With where it was found."""
    program = tmp_path / "java"
    program.write_text("#!/bin/sh\necho 'openjdk version \"21.0.1\"' >&2\n")
    program.chmod(0o700)
    monkeypatch.setattr(cassandra_node, "_javas", lambda: [str(program)])
    with pytest.raises(ServerMissing, match=r"/java \(21\)"):
        java()


def test_what_is_shared_starts_once_and_ends_after_the_last(tmp_path: Path) -> None:
    """Whoever comes later finds it; its starter waits for the others; who comes after the end starts anew."""
    told: list[str] = []

    def start(servers: ExitStack) -> str:
        told.append("start")
        servers.callback(told.append, "stop")
        return str(os.getpid())

    first, second = (shared(tmp_path / "it", start) for _ in range(2))
    assert first.__enter__() == second.__enter__() == str(os.getpid())
    ends = Thread(target=first.__exit__, args=(None, None, None))
    ends.start()
    ends.join(0.2)
    assert (ends.is_alive(), told) == (True, ["start"])
    second.__exit__(None, None, None)
    ends.join(10)
    assert told == ["start", "stop"]
    with shared(tmp_path / "it", start):
        assert told == ["start", "stop", "start"]
