"""Room: adds at a steady rate, with a server and without one."""

from __future__ import annotations

import eventlog
from bench.pace import stream
from bench.players import WARM_ADDS
from bench.rounds import Orders, Sample, Task
from bench.work_add import wait_until_stored

RATE_PER_S = 5000
_FLUSH_TIMEOUT_S = 60.0


def calm(task: Task, _: Orders) -> Sample:
    """Time each `chat.add` of a steady stream, delivered as it flows."""
    with eventlog.open(task.url, journal=f"{task.journal}/log", ack="journal") as log:
        sample = stream(log, task.size, RATE_PER_S)
        assert log.flush(timeout=_FLUSH_TIMEOUT_S)
        wait_until_stored(task.direct_url, WARM_ADDS + task.size)
    return sample


def outage(task: Task, orders: Orders) -> Sample:
    """Time each `chat.add` of a steady stream that begins when the server dies; it comes back afterwards."""
    with eventlog.open(task.url, journal=f"{task.journal}/log", ack="journal") as log:
        sample = stream(log, task.size, RATE_PER_S, orders.kill_server)
        assert log.status().backends["redis"].lag_events == task.size
        orders.restart_server()
        assert log.flush(timeout=_FLUSH_TIMEOUT_S)
        wait_until_stored(task.direct_url, task.size)  # what was stored before died with the server
    return sample
