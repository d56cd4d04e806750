"""Room: the drop-ins for Momento and Rockset beside the classes that they replace, on servers of ours.

A task's URL is ours; theirs is reached by the same address. What is timed is what the Redis rounds time (work_add,
work_drain, work_read).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import lru_cache
from statistics import median
from time import perf_counter
from typing import Any
from urllib.parse import parse_qs, urlsplit

from momento import CacheClient, Configurations, CredentialProvider
from rockset import RocksetClient

from bench.players import langchain_messages, warm_up
from bench.rounds import Orders, Sample, Task
from eventlog.adapters import from_url
from eventlog.adapters.langchain import MomentoChatMessageHistory, RocksetChatMessageHistory
from eventlog.codec import decode
from eventlog.events import MessageAdded

with warnings.catch_warnings(action="ignore"):
    from langchain_community.chat_message_histories import MomentoChatMessageHistory as TheirMomento
    from langchain_community.chat_message_histories import RocksetChatMessageHistory as TheirRockset

PLACE = "bench"
SESSIONS = 200
_READS = 7
_FLUSH_TIMEOUT_S = 120.0

Make = Callable[[str, str], Any]


@lru_cache
def _momento_client(url: str) -> CacheClient:
    [endpoint] = parse_qs(urlsplit(url).query)["endpoint"]
    host, _, port = endpoint.partition(":")
    return CacheClient(
        Configurations.Laptop.v1(), CredentialProvider("", host, host, host, int(port)), timedelta(hours=20)
    )


@lru_cache
def _rockset_client(url: str) -> RocksetClient:
    client = RocksetClient(api_key=os.environ["ROCKSET_API_KEY"])
    client.api_client.configuration.host = f"http://{urlsplit(url).netloc}"
    return client


def our_momento(url: str, session: str) -> Any:
    """Give our drop-in."""
    return MomentoChatMessageHistory(session, _momento_client(url), PLACE)


def their_momento(url: str, session: str) -> Any:
    """Give the class that it replaces."""
    return TheirMomento(session, _momento_client(url), PLACE, ensure_cache_exists=False)


def our_rockset(url: str, session: str) -> Any:
    """Give our drop-in."""
    return RocksetChatMessageHistory(session, _rockset_client(url), PLACE)


def their_rockset(url: str, session: str) -> Any:
    """Give the class that it replaces."""
    return TheirRockset(session, _rockset_client(url), PLACE)


def _stored(url: str, session: str) -> list[Any]:
    """Give the texts that the server holds of a session of ours."""
    backend = from_url(url)
    events = [decode(record) for record in backend.read(session, limit=1 << 20)]
    backend.close()
    return [event.message["content"] for event in events if isinstance(event, MessageAdded)]


class Rounds:
    """The rounds of one vendor, each for ours and for theirs."""

    def __init__(self, ours: Make, theirs: Make, prefix: str) -> None:
        """Take both makers; `prefix` begins the names of our sessions."""
        self._ours, self._theirs, self._prefix = ours, theirs, prefix

    def our_add(self, task: Task, _: Orders) -> Sample:
        """Time `add_message`, one instance; then all is in the server."""
        messages = langchain_messages(task.size)
        history = self._warm(self._ours, task)
        sample = _timed(history.add_message, messages)
        assert history.log.flush(_FLUSH_TIMEOUT_S)
        assert _stored(task.url, f"{self._prefix}chat") == [message.content for message in messages]
        return sample

    def their_add(self, task: Task, _: Orders) -> Sample:
        """Time theirs."""
        messages = langchain_messages(task.size)
        history = self._warm(self._theirs, task)
        sample = _timed(history.add_message, messages)
        assert history.messages == messages
        return sample

    def _warm(self, make: Make, task: Task) -> Any:
        warm_up(make(task.url, "warm").add_message, langchain_messages(10))
        return make(task.url, "chat")

    def our_drain(self, task: Task, _: Orders) -> Sample:
        """Time `add_message` over all sessions in turn and the `flush` after it."""
        histories, messages = self._many(self._ours, task)
        assert histories[0].log.flush(_FLUSH_TIMEOUT_S)
        began = perf_counter()
        _add_in_turn(histories, messages)
        assert histories[0].log.flush(_FLUSH_TIMEOUT_S)
        took_s = perf_counter() - began
        for number in (0, SESSIONS - 1):
            stored = _stored(task.url, f"{self._prefix}chat-{number}")
            assert stored == [message.content for message in messages[number::SESSIONS]]
        return {"per_s": task.size / took_s, "s": took_s}

    def their_drain(self, task: Task, _: Orders) -> Sample:
        """Time their `add_message` over all sessions in turn."""
        histories, messages = self._many(self._theirs, task)
        began = perf_counter()
        _add_in_turn(histories, messages)
        took_s = perf_counter() - began
        assert histories[0].messages == messages[0::SESSIONS]
        return {"per_s": task.size / took_s, "s": took_s}

    def _many(self, make: Make, task: Task) -> tuple[list[Any], list[Any]]:
        self._warm(make, task)
        return [make(task.url, f"chat-{number}") for number in range(SESSIONS)], langchain_messages(task.size)

    def our_read(self, task: Task, _: Orders) -> Sample:
        """Time `messages`, nothing pending: the median of some reads."""
        history = self._ours(task.url, "chat")
        history.add_messages(langchain_messages(task.size))
        assert history.log.flush(_FLUSH_TIMEOUT_S)
        assert history.messages.complete
        return _read(history, task)

    def their_read(self, task: Task, _: Orders) -> Sample:
        """Time theirs."""
        history = self._theirs(task.url, "chat")
        history.add_messages(langchain_messages(task.size))
        return _read(history, task)


def _timed(add: Callable[[Any], object], messages: Sequence[Any]) -> Sample:
    began = perf_counter()
    for message in messages:
        add(message)
    took_s = perf_counter() - began
    return {"per_s": len(messages) / took_s, "us": took_s / len(messages) * 1e6}


def _add_in_turn(histories: Sequence[Any], messages: Sequence[Any]) -> None:
    for number, message in enumerate(messages):
        histories[number % SESSIONS].add_message(message)


def _read(history: Any, task: Task) -> Sample:
    messages = langchain_messages(task.size)
    took_s = []
    for _ in range(_READS):
        began = perf_counter()
        found = history.messages
        took_s.append(perf_counter() - began)
        assert found == messages
    return {"per_s": task.size / median(took_s), "ms": median(took_s) * 1e3}


MOMENTO = Rounds(our_momento, their_momento, "message_store:")
ROCKSET = Rounds(our_rockset, their_rockset, "")
