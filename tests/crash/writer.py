"""The work of the harness's children, through the public face of a log.

What became of a message is written down after `add` returned, with one plain write to a file in append mode: a kill can
lose the note of an add, never make one up. A `AckTimeout` says that the event is kept, so it is noted as kept.
"""

from __future__ import annotations

import os
import time
from functools import partial
from random import Random
from threading import Thread
from unittest.mock import patch

import msgspec

import eventlog
from eventlog.clock import now_ms
from eventlog.errors import AckTimeout, JournalError
from eventlog.log import EventLog
from tests.crash.points import ALL_POINTS
from tests.crash.sabotage import SABOTAGES
from tests.crash.tasks import CALL_EVENTS_MAX, SESSIONS, Message, Task, message
from tests.crash.verdict import line

JOURNAL_BYTES = 1 << 20
BLOCK_S = 0.2
TICK_S, IDLE_SEGMENT_S, PROBE_FIRST_S = 0.03, 0.2, 0.1
DRAIN_S = 60.0
PAUSE_S = 0.004
CALLS_A_PAUSE = 12


def work(task: Task) -> int:
    """Do the task; give the exit code."""
    _hurry()
    if task.point is not None:
        ALL_POINTS[task.point].play(task.nth, task.struck)
    if task.sabotage is not None:
        SABOTAGES[task.sabotage](task)
    return {"write": _write, "drain": _drain}[task.work](task)


def _hurry() -> None:
    """Let what happens twice a second, or once a minute, happen in the short life of a child."""
    for room, name, value in (
        ("keeper", "TICK_S", TICK_S),
        ("writing", "IDLE_SEGMENT_S", IDLE_SEGMENT_S),
        ("storing", "PROBE_FIRST_S", PROBE_FIRST_S),
        ("storing", "PROBE_MAX_S", PROBE_FIRST_S),
    ):
        patch(f"eventlog.{room}.{name}", value).start()


def _open(task: Task) -> EventLog:
    wall = partial(_behind, task.behind_ms)
    with patch("eventlog.log.EventLog", partial(EventLog, now_ms=wall)):
        return eventlog.open(*task.urls, journal=task.journal, max_journal_bytes=JOURNAL_BYTES, max_block=BLOCK_S)


def _behind(behind_ms: int) -> int:
    return now_ms() - behind_ms


def _drain(task: Task) -> int:
    with _open(task) as log:
        return 0 if log.flush(DRAIN_S) else 1


def _write(task: Task) -> int:
    log = _open(task)
    authors = [Author(task, log, number) for number in range(task.threads)]
    threads = [Thread(target=author.write) for author in authors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    return 0


class Author:
    """One thread that adds."""

    def __init__(self, task: Task, log: EventLog, thread: int) -> None:
        self._name, self._calls = f"{task.name}/{thread}", task.calls
        self._chance = Random(f"{task.seed}/{thread}")  # noqa: S311 (to be repeated)
        self._histories = [log.history(session) for session in SESSIONS]
        self._acks = os.open(task.acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._number = 0

    def write(self) -> None:
        """Add until it has done its calls."""
        for _ in range(self._calls):
            self._call()
            if self._chance.randrange(CALLS_A_PAUSE) == 0:
                time.sleep(self._chance.uniform(0, PAUSE_S))

    def _call(self) -> None:
        history = self._chance.choice(self._histories)
        of = 1 if self._chance.random() < 0.8 else self._chance.randint(2, CALL_EVENTS_MAX)
        messages = [message(self._name, self._number + index, index, of) for index in range(of)]
        self._number += of
        try:
            ids: list[bytes | None] = [*self._add(history, messages)]
        except AckTimeout as late:
            ids = [late.event_id]
        except JournalError:
            ids = [None] * of
        lines = (
            line(self._name, each.number, history.session_id, told) for each, told in zip(messages, ids, strict=True)
        )
        os.write(self._acks, b"".join(lines))

    def _add(self, history: eventlog.ChatHistory, messages: list[Message]) -> list[eventlog.EventId]:
        ack = self._chance.choices((None, "fsync", "backend"), (60, 4, 1))[0]
        values = [msgspec.to_builtins(each) for each in messages]
        if len(values) == 1:
            return [history.add(values[0], ack=ack)]
        return history.add_many(values, ack=None if ack == "backend" else ack)
