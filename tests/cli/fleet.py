"""Processes of one host: writers that go on adding, and sidecars."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic, sleep, time
from typing import Any

import eventlog
from eventlog.history import Messages
from tests.cli.running import COMMAND, TIMEOUT_S, environment

_EVERY_S = 0.005


class Writer:
    """A process that adds {"n": 0}, {"n": 1} … to a session, each with its time, until it is stopped."""

    def __init__(self, url: str, journal: Path, session: str, *, deliver: bool) -> None:
        words = [sys.executable, "-m", "tests.cli.fleet", url, str(journal), session, "deliver" if deliver else ""]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment()
        )
        assert self._process.stdout
        assert self._process.stdout.readline() == b"writing\n"

    def stop(self) -> int:
        """Let it end, without delivering; give how many it added."""
        added, _ = self._process.communicate(b"", timeout=TIMEOUT_S)
        return int(added)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()


def _write(url: str, journal: str, session: str, deliver: str) -> None:
    ended = SimpleQueue[str]()
    Thread(target=lambda: ended.put(sys.stdin.read()), daemon=True).start()
    with eventlog.open(url, journal=journal, deliver=bool(deliver)) as log:
        history, added = log.history(session), 0
        history.add({"n": added, "t": time()})
        sys.stdout.write("writing\n")
        sys.stdout.flush()
        while ended.empty():
            added += 1
            history.add({"n": added, "t": time()})
            sleep(_EVERY_S)
        log.close(timeout=0)
    sys.stdout.write(f"{added + 1}\n")


class Sidecar:
    """`eventlog drain --follow` as a process, and the lines that it logs."""

    def __init__(self, url: str, journal: Path, *more: str) -> None:
        words = [*COMMAND, "drain", "--follow", "--url", url, "--journal", str(journal), *more]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment())
        self.lines: list[str] = []
        self._coming = SimpleQueue[str]()
        Thread(target=self._gather, daemon=True).start()

    def _gather(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._coming.put(line.decode())

    def wait_for(self, words: str, seconds: float = TIMEOUT_S) -> None:
        """Return when a line that was not looked at yet holds the words."""
        deadline = monotonic() + seconds
        while True:
            try:
                line = self._coming.get(timeout=max(0.0, deadline - monotonic()))
            except Empty:
                raise AssertionError(f"expected {words!r}, found {self.lines}") from None
            self.lines.append(line)
            if words in line:
                return

    def end(self, number: int) -> int:
        """Send a signal; give the exit code."""
        self.process.send_signal(number)
        return self.process.wait(TIMEOUT_S)


def in_store(url: str, journal: Path, session: str) -> Messages:
    """Give what the backend holds of a session, whatever waits in journals."""
    with eventlog.open(url, journal=journal.with_name("of-a-reader"), deliver=False, strict_reads=True) as log:
        return log.history(session).messages()


def newest_time(url: str, journal: Path, session: str) -> float:
    """Give when the newest message that the backend holds was added; 0 where there is none."""
    found = in_store(url, journal, session)
    return float(found[-1]["t"]) if found else 0.0


def eventually(done: Callable[[], Any], seconds: float = TIMEOUT_S) -> None:
    """Return when `done`; fail when the time is up."""
    deadline = monotonic() + seconds
    while not done():
        assert monotonic() < deadline, f"expected it within {seconds} s"
        sleep(0.02)


def as_objects(lines: list[str]) -> list[dict[str, str]]:
    """Read lines of JSON."""
    return [json.loads(line) for line in lines]


if __name__ == "__main__":
    _write(*sys.argv[1:])
