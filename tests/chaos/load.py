"""Room: a process that adds at a steady rate and does what it is told; the faults are played by its parent.

Rules:
* Each add is timed by itself; one that raises is counted, and is not among the acknowledged.
* What it acknowledged is compared with the servers themselves at the end, by the parent.
"""

from __future__ import annotations

import os
import sys
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from threading import active_count
from time import monotonic, perf_counter, sleep
from typing import Any, NamedTuple

import eventlog
from eventlog.log import EventLog

RATE_PER_S = 2000
SESSIONS = 20
TEXT = "x" * 300
PATIENCE_S = 120.0
LATE_S_MAX = 5.0
KIB = 1024


class Usage(NamedTuple):
    """What a process uses now."""

    memory_kib: int
    """Its own; not the pages of files that it shares with the kernel."""
    threads: int
    files: int
    journal_kib: int


class Drained(NamedTuple):
    """How a backlog went."""

    events: int
    seconds: float
    done: bool


class Load:
    """The parent's side."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def begin(self, name: str, *args: Any) -> None:
        """Tell it what to do; it does it while the parent does something else."""
        self._pipe.send((name, args))

    def end(self) -> Any:
        """Wait for what came of it."""
        if not self._pipe.poll(PATIENCE_S):
            raise TimeoutError("expected the writing process to answer, found it silent")
        return self._pipe.recv()

    def do(self, name: str, *args: Any) -> Any:
        """Tell, and wait."""
        self.begin(name, *args)
        return self.end()


class _Writer:
    """The child's side."""

    def __init__(self, log: EventLog, place: Path, *, leaks: bool) -> None:
        self._log, self._place = log, place
        self._chats = [log.history(f"s{number}") for number in range(SESSIONS)]
        self._numbers = 0
        self._leak: list[str] | None = [] if leaks else None
        self.taken = {number: array("Q") for number in range(SESSIONS)}
        self.refused = 0

    def add(self, seconds: float) -> list[float]:
        """Add at the rate; give the seconds that each took."""
        took_s, began = [], perf_counter()
        for number in range(round(seconds * RATE_PER_S)):
            early_s = began + number / RATE_PER_S - perf_counter()
            if early_s > 0:
                sleep(early_s)
            elif early_s < -LATE_S_MAX:
                break  # it waits for something at each add: that is told, not waited for
            took_s.append(self._add_one())
        return took_s

    def _add_one(self) -> float:
        self._numbers += 1
        session, began = self._numbers % SESSIONS, perf_counter()
        try:
            self._chats[session].add([self._numbers, TEXT])
            self.taken[session].append(self._numbers)
        except eventlog.EventLogError:
            self.refused += 1
        if self._leak is not None:
            self._leak.append(TEXT + str(self._numbers) * 10)
        return perf_counter() - began

    def lag(self, backend: str) -> int:
        """Tell a backend's lag."""
        return self._log.status().backends[backend].lag_events

    def pile_up(self, count: int) -> None:
        """Add many at once."""
        for _ in range(count // 500):
            self._numbers += 500
            session = self._numbers % SESSIONS
            numbers = [*range(self._numbers - 499, self._numbers + 1)]
            self._chats[session].add_many([[number, TEXT] for number in numbers])
            self.taken[session].extend(numbers)

    def drain(self, backend: str) -> Drained:
        """Wait from the first event that goes until the last one has gone."""
        events, deadline = self.lag(backend), monotonic() + PATIENCE_S
        while self.lag(backend) >= events > 0 and monotonic() < deadline:
            sleep(0.001)
        events, began = self.lag(backend), perf_counter()
        done = self._log.flush(PATIENCE_S / 2)
        return Drained(events, perf_counter() - began, done)

    def usage(self) -> Usage:
        """Tell what this process and its journal use."""
        told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        files = [path.stat().st_size for path in (self._place / "journal").rglob("*") if path.exists()]
        return Usage(
            int(told["RssAnon"].split()[0]),
            active_count(),
            len(list(Path("/proc/self/fd").iterdir())),
            sum(files) // KIB,
        )

    def acknowledged(self) -> tuple[dict[int, array[int]], int]:
        """Give session -> numbers, and how many were refused."""
        return self.taken, self.refused


def write(pipe: Connection, url: str, place: Path, options: dict[str, Any], leaks: bool) -> None:  # noqa: FBT001 (from a process's arguments)
    """Live in a process of its own."""
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 (a broken server is told there, again and again)
    with eventlog.open(url, f"sqlite:///{place}/store.db", journal=place / "journal", **options) as log:
        writer = _Writer(log, place, leaks=leaks)
        while True:
            name, args = pipe.recv()
            if name == "end":
                break
            pipe.send(getattr(writer, name)(*args))


@contextmanager
def writing(url: str, place: Path, *, leaks: bool = False, **options: Any) -> Iterator[Load]:
    """Have such a process."""
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=write, args=(theirs, url, place, options, leaks), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Load(ours)
        ours.send(("end", ()))
        process.join(PATIENCE_S)
    finally:
        process.kill()
        process.join()
