"""Room: the drop-in for LangChain's history on Momento.

Invariants:
* What the class of this name refused is refused as it was: a client of another kind, a key that is missing.
* As there, a history without a `ttl` lives as long as its client's default; all of it goes together, that long after
  the last message. As there, it may go before: Momento is a cache (momento.py).
* A key that is given wins over the environment.
"""

from __future__ import annotations

import os
from datetime import timedelta
from functools import lru_cache
from typing import Any, Self

from eventlog.adapters import missing
from eventlog.adapters.langchain_history import AT_ONCE, LogChatMessageHistory
from eventlog.adapters.langchain_logs import Journal, stand_of_client
from eventlog.ports import Backend
from eventlog.settings import Expiry

try:
    from momento import CacheClient, Configurations, CredentialProvider
    from momento.config import Configuration
    from momento.errors import InvalidArgumentException
    from momento.requests import CollectionTtl
except ImportError as error:
    raise missing("momento", "momento") from error

from eventlog.adapters.momento import MomentoBackend
from eventlog.adapters.momento_places import default_ttl_of
from eventlog.adapters.momento_urls import ENDPOINT_VARIABLE, KEY_VARIABLE, credentials_for

_OLD_KEY_VARIABLE = "MOMENTO_AUTH_TOKEN"


class MomentoChatMessageHistory(LogChatMessageHistory):
    """A drop-in for langchain-community's class of this name.

    `ack` is when an add returns ("journal", "fsync", "backend"; else $EVENTLOG_ACK); `journal` names the directory of
    pending events (else $EVENTLOG_JOURNAL); `retain` is how long what a clear hid can be replayed; with
    `legacy=False` nothing is looked for that the class of langchain-community wrote.
    """

    _expiry: Expiry = "sliding"

    def __init__(  # noqa: PLR0913 (the signature that users have)
        self,
        session_id: str,
        cache_client: CacheClient,
        cache_name: str,
        *,
        key_prefix: str = "message_store:",
        ttl: timedelta | None = None,
        ensure_cache_exists: bool = True,
        ack: str | None = None,
        journal: Journal = None,
        retain: timedelta | None = AT_ONCE,
        legacy: bool = True,
    ) -> None:
        """Find the log; no server is asked, and a missing cache is made at the first delivery or read."""
        if not isinstance(cache_client, CacheClient):
            raise TypeError("cache_client must be a momento.CacheClient object.")
        self.session_id, self.key_prefix = session_id, key_prefix
        self.cache_client, self.cache_name = cache_client, cache_name
        self.ttl = CollectionTtl.from_cache_ttl() if ttl is None else CollectionTtl.of(ttl)
        self._name: str | None = None

        def make(client: CacheClient) -> Backend:
            return MomentoBackend(client, cache_name, create=ensure_cache_exists)

        stand = stand_of_client(cache_client, journal, make, (cache_name, ensure_cache_exists))
        self._begin(stand, ack, retain, legacy=legacy)

    @classmethod
    def from_client_params(  # noqa: PLR0913 (the signature that users have)
        cls,
        session_id: str,
        cache_name: str,
        ttl: timedelta,
        *,
        configuration: Configuration | None = None,
        api_key: str | None = None,
        auth_token: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Make the client too, from a key or else from $MOMENTO_AUTH_TOKEN or $MOMENTO_API_KEY."""
        key = auth_token or api_key or os.environ.get(_OLD_KEY_VARIABLE) or os.environ.get(KEY_VARIABLE)
        if not key:
            raise ValueError(f"expected api_key, or a key in ${KEY_VARIABLE}, found none")
        endpoint = os.environ.get(ENDPOINT_VARIABLE)
        if configuration is None:
            client = _client(key, endpoint, ttl)
        else:
            client = CacheClient(configuration, _credentials(key, endpoint), default_ttl=ttl)
        return cls(session_id, client, cache_name, ttl=ttl, **kwargs)

    @property
    def key(self) -> str:
        """The name of the history in the log; setting it is as setting prefix and session."""
        return self.key_prefix + self.session_id if self._name is None else self._name

    @key.setter
    def key(self, name: str) -> None:
        self._name = name

    @property
    def _lifetime(self) -> timedelta | None:
        return default_ttl_of(self.cache_client) if self.ttl.ttl is None else self.ttl.ttl


@lru_cache(maxsize=64)
def _client(key: str, endpoint: str | None, ttl: timedelta) -> CacheClient:
    return CacheClient(Configurations.Laptop.v1(), _credentials(key, endpoint), default_ttl=ttl)


def _credentials(key: str, endpoint: str | None) -> CredentialProvider:
    """Read a key of any kind; one that is none of them is refused as the SDK does."""
    if endpoint and ":" in endpoint:
        return credentials_for(endpoint, key)
    try:
        return CredentialProvider.from_disposable_token(key)
    except InvalidArgumentException:
        if not endpoint:
            raise
        return CredentialProvider.from_api_key_v2(key, endpoint)
