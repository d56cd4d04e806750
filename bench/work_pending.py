"""Room: what a large backlog costs: the writer's memory, a reader's memory and time, reopening."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from time import perf_counter

import eventlog
from bench.rounds import Orders, Sample, Task
from bench.work_add import wait_until_stored

BUDGET_MB, BUDGET_MS = 64.0, 5.0
SESSIONS = 10_000
_OWN = 100
_READS = 200


def pending(task: Task, _: Orders) -> Sample:
    """Write a backlog of other sessions, then read one whose 100 messages are in Redis and one that is pending."""
    place, url = f"{task.journal}/log", task.url
    with eventlog.open(url, journal=place) as log:
        log.history("read").add_many([{"role": "user", "content": f"text {number}"} for number in range(_OWN)])
        assert log.flush(60)
        wait_until_stored(task.direct_url, _OWN)
        read_none_ms = _read_ms(log, _OWN)
    writer_mb = _write(url, place, task.size)
    began = perf_counter()
    with eventlog.open(url, journal=place, deliver=False) as log:
        reopen_ms = (perf_counter() - began) * 1e3
        before = _resident_mb()
        read_ms = _read_ms(log, _OWN + 1)
        reader_mb = _resident_mb() - before
        assert log.status().backends["redis"].lag_events == task.size + 1
    return {
        "writer_mb": max(writer_mb, 0.1),
        "reader_mb": max(reader_mb, 0.1),
        "read_ms": read_ms,
        "read_none_ms": read_none_ms,
        "reopen_ms": reopen_ms,
        "budget_mb": BUDGET_MB,
        "budget_ms": BUDGET_MS,
    }


def _write(url: str, place: str, count: int) -> float:
    """Give what the backlog costs its writer in memory."""
    with eventlog.open(url, journal=place, deliver=False, max_journal_bytes=1 << 40) as log:
        chats = [log.history(f"chat-{number}") for number in range(SESSIONS)]
        for chat in chats:
            chat.add("warm")
        before = _resident_mb()
        for number in range(count - SESSIONS):
            chats[number % SESSIONS].add({"role": "user", "content": "a short message"})
        log.history("read").add({"role": "user", "content": "the last one"})
        return _resident_mb() - before


def _read_ms(log: eventlog.EventLog, wanted: int) -> float:
    chat = log.history("read")
    return median(_seconds(chat, wanted) for _ in range(_READS)) * 1e3


def _seconds(chat: eventlog.ChatHistory, wanted: int) -> float:
    began = perf_counter()
    found = chat.messages()
    took_s = perf_counter() - began
    assert len(found) == wanted
    return took_s


def _resident_mb() -> float:
    """Give the process's resident memory, with the pages of indexes that it has mapped."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024
