"""Room: many sessions, from the first add until all is in the server."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import eventlog
from bench.players import (
    WARM_ADDS,
    langchain_messages,
    make_theirs,
    newest,
    plain_messages,
    referee,
    texts,
    warm_up,
)
from bench.rounds import Orders, Sample, Task
from bench.work_add import wait_until_stored

SESSIONS = 1000
_FLUSH_TIMEOUT_S = 120.0


def our_drain(task: Task, _: Orders) -> Sample:
    """Time `chat.add` over all sessions in turn and the `flush` after it."""
    names = _names()
    messages = plain_messages(task.size)
    with eventlog.open(task.url, journal=f"{task.journal}/log", ack="journal") as log:
        warm_up(log.history("warm").add, messages)
        assert log.flush(timeout=_FLUSH_TIMEOUT_S)
        chats = [log.history(name) for name in names]
        began = perf_counter()
        for number, message in enumerate(messages):
            chats[number % SESSIONS].add(message)
        added_s = perf_counter() - began
        assert log.flush(timeout=_FLUSH_TIMEOUT_S)
        took_s = perf_counter() - began
    _prove(task, names)
    return {"per_s": task.size / took_s, "s": took_s, "added_s": added_s}


def their_drain(task: Task, _: Orders) -> Sample:
    """Time their `add_message` over all sessions in turn; one instance, so one connection, serves all."""
    names = _names()
    messages = langchain_messages(task.size)
    history = make_theirs(task.url, "warm")
    warm_up(history.add_message, messages)
    began = perf_counter()
    for number, message in enumerate(messages):
        history.session_id = names[number % SESSIONS]
        history.add_message(message)
    took_s = perf_counter() - began
    _prove(task, names)
    return {"per_s": task.size / took_s, "s": took_s}


def _names() -> list[str]:
    return [f"chat-{number:04}" for number in range(SESSIONS)]


def _prove(task: Task, names: Sequence[str]) -> None:
    """See that all is in the server, and that a session ends with its last message."""
    wait_until_stored(task.direct_url, WARM_ADDS + task.size)
    last = texts()[(task.size - 1) % len(texts())]
    with referee(task.direct_url) as client:
        assert last.encode() in newest(client, names[(task.size - 1) % SESSIONS])
