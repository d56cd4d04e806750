"""Room: the chat history classes that LangChain users have, on the event log.

Invariants:
* Making a history costs microseconds, whatever the server does: one log stands behind all of them (langchain_logs.py).
* What all of them do is in langchain_history.py; here is what each class takes, and where its log is.
* A class whose client is not installed is missed by who asks for it, and by nobody else.
"""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from eventlog.adapters import from_url
from eventlog.adapters.langchain_history import AT_ONCE, LogChatMessageHistory
from eventlog.adapters.langchain_logs import Journal, Stand, stand_of_client, stand_of_url
from eventlog.ports import Backend
from eventlog.settings import Expiry

if TYPE_CHECKING:
    from redis import Redis

    from eventlog.adapters.langchain_cassandra import CassandraChatMessageHistory, SetupMode
    from eventlog.adapters.langchain_momento import MomentoChatMessageHistory
    from eventlog.adapters.langchain_rockset import RocksetChatMessageHistory

__all__ = [
    "CassandraChatMessageHistory",
    "MomentoChatMessageHistory",
    "RedisChatMessageHistory",
    "RocksetChatMessageHistory",
    "SetupMode",
]

_ELSEWHERE = {
    "CassandraChatMessageHistory": "eventlog.adapters.langchain_cassandra",
    "SetupMode": "eventlog.adapters.langchain_cassandra",
    "MomentoChatMessageHistory": "eventlog.adapters.langchain_momento",
    "RocksetChatMessageHistory": "eventlog.adapters.langchain_rockset",
}


class RedisChatMessageHistory(LogChatMessageHistory):
    """A drop-in for langchain-community's class of this name.

    `ttl` is in seconds and sliding: the session goes as a whole, `ttl` after the last message. `client` is a
    `redis.Redis` to learn the address and credentials from instead of `url`; `ack` is when an add returns ("journal",
    "fsync", "backend"; else $EVENTLOG_ACK); `journal` names the directory of pending events (else $EVENTLOG_JOURNAL);
    `retain` is how long what a clear hid can be replayed; with `legacy=False` nothing is looked for that the class of
    langchain-community wrote.
    """

    _expiry: Expiry = "sliding"

    def __init__(  # noqa: PLR0913 (the signature that users have)
        self,
        session_id: str,
        url: str = "redis://localhost:6379/0",
        key_prefix: str = "message_store:",
        ttl: int | None = None,
        *,
        client: Redis | None = None,
        ack: str | None = None,
        journal: Journal = None,
        retain: timedelta | None = AT_ONCE,
        legacy: bool = True,
    ) -> None:
        """Find the log; no server is asked. `ConfigurationError` and `ValueError` as `eventlog.open` raises them."""
        self.session_id, self.key_prefix, self.ttl = session_id, key_prefix, ttl
        self._url, self._client, self._journal = url, client, journal
        stand = stand_of_url(url, journal, from_url) if client is None else _stand_of_client(client, journal)
        self._begin(stand, ack, retain, legacy=legacy)

    @property
    def key(self) -> str:
        """The name of the history in the log."""
        return self.key_prefix + self.session_id

    @property
    def _lifetime(self) -> int | None:
        return self.ttl or None

    @property
    def redis_client(self) -> Redis:
        """A client for what else is done with the server; setting one is as giving it as `client`."""
        if self._client is None:
            self._client = _plain_client(self._url)
        return self._client

    @redis_client.setter
    def redis_client(self, client: Redis) -> None:
        self._client = client
        self._stand = _stand_of_client(client, self._journal)


def _stand_of_client(client: Redis, journal: Journal) -> Stand:
    from eventlog.adapters.redis import RedisBackend

    def make(client: Redis) -> Backend:
        return RedisBackend(client)

    return stand_of_client(client, journal, make)


@lru_cache(maxsize=64)
def _plain_client(url: str) -> Redis:
    from redis import Redis

    client: Redis = Redis.from_url(url)
    return client


def __getattr__(name: str) -> Any:
    """Give a class that stands in a file of its own, with its client, when it is asked for."""
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE[name]), name)
