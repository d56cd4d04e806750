"""A real Cassandra node of one's own, from Maven's jars: no container, no root. To be killed and started again.

Rules:
* It listens on a loopback address of its own, which nobody else uses while it runs; a ring's nodes know a seed's.
* Its data lie in a temporary folder. It leaves nothing behind: it goes with `stop`, at exit, and when its owner is
  killed; a folder whose owner was killed goes when the next node starts.
* The jars come once a machine: $EVENTLOG_CASSANDRA_JARS, or a folder in the user's cache that Maven fills.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import random
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from platformdirs import user_cache_path

from eventlog.demo.server import ServerFailed, ServerMissing, spawn
from tests.servers.cassandra_options import JVM, LOGBACK, VERSION, pom, yaml

PORT, STORAGE_PORT = 9042, 7000
START_TIMEOUT_S = 90.0
_MAVEN_TIMEOUT_S = 600
_POLL_S = 0.05
_LOG_TAIL_BYTES = 3000
_JAVA_VERSIONS = ("11", "17")
_PREFIX = "eventlog-cassandra-"


def java() -> str:
    """Find a Java that Cassandra 5 runs on."""
    found = {program: _version_of(program) for program in _javas()}
    for program, version in found.items():
        if version in _JAVA_VERSIONS:
            return program
    told = ", ".join(f"{program} ({version})" for program, version in found.items()) or "none"
    raise ServerMissing(f"expected Java 17 to run Cassandra, found {told}; try: apt install openjdk-17-jre-headless")


def _javas() -> list[str]:
    home, known = os.environ.get("JAVA_HOME"), Path("/usr/lib/jvm").glob("*/bin/java")
    places = [Path(home, "bin", "java")] if home else []
    return [str(place) for place in (*places, shutil.which("java"), *sorted(known)) if place and Path(place).exists()]


def _version_of(program: str) -> str:
    told = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', told)
    return found[1] if found else "unknown"


def jars() -> Path:
    """Give the folder of Cassandra's jars, brought by Maven if it is not there yet."""
    given = os.environ.get("EVENTLOG_CASSANDRA_JARS")
    folder = Path(given) if given else user_cache_path("chat-eventlog") / f"cassandra-{VERSION}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _bring(folder)
    return folder


def _bring(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise ServerMissing("expected Maven to bring Cassandra's jars, found none; on Debian: apt install maven")
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        Path(place, "pom.xml").write_text(pom())
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={place}/jars"]
        command = [maven, "-q", "-B", *goal]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=_MAVEN_TIMEOUT_S)
        if done.returncode:
            raise ServerMissing(f"expected Maven to bring Cassandra's jars, found:\n{done.stdout[-_LOG_TAIL_BYTES:]}")
        Path(place, "jars").rename(folder)


def free_address() -> str:
    """Give a loopback address where nobody listens on Cassandra's ports."""
    while True:
        address = f"127.{random.randint(1, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}"  # noqa: S311
        try:
            for port in (PORT, STORAGE_PORT):
                with socket.socket() as probe:
                    probe.bind((address, port))
        except OSError:
            continue
        return address


class CassandraNode:
    """One node; `settings` are more lines for its cassandra.yaml."""

    def __init__(self, *, seed: CassandraNode | None = None, address: str | None = None, **settings: object) -> None:
        self._java, self._jars = java(), jars()
        self.address = address or free_address()
        self._seed = seed.address if seed is not None else self.address
        self._settings = settings
        self._owner = os.getpid()
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the running node."""
        return self._running().pid

    @property
    def is_running(self) -> bool:
        """Tell whether it was started, and not killed since."""
        return self._process is not None

    def start(self) -> Self:
        """Start it and return when it answers."""
        self.begin()
        self.wait_until_ready()
        return self

    def begin(self) -> None:
        """Start it and return at once."""
        if self._folder is None:
            _sweep()
            self._folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{self._owner}-"))
            atexit.register(self.stop)
        (self._folder / "cassandra.yaml").write_text(yaml(self._folder, self.address, self._seed, self._settings))
        (self._folder / "logback.xml").write_text(LOGBACK)
        self._process = spawn([self._java, *self._arguments(self._folder)], self._folder / "out.log")

    def _arguments(self, folder: Path) -> list[str]:
        places = {
            "cassandra.config": f"file://{folder}/cassandra.yaml",
            "cassandra.storagedir": folder,
            "logback.configurationFile": f"file://{folder}/logback.xml",
            "java.io.tmpdir": folder,
        }
        options = [f"-D{name}={value}" for name, value in places.items()]
        return [*JVM, *options, "-cp", f"{self._jars}/*", "org.apache.cassandra.service.CassandraDaemon"]

    def wait_until_ready(self) -> None:
        """Return when it answers clients."""
        process, deadline = self._running(), time.monotonic() + START_TIMEOUT_S
        while not _listens(self.address):
            if process.poll() is not None or time.monotonic() > deadline:
                tail = self._log_tail()
                self.kill()
                raise ServerFailed(f"expected a Cassandra node at {self.address}, found none; its log:\n{tail}")
            time.sleep(_POLL_S)

    def _log_tail(self) -> str:
        return (self._folder or Path()).joinpath("out.log").read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")

    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL); its data stay for `start`."""
        process, self._process = self._running(), None
        process.kill()
        process.wait()

    def stop(self) -> None:
        """End it for good: no process, no folder."""
        if os.getpid() != self._owner:
            return
        if self._process is not None:
            self.kill()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        atexit.unregister(self.stop)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("expected a running node, found none; call start()")
        return self._process


def _listens(address: str) -> bool:
    try:
        with socket.create_connection((address, PORT), timeout=1.0):
            return True
    except OSError:
        return False


def _sweep() -> None:
    """Remove the folders of owners that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path(f"/proc/{owner}").exists():
            shutil.rmtree(folder, ignore_errors=True)
