"""Room: what one round does beside langchain-community's CassandraChatMessageHistory, and the proof of it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median
from time import monotonic, perf_counter, sleep
from typing import Any
from urllib.parse import urlsplit

from langchain_community.chat_message_histories import CassandraChatMessageHistory as TheirHistory

import eventlog
from bench.cassandra_arena import KEYSPACE, OUR_TABLE, THEIR_TABLE
from bench.players import WARM_ADDS, langchain_messages, plain_messages, warm_up
from bench.rounds import Orders, Sample, Task
from eventlog.adapters.langchain import CassandraChatMessageHistory as OurHistory
from tests.servers.cassandra_client import cluster_at

PAUSE_MS_MAX = 20.0
LAST = 20
SESSIONS_OF_EIGHT = 500
"""A batch of 4,096 events has eight of each."""
_SESSION, _WARM = "chat-1", "warm"
_READS, _LAST_READS, _CLEARS = 15, 200, 10_000
_WAIT_S = 120.0
_MEMORY_STEP, _LAG_MAX = 100_000, 50_000


@contextmanager
def _driver(task: Task) -> Iterator[Any]:
    """Give a session of the driver, made as its documentation says."""
    with cluster_at(urlsplit(task.url).hostname or "") as cluster:
        yield cluster.connect()


def ours(session: Any, name: str) -> OurHistory:
    """Give our drop-in as its users make it."""
    return OurHistory(name, session, KEYSPACE)


def theirs(session: Any, name: str) -> Any:
    """Give the class that it replaces."""
    return TheirHistory(name, session, KEYSPACE)


# adds


def drop_in_add(task: Task, _: Orders) -> Sample:
    """Time our drop-in's `add_message`, one instance; delivery in the same process."""
    with _driver(task) as session:
        warm_up(ours(session, _WARM).add_message, langchain_messages(task.size))
        return _timed_adds(ours(session, _SESSION), session, OUR_TABLE, task)


def drop_in_add_sidecar(task: Task, _: Orders) -> Sample:
    """Time the same while a sidecar delivers."""
    with _driver(task) as session, _sidecar(task):
        history = ours(session, _SESSION)
        warm_up(ours(session, _WARM).add_message, langchain_messages(task.size))
        _wait(lambda: not history.log._live().serving, "a sidecar")  # noqa: SLF001 (who delivers is nobody's business)
        return _timed_adds(history, session, OUR_TABLE, task)


@contextmanager
def _sidecar(task: Task) -> Iterator[None]:
    words = [sys.executable, "-m", "eventlog", "drain", "--follow", "--url", f"{task.url}?table={OUR_TABLE}"]
    with Path(os.devnull).open("w") as nowhere, subprocess.Popen(words, stdout=nowhere, stderr=nowhere) as sidecar:  # noqa: S603
        yield
        sidecar.terminate()


def their_add(task: Task, _: Orders) -> Sample:
    """Time their `add_message`, one instance."""
    with _driver(task) as session:
        warm_up(theirs(session, _WARM).add_message, langchain_messages(task.size))
        return _timed_adds(theirs(session, _SESSION), session, THEIR_TABLE, task)


def _timed_adds(history: Any, session: Any, table: str, task: Task) -> Sample:
    messages = langchain_messages(task.size)
    began = perf_counter()
    for message in messages:
        history.add_message(message)
    took_s = perf_counter() - began
    _prove(session, table, {_SESSION: task.size, _WARM: WARM_ADDS})
    return {"per_s": task.size / took_s, "us": took_s / task.size * 1e6}


# until all is in Cassandra


def drain_ones(task: Task, _: Orders) -> Sample:
    """Time adds to a session each, and the flush: a batch has one event of a session."""
    return _our_drain(task, task.size)


def drain_eights(task: Task, _: Orders) -> Sample:
    """Time adds to some sessions in turn, and the flush: a batch has eight events of a session."""
    return _our_drain(task, SESSIONS_OF_EIGHT)


def _our_drain(task: Task, sessions: int) -> Sample:
    messages = plain_messages(task.size)
    with _driver(task) as session, eventlog.open(_url(task), journal=f"{task.journal}/log") as log:
        warm_up(log.history(_WARM).add, messages)
        assert log.flush(_WAIT_S)
        chats = [log.history(f"chat-{number}") for number in range(sessions)]
        began = perf_counter()
        for number, message in enumerate(messages):
            chats[number % sessions].add(message)
        assert log.flush(_WAIT_S)
        took_s = perf_counter() - began
        _prove(session, OUR_TABLE, {f"chat-{number}": task.size // sessions for number in range(0, sessions, 97)})
        assert log.status().backends["cassandra"].delivered == task.size + WARM_ADDS
    return {"per_s": task.size / took_s, "s": took_s}


def their_drain(task: Task, _: Orders) -> Sample:
    """Time their `add_message` over some sessions in turn; one instance, so one prepared statement, serves all."""
    messages = langchain_messages(task.size)
    with _driver(task) as session:
        history = theirs(session, _WARM)
        warm_up(history.add_message, messages)
        began = perf_counter()
        for number, message in enumerate(messages):
            history.session_id = f"chat-{number % SESSIONS_OF_EIGHT}"
            history.add_message(message)
        took_s = perf_counter() - began
        _prove(session, THEIR_TABLE, {"chat-0": task.size // SESSIONS_OF_EIGHT})
    return {"per_s": task.size / took_s, "s": took_s}


# reads


def chat_read(task: Task, _: Orders) -> Sample:
    """Time `chat.messages()`: plain dicts, the median of some reads."""
    messages = plain_messages(task.size)
    with eventlog.open(_url(task), journal=f"{task.journal}/log") as log:
        chat = _filled(log, _SESSION, messages)
        assert chat.messages().complete
        return _timed_reads(chat.messages, messages)


def drop_in_read(task: Task, _: Orders) -> Sample:
    """Time our drop-in's `messages`: LangChain messages, the median of some reads."""
    with _driver(task) as session:
        history = ours(session, _SESSION)
        return _read_back(history, session, OUR_TABLE, task)


def their_read(task: Task, _: Orders) -> Sample:
    """Time their `messages`: LangChain messages, the median of some reads."""
    with _driver(task) as session:
        return _read_back(theirs(session, _SESSION), session, THEIR_TABLE, task)


def _read_back(history: Any, session: Any, table: str, task: Task) -> Sample:
    messages = langchain_messages(task.size)
    for message in messages:
        history.add_message(message)
    _prove(session, table, {_SESSION: task.size})
    return _timed_reads(lambda: history.messages, messages)


def _timed_reads(read: Callable[[], Sequence[Any]], messages: Sequence[Any]) -> Sample:
    assert list(read()) == list(messages), "expected the messages as they were given"
    took_s = median(_seconds(read) for _ in range(_READS))
    return {"per_s": len(messages) / took_s, "ms": took_s * 1e3}


def paused(task: Task, _: Orders) -> Sample:
    """Find the longest time that an event loop stands still while `amessages` reads a large session."""
    messages = plain_messages(task.size)
    with eventlog.open(_url(task), journal=f"{task.journal}/log") as log:
        chat = _filled(log, _SESSION, messages)
        assert chat.messages(last=LAST) == messages[-LAST:]
        pauses = [asyncio.run(_longest_pause_s(chat.amessages(), messages)) * 1e3 for _ in range(5)]
    return {"pause_ms": median(pauses), "bound_ms": PAUSE_MS_MAX, "worst_ms": max(pauses)}


async def _longest_pause_s(read: Awaitable[Sequence[Any]], messages: Sequence[Any]) -> float:
    pauses = [0.0]
    reading = asyncio.ensure_future(read)
    while not reading.done():
        began = perf_counter()
        await asyncio.sleep(0)
        pauses.append(perf_counter() - began)
    assert await reading == messages
    return max(pauses)


def last_of_cleared(task: Task, _: Orders) -> Sample:
    """Time `messages(last=20)` in a session that was cleared 10,000 times and in a new one, in turns."""
    few = plain_messages(100)
    with eventlog.open(_url(task), journal=f"{task.journal}/log", retain=timedelta(days=30)) as log:
        chat = log.history("cleared")
        for number in range(_CLEARS):
            chat.add(few[number % len(few)])
            chat.clear()
        cleared, new = _filled(log, "cleared", few), _filled(log, "new", few)
        assert cleared.messages() == new.messages() == few
        pairs = [(_last_s(cleared), _last_s(new)) for _ in range(_LAST_READS)]
    cleared_ms, new_ms = (median(times) * 1e3 for times in zip(*pairs, strict=True))
    return {"cleared_ms": cleared_ms, "new_ms": new_ms}


def _last_s(chat: eventlog.ChatHistory) -> float:
    return _seconds(lambda: chat.messages(last=LAST))


# memory


def memory(task: Task, _: Orders) -> Sample:
    """Find how this process grows while it delivers at full speed: early and at the end."""
    messages = plain_messages(1000)
    with eventlog.open(_url(task), journal=f"{task.journal}/log") as log:
        chats = [log.history(f"chat-{number}") for number in range(SESSIONS_OF_EIGHT)]
        sizes = []
        for number in range(task.size):
            chats[number % SESSIONS_OF_EIGHT].add(messages[number % 1000])
            if number % 1000 == 0:
                _wait(lambda: log.status().backends["cassandra"].lag_events < _LAG_MAX, "deliveries")
            if (number + 1) % _MEMORY_STEP == 0:
                sizes.append(_resident_mb())
        assert log.flush(_WAIT_S)
        assert log.status().backends["cassandra"].delivered == task.size
    return {"early_MB": sizes[1], "end_MB": sizes[-1]}


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


# what they share


def _url(task: Task) -> str:
    return f"{task.url}?table={OUR_TABLE}"


def _filled(log: eventlog.EventLog, session: str, messages: Sequence[Any]) -> eventlog.ChatHistory:
    chat = log.history(session)
    for first in range(0, len(messages), 1000):
        chat.add_many(messages[first : first + 1000])
    assert log.flush(_WAIT_S)
    return chat


def _seconds(do: Callable[[], object]) -> float:
    began = perf_counter()
    do()
    return perf_counter() - began


def _prove(session: Any, table: str, wanted: dict[str, int]) -> None:
    """Wait until the table has that many rows of each session, and see that it has no more."""
    key = "session_id" if table == OUR_TABLE else "partition_id"
    asked = session.prepare(f"SELECT count(*) FROM {KEYSPACE}.{table} WHERE {key} = ?")  # noqa: S608

    def found(name: str) -> int:
        return int(session.execute(asked, (name,)).one()[0])

    for name, count in wanted.items():
        _wait(partial(_reaches, found, name, count), f"{count} rows of {name}")
        assert found(name) == count, f"expected {count} rows of {name}, found {found(name)}"


def _reaches(found: Callable[[str], int], name: str, count: int) -> bool:
    return found(name) >= count


def _wait(holds: Callable[[], bool], what: str) -> None:
    deadline = monotonic() + _WAIT_S
    while not holds():
        assert monotonic() < deadline, f"expected {what} within {_WAIT_S} s, found none"
        sleep(0.05)
