"""Room: histories that the old class wrote, met by ours: their first read, the ones after it, and imports in bulk."""

from __future__ import annotations

import json
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

from langchain_core.messages import message_to_dict

from bench.players import langchain_messages, make_ours, make_theirs, referee
from bench.rounds import Orders, Sample, Task
from eventlog.adapters import from_url
from eventlog.cli.moving import Import

SESSIONS = 15
PREFIX = "message_store:"
IMPORT_PER_S = 20_000.0
_FLUSH_TIMEOUT_S = 60.0


def their_old_read(task: Task, _: Orders) -> Sample:
    """Time their reads of what they wrote: the median of one a session."""
    _write(task.direct_url, SESSIONS + 1, task.size)
    return {"ms": _reads(make_theirs, task)}


def first_read(task: Task, _: Orders) -> Sample:
    """Time our first read of each session, which imports it, and the one after all is delivered."""
    _write(task.direct_url, SESSIONS + 1, task.size)
    first_ms = _reads(make_ours, task)
    assert make_ours(task.url, "s0").log.flush(_FLUSH_TIMEOUT_S)
    return {"ms": first_ms, "later_ms": _reads(make_ours, task)}


def bulk_import(task: Task, _: Orders) -> Sample:
    """Time an import, from Redis to Redis; sessions of 100 messages."""
    _write(task.direct_url, task.size // 100, 100)
    source, store = from_url(task.url), from_url(task.url)
    work = Import(source, store, dry=False, on_strange=lambda _: None)
    began = perf_counter()
    work.run(source.old_sessions(PREFIX), lambda _: None)  # type: ignore[attr-defined]
    took_s = perf_counter() - began
    assert work.report.messages == task.size
    return {"per_s": task.size / took_s, "wanted_per_s": IMPORT_PER_S}


def _write(url: str, sessions: int, size: int) -> None:
    elements = [json.dumps(message_to_dict(message)) for message in langchain_messages(size)]
    client = referee(url)
    for number in range(sessions):
        client.lpush(f"{PREFIX}s{number}", *elements)


def _reads(make: Callable[..., Any], task: Task) -> float:
    """Give the median in ms; the last session warms up."""
    assert len(make(task.url, f"s{SESSIONS}").messages) == task.size
    return median(_read_s(make(task.url, f"s{number}"), task.size) for number in range(SESSIONS)) * 1e3


def _read_s(history: Any, size: int) -> float:
    began = perf_counter()
    found = history.messages
    took_s = perf_counter() - began
    assert len(found) == size
    return took_s
