"""Room: one writer of the demo, a process of its own. It adds messages at a steady pace until its stdin ends.

Rules:
* An add is noted in the file of acknowledgements after it returned and never before, with one plain write: a SIGKILL
  can lose the note of an add, not make one up.
* What it measured goes to stdout, a line of JSON every quarter of a second.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from math import log2
from pathlib import Path
from threading import Event, Thread
from time import monotonic, perf_counter_ns

import msgspec

import eventlog
from eventlog.demo.talk import conversation
from eventlog.errors import EventLogError

TELL_EVERY_S = 0.25
STEP_S = 0.002
_CLASSES = 16


class Task(msgspec.Struct, frozen=True):
    """What one writer is to do."""

    name: str
    url: str
    journal: str
    acks: str
    per_s: int
    seed: int
    sessions: list[str]


class Measured(msgspec.Struct):
    """What a writer did since it last told: how many adds, and how many took how long."""

    adds: int = 0
    times: dict[int, int] = msgspec.field(default_factory=dict)
    """Time class -> adds; see `time_class`."""
    failed: int = 0


def time_class(ns: int) -> int:
    """Give the class of a duration: sixteen classes from one power of two to the next."""
    return int(_CLASSES * log2(max(1, ns)))


def class_end_us(number: int) -> float:
    """Give the longest duration of a class in µs."""
    return float(2 ** ((number + 1) / _CLASSES)) / 1000


def p99_us(times: Counter[int]) -> float:
    """Give the time that 99 of 100 adds kept to."""
    left = times.total() / 100
    for number in sorted(times, reverse=True):
        left -= times[number]
        if left < 0:
            return class_end_us(number)
    return 0.0


class Writer:
    """Adds to its sessions in turn."""

    def __init__(self, task: Task, log: eventlog.EventLog) -> None:
        """Begin each session's conversation."""
        self._task = task
        self._histories = [log.history(session) for session in task.sessions]
        self._talks = [conversation(f"{task.seed}/{task.name}/{session}") for session in task.sessions]
        self._acks = os.open(task.acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._number = 0
        self._times: Counter[int] = Counter()
        self._failed = 0

    def write(self, ended: Event) -> None:
        """Keep the pace until `ended`."""
        begun = told = monotonic()
        while not ended.wait(STEP_S):
            now = monotonic()
            for _ in range(int((now - begun) * self._task.per_s) - self._number):
                self._add_one()
            if now - told >= TELL_EVERY_S:
                self.tell()
                told = now

    def _add_one(self) -> None:
        place = self._number % len(self._histories)
        message = {**next(self._talks[place]), "writer": self._task.name, "number": self._number}
        history = self._histories[place]
        self._number += 1
        begun = perf_counter_ns()
        try:
            event_id = history.add(message)
        except EventLogError:
            self._failed += 1
            return
        self._times[time_class(perf_counter_ns() - begun)] += 1
        os.write(self._acks, f"{event_id.hex()} {message['number']} {history.session_id}\n".encode())

    def tell(self) -> None:
        """Tell what was measured and begin anew."""
        measured = Measured(self._times.total(), dict(self._times), self._failed)
        sys.stdout.buffer.write(msgspec.json.encode(measured) + b"\n")
        sys.stdout.buffer.flush()
        self._times, self._failed = Counter(), 0


def main() -> None:
    """Do the task that stdin begins with."""
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    ended = Event()
    Thread(target=_wait_for_end, args=(ended,), daemon=True).start()
    with eventlog.open(task.url, journal=Path(task.journal)) as log:
        writer = Writer(task, log)
        writer.write(ended)
        writer.tell()


def _wait_for_end(ended: Event) -> None:
    sys.stdin.buffer.read()
    ended.set()


if __name__ == "__main__":
    main()
