"""Room: reads of what the server holds; the journal has nothing pending."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter
from typing import Any

import eventlog
from bench.players import langchain_messages, make_ours, make_theirs, plain_messages
from bench.rounds import Orders, Sample, Task
from bench.work_add import wait_until_stored

LAST = 20
_SESSION = "chat-1"
_READS = 15
_LAST_READS = 200
_FLUSH_TIMEOUT_S = 120.0
_ADD_MANY = 1000


def chat_read(task: Task, _: Orders) -> Sample:
    """Time `chat.messages()`: plain dicts, the median of some reads."""
    messages = plain_messages(task.size)
    with eventlog.open(task.url, journal=f"{task.journal}/log") as log:
        chat = log.history(_SESSION)
        chat.add_many(messages)
        assert log.flush(timeout=_FLUSH_TIMEOUT_S)
        wait_until_stored(task.direct_url, task.size)
        assert (chat.messages().source, chat.messages().complete) == ("redis", True)
        return _timed(chat.messages, messages)


def drop_in_read(task: Task, _: Orders) -> Sample:
    """Time our drop-in's `messages`: LangChain messages, the median of some reads."""
    return _langchain_read(make_ours, task)


def their_read(task: Task, _: Orders) -> Sample:
    """Time their `messages`: LangChain messages, the median of some reads."""
    return _langchain_read(make_theirs, task)


def _langchain_read(make: Callable[..., Any], task: Task) -> Sample:
    messages = langchain_messages(task.size)
    history = make(task.url, _SESSION)
    for message in messages:
        history.add_message(message)
    wait_until_stored(task.direct_url, task.size)
    return _timed(lambda: history.messages, messages)


def _timed(read: Callable[[], Sequence[Any]], messages: Sequence[Any]) -> Sample:
    assert list(read()) == list(messages), "expected the messages as they were given"
    took_s = median(_seconds(read, len(messages)) for _ in range(_READS))
    return {"per_s": len(messages) / took_s, "ms": took_s * 1e3}


def _seconds(read: Callable[[], Sequence[Any]], wanted: int) -> float:
    began = perf_counter()
    found = read()
    took_s = perf_counter() - began
    assert len(found) == wanted
    return took_s


def last_few(task: Task, _: Orders) -> Sample:
    """Time `messages(last=20)` in a session of `count` and in one of 100, in turns."""
    with eventlog.open(task.url, journal=f"{task.journal}/log") as log:
        large = _filled(log, "large", task.size)
        small = _filled(log, "small", 100)
        wait_until_stored(task.direct_url, task.size + 100)
        pairs = [(_last_seconds(large), _last_seconds(small)) for _ in range(_LAST_READS)]
    large_ms, small_ms = (median(times) * 1e3 for times in zip(*pairs, strict=True))
    return {"large_ms": large_ms, "small_ms": small_ms}


def _filled(log: eventlog.EventLog, session: str, count: int) -> eventlog.ChatHistory:
    chat = log.history(session)
    messages = plain_messages(count)
    for first in range(0, count, _ADD_MANY):
        chat.add_many(messages[first : first + _ADD_MANY])
    assert log.flush(timeout=_FLUSH_TIMEOUT_S)
    assert chat.messages(last=LAST) == messages[-LAST:]
    return chat


def _last_seconds(chat: eventlog.ChatHistory) -> float:
    return _seconds(lambda: chat.messages(last=LAST), LAST)
