"""Room: adds at a steady rate, each timed by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter, sleep
from typing import Any

from bench.players import plain_messages, warm_up
from bench.rounds import Sample, percentile
from eventlog.log import EventLog

_FLUSH_TIMEOUT_S = 60.0
_SHARES = {"p50_us": 0.5, "p99_us": 0.99, "p999_us": 0.999}


def stream(log: EventLog, count: int, rate_per_s: int, begin: Callable[[], None] = lambda: None) -> Sample:
    """Time each of `count` adds; `begin` is called when all is warm."""
    messages = plain_messages(count)
    warm_up(log.history("warm").add, messages)
    assert log.flush(timeout=_FLUSH_TIMEOUT_S)
    add = log.history("chat-1").add
    begin()
    began = perf_counter()
    took_s = sorted(_paced(add, messages, began, rate_per_s))
    rate = count / (perf_counter() - began)
    assert rate > rate_per_s * 0.98, f"expected {rate_per_s} adds a second, found {rate:.0f}"
    found = {name: percentile(took_s, share) * 1e6 for name, share in _SHARES.items()}
    return {**found, "max_us": took_s[-1] * 1e6, "per_s": rate}


def _paced(add: Callable[[Any], object], messages: Sequence[Any], began: float, rate_per_s: int) -> list[float]:
    """Add each message at its own time, late ones at once; give what each add took."""
    took_s = []
    for number, message in enumerate(messages):
        early_s = began + number / rate_per_s - perf_counter()
        if early_s > 0:
            sleep(early_s)
        start = perf_counter()
        add(message)
        took_s.append(perf_counter() - start)
    return took_s
