"""Room: adds while a sidecar, a process of its own, delivers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import eventlog
from bench.pace import stream
from bench.players import WARM_ADDS, make_ours, plain_messages, warm_up
from bench.rounds import Orders, Sample, Task
from bench.work_add import SESSION, WARM, one_instance, timed, wait_until_stored
from eventlog.locks import is_locked

RATE_PER_S = 20_000
BUDGET_SIDECAR_US, BUDGET_PROCESS_US = 50.0, 250.0
_READY_WITHIN_S = 20.0


def sidecar_add(task: Task, _: Orders) -> Sample:
    """Time `chat.add`."""
    with sidecar(task), eventlog.open(task.url) as log:
        messages = plain_messages(task.size)
        warm_up(log.history(WARM).add, messages)
        return timed(log.history(SESSION).add, messages, task)


def sidecar_drop_in(task: Task, _: Orders) -> Sample:
    """Time our drop-in's `add_message`, one instance."""
    with sidecar(task):
        return one_instance(make_ours, None, task)


def paced_sidecar(task: Task, _: Orders) -> Sample:
    """Time each `chat.add` of a steady stream."""
    with sidecar(task):
        return {**paced_process(task, _), "budget_us": BUDGET_SIDECAR_US}


def paced_process(task: Task, _: Orders) -> Sample:
    """Do the same with the loop in this process."""
    with eventlog.open(task.url) as log:
        sample = stream(log, task.size, RATE_PER_S)
        wait_until_stored(task.direct_url, WARM_ADDS + task.size)
    return {**sample, "budget_us": BUDGET_PROCESS_US}


@contextmanager
def sidecar(task: Task) -> Iterator[None]:
    """Have `eventlog drain --follow` deliver; it serves when this begins."""
    words = [sys.executable, "-m", "eventlog", "drain", "--follow", "--url", task.url]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 (our own)
    try:
        deadline = monotonic() + _READY_WITHIN_S
        while not any(is_locked(path) for path in Path(task.journal).glob("*/sidecar.lock")):
            assert monotonic() < deadline, "expected a sidecar, found none"
            sleep(0.05)
        yield
        assert process.poll() is None, "expected the sidecar to live on"
    finally:
        process.terminate()
        process.wait()
