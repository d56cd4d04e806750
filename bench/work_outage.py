"""Room: adds at a steady rate, with a server and without one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter, sleep
from typing import Any

import eventlog
from bench.players import WARM_ADDS, plain_messages, warm_up
from bench.rounds import Orders, Sample, Task, percentile
from bench.work_add import wait_until_stored

RATE_PER_S = 5000
_FLUSH_TIMEOUT_S = 60.0


def calm(task: Task, _: Orders) -> Sample:
    """Time each `chat.add` of a steady stream, delivered as it flows."""
    with eventlog.open(task.url, journal=f"{task.journal}/log", ack="journal") as log:
        sample = _stream(log, task.size)
        assert log.flush(timeout=_FLUSH_TIMEOUT_S)
        wait_until_stored(task.direct_url, WARM_ADDS + task.size)
    return sample


def outage(task: Task, orders: Orders) -> Sample:
    """Time each `chat.add` of a steady stream that begins when the server dies; it comes back afterwards."""
    with eventlog.open(task.url, journal=f"{task.journal}/log", ack="journal") as log:
        sample = _stream(log, task.size, orders.kill_server)
        assert log.status().backends["redis"].lag_events == task.size
        orders.restart_server()
        assert log.flush(timeout=_FLUSH_TIMEOUT_S)
        wait_until_stored(task.direct_url, task.size)  # what was stored before died with the server
    return sample


def _stream(log: eventlog.EventLog, count: int, begin: Callable[[], None] = lambda: None) -> Sample:
    messages = plain_messages(count)
    warm_up(log.history("warm").add, messages)
    assert log.flush(timeout=_FLUSH_TIMEOUT_S)
    add = log.history("chat-1").add
    begin()
    began = perf_counter()
    took_s = sorted(_paced(add, messages, began))
    rate = count / (perf_counter() - began)
    assert rate > RATE_PER_S * 0.98, f"expected {RATE_PER_S} adds a second, found {rate:.0f}"
    shares = {"p50_us": 0.5, "p99_us": 0.99, "p999_us": 0.999}
    found = {name: percentile(took_s, share) * 1e6 for name, share in shares.items()}
    return {**found, "max_us": took_s[-1] * 1e6, "per_s": rate}


def _paced(add: Callable[[Any], object], messages: Sequence[Any], began: float) -> list[float]:
    """Add each message at its own time, late ones at once; give what each add took."""
    took_s = []
    for number, message in enumerate(messages):
        early_s = began + number / RATE_PER_S - perf_counter()
        if early_s > 0:
            sleep(early_s)
        start = perf_counter()
        add(message)
        took_s.append(perf_counter() - start)
    return took_s
