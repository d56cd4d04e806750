"""Room: what an outage left, delivered; beside the client's own pipeline with as many bytes, ready in advance."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter, time

import eventlog
from bench.players import plain_messages, referee
from bench.rounds import Orders, Sample, Task
from bench.work_add import wait_until_stored
from eventlog.clock import Clock, new_writer, now_ms
from eventlog.codec import PERMANENT, encode_message

SESSIONS = 1000
TTL_S = 3600
PIPELINE_EVENTS = 1000
"""More in one pipeline gained nothing."""
_CHUNK = 1000
_FLUSH_TIMEOUT_S = 250.0


def ours(task: Task, _: Orders) -> Sample:
    """Time opening a log over a backlog until all of it is in Redis."""
    return _ours(task, None)


def ours_ttl(task: Task, _: Orders) -> Sample:
    """Do it where every event has a TTL."""
    return _ours(task, TTL_S)


def _ours(task: Task, ttl: int | None) -> Sample:
    leave_pending(task, task.size, ttl)
    began = perf_counter()
    with eventlog.open(task.url, journal=f"{task.journal}/log") as log:
        assert log.flush(timeout=_FLUSH_TIMEOUT_S)
        took_s = perf_counter() - began
    wait_until_stored(task.direct_url, task.size)
    return {"per_s": task.size / took_s}


def leave_pending(task: Task, count: int, ttl: int | None = None) -> None:
    """Write events over all sessions in turn that nobody delivers."""
    messages = plain_messages(_CHUNK)
    with eventlog.open(task.url, journal=f"{task.journal}/log", deliver=False, max_journal_bytes=1 << 40) as log:
        adds = [log.history(f"chat-{number:04}", ttl=ttl).add for number in range(SESSIONS)]
        for number in range(count):
            adds[number % SESSIONS](messages[number % _CHUNK])


def raw(task: Task, _: Orders) -> Sample:
    """Time redis-py's pipelines of one ZADD an event."""
    return _raw(task, None)


def raw_ttl(task: Task, _: Orders) -> Sample:
    """Time the same with a PEXPIREAT for each."""
    return _raw(task, TTL_S)


def _raw(task: Task, ttl: int | None) -> Sample:
    records = _records(task.size)
    keys = [f"chat-{number:04}" for number in range(SESSIONS)]
    with referee(task.url) as client:
        client.ping()
        began = perf_counter()
        for start in range(0, task.size, PIPELINE_EVENTS):
            pipe = client.pipeline(transaction=False)
            for number, record in enumerate(records[start : start + PIPELINE_EVENTS], start):
                pipe.zadd(keys[number % SESSIONS], {record: 0})
                if ttl:
                    pipe.pexpireat(keys[number % SESSIONS], int((time() + ttl) * 1000), gt=True)
            pipe.execute()
        took_s = perf_counter() - began
    wait_until_stored(task.direct_url, task.size)
    return {"per_s": task.size / took_s}


def _records(count: int) -> Sequence[bytes]:
    """Give what our deliveries consist of: an id and a body each."""
    bodies = [encode_message(PERMANENT, now_ms(), "value", message, 0) for message in plain_messages(_CHUNK)]
    clock = Clock(new_writer())
    return [clock.next(b"", now_ms()) + bodies[number % _CHUNK] for number in range(count)]
