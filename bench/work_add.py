"""Room: adds at full speed by one thread, delivery running in the same process; then all is in the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic, perf_counter, sleep
from typing import Any

import eventlog
from bench.players import (
    WARM_ADDS,
    expires,
    langchain_messages,
    make_ours,
    make_theirs,
    newest,
    plain_messages,
    referee,
    stored,
    warm_up,
)
from bench.rounds import Orders, Sample, Task

TTL_S = 3600
SESSION, WARM = "chat-1", "warm"
_STUCK_AFTER_S = 15.0


def chat_add(task: Task, _: Orders) -> Sample:
    """Time `chat.add`."""
    with eventlog.open(task.url, journal=f"{task.journal}/log", ack="journal") as log:
        messages = plain_messages(task.size)
        warm_up(log.history(WARM).add, messages)
        return timed(log.history(SESSION).add, messages, task)


def drop_in_add(task: Task, _: Orders) -> Sample:
    """Time our drop-in's `add_message`, one instance."""
    return one_instance(make_ours, None, task)


def their_add(task: Task, _: Orders) -> Sample:
    """Time their `add_message`, one instance."""
    return one_instance(make_theirs, None, task)


def drop_in_add_ttl(task: Task, _: Orders) -> Sample:
    """Time our drop-in's `add_message` with a TTL, one instance."""
    return one_instance(make_ours, TTL_S, task)


def their_add_ttl(task: Task, _: Orders) -> Sample:
    """Time their `add_message` with a TTL, one instance."""
    return one_instance(make_theirs, TTL_S, task)


def drop_in_new(task: Task, _: Orders) -> Sample:
    """Time making our drop-in and one `add_message` on it."""
    return _new_instances(make_ours, task)


def their_new(task: Task, _: Orders) -> Sample:
    """Time making theirs and one `add_message` on it."""
    return _new_instances(make_theirs, task)


def one_instance(make: Callable[..., Any], ttl: int | None, task: Task) -> Sample:
    """Time `add_message` of one instance."""
    messages = langchain_messages(task.size)
    warm_up(make(task.url, WARM, ttl).add_message, messages)
    sample = timed(make(task.url, SESSION, ttl).add_message, messages, task)
    with referee(task.direct_url) as client:
        assert expires(client, SESSION) == bool(ttl), "expected a session with a TTL to expire, and no other"
    return sample


def _new_instances(make: Callable[..., Any], task: Task) -> Sample:
    def add(message: Any) -> None:
        make(task.url, SESSION).add_message(message)

    messages = langchain_messages(task.size)
    warm_up(make(task.url, WARM).add_message, messages)
    return timed(add, messages, task)


def timed(add: Callable[[Any], object], messages: Sequence[Any], task: Task) -> Sample:
    """Time adds; then see that all of them are in the server."""
    began = perf_counter()
    for message in messages:
        add(message)
    took_s = perf_counter() - began
    return {"per_s": len(messages) / took_s, "us": took_s / len(messages) * 1e6, **_proven(messages, task)}


def _proven(messages: Sequence[Any], task: Task) -> Sample:
    """Wait until the server has every message once, the last one last; tell what it had at first."""
    with referee(task.direct_url) as client:
        at_close = stored(client)
        wait_until_stored(task.direct_url, WARM_ADDS + len(messages))
        last = messages[-1]
        text = last["content"] if isinstance(last, dict) else last.content
        assert text.encode() in newest(client, SESSION), "expected the last message last"
    return {"stored_at_close": max(0, at_close - WARM_ADDS)}


def wait_until_stored(url: str, wanted: int) -> None:
    """Return when the server holds exactly `wanted` messages; fail if it holds more, or no more come."""
    seen, deadline = -1, 0.0
    with referee(url) as client:
        while (found := stored(client)) < wanted:
            if found != seen:
                seen, deadline = found, monotonic() + _STUCK_AFTER_S
            assert monotonic() < deadline, f"expected {wanted} messages in the server, found {found}"
            sleep(0.05)
    assert found == wanted, f"expected {wanted} messages in the server, found {found}"
