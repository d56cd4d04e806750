"""Room: adds that are on the disk when they return, beside the bare system call."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import eventlog
from bench.players import WARM_ADDS, plain_messages, warm_up
from bench.rounds import Orders, Sample, Task
from bench.work_add import wait_until_stored

THREADS = 64
FRAME_BYTES = 490
"""What the journal writes for one of these messages."""


def raw(task: Task, _: Orders) -> Sample:
    """Time write and fdatasync of as many bytes to a file that grows."""
    block = os.urandom(FRAME_BYTES)
    descriptor = os.open(Path(task.journal, "raw"), os.O_CREAT | os.O_WRONLY, 0o600)
    for _number in range(WARM_ADDS):
        _write(descriptor, block)
    began = perf_counter()
    for _number in range(task.size):
        _write(descriptor, block)
    took_s = perf_counter() - began
    os.close(descriptor)
    return {"per_s": task.size / took_s}


def _write(descriptor: int, block: bytes) -> None:
    os.write(descriptor, block)
    os.fdatasync(descriptor)


def one_thread(task: Task, _: Orders) -> Sample:
    """Time `chat.add` with ack="fsync"; delivery is left to another process, which comes later."""
    return _adds(task, 1, deliver=False)


def many_threads(task: Task, _: Orders) -> Sample:
    """Do it from 64 threads at once, each with a session of its own."""
    return _adds(task, THREADS, deliver=False)


def one_thread_delivering(task: Task, _: Orders) -> Sample:
    """Do it while this process delivers."""
    return _adds(task, 1, deliver=True)


def many_threads_delivering(task: Task, _: Orders) -> Sample:
    """Do it from 64 threads while this process delivers."""
    return _adds(task, THREADS, deliver=True)


def _adds(task: Task, threads: int, *, deliver: bool) -> Sample:
    each = plain_messages(task.size // threads)
    place = f"{task.journal}/log"
    log = eventlog.open(task.url, journal=place, ack="fsync", deliver=deliver)
    with log, ThreadPoolExecutor(threads) as pool:
        warm_up(log.history("warm").add, each)
        before = _segment_bytes(task)
        began = perf_counter()
        list(pool.map(lambda number: _add_all(log.history(f"chat-{number}"), each), range(threads)))
        took_s = perf_counter() - began
        written = (_segment_bytes(task) - before) / (len(each) * threads)
        assert abs(written - FRAME_BYTES) < FRAME_BYTES / 10, f"expected frames of {FRAME_BYTES} bytes, found {written}"
    with eventlog.open(task.url, journal=place) as log:
        assert log.flush(60)
        wait_until_stored(task.direct_url, WARM_ADDS + len(each) * threads)
    return {"per_s": len(each) * threads / took_s}


def _add_all(chat: eventlog.ChatHistory, messages: list[dict[str, str]]) -> None:
    for message in messages:
        chat.add(message)


def _segment_bytes(task: Task) -> int:
    return sum(path.stat().st_size for path in Path(task.journal).glob("log/*/*.seg"))
