"""The work of the harness's children."""

from __future__ import annotations

from functools import partial
from threading import Thread
from unittest.mock import patch

import eventlog
from eventlog.clock import now_ms
from eventlog.log import EventLog
from tests.crash.author import Author
from tests.crash.points import ALL_POINTS
from tests.crash.sabotage import SABOTAGES
from tests.crash.tasks import Task

BLOCK_S = 0.2
TICK_S, IDLE_SEGMENT_S, PROBE_FIRST_S = 0.03, 0.2, 0.1
DRAIN_S = 60.0


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
        return eventlog.open(*task.urls, journal=task.journal, max_journal_bytes=task.journal_bytes, max_block=BLOCK_S)


def _behind(behind_ms: int) -> int:
    return now_ms() - behind_ms


def _drain(task: Task) -> int:
    with _open(task) as log:
        return 0 if log.flush(DRAIN_S) else 1


def _write(task: Task) -> int:
    log = _open(task)
    names = [f"{task.name}/{number}" for number in range(task.threads)]
    authors = [Author(log, name, task.acks, task.seed, waits=True) for name in names]
    threads = [Thread(target=author.write, args=(task.calls,)) for author in authors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    return 0
