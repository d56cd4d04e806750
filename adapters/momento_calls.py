"""Room: the calls that the adapter makes on one cache, and the errors of ours that come of them.

Rules:
* All of them may be made twice: what is put, removed or fetched is named by its bytes, and a reservation that counts
  twice makes a segment smaller, no more.
* A cache that is missing is made, where that is wanted; another may be making it too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from momento import CacheClient
from momento.errors import SdkException
from momento.requests import CollectionTtl, SortOrder

from eventlog.adapters import momento_clients
from eventlog.adapters.momento_clients import Clients
from eventlog.adapters.momento_keys import COUNTER, Elements, Fetch, Reply
from eventlog.adapters.momento_words import is_full, is_missing, is_too_large, told
from eventlog.errors import BackendError, SessionUnavailable


class KeyFull(SessionUnavailable):
    """A key has no room for more."""


class Calls:
    """The calls on one cache."""

    def __init__(self, clients: Clients, cache_name: str, identity: str, *, create: bool) -> None:
        """Take the connections; nothing is asked."""
        self._cache, self._identity = cache_name, identity
        self.clients, self.create = clients, create

    def put(self, key: str, elements: Elements, ttl: timedelta) -> None:
        """Put elements into a sorted set and renew it."""
        self._ask(lambda client: client.sorted_set_put_elements(self._cache, key, elements, ttl=CollectionTtl.of(ttl)))

    def reserve(self, key: str, size_bytes: int, ttl: timedelta) -> float:
        """Reserve room in a segment and tell how much of it is taken."""
        response = self._ask(
            lambda client: client.sorted_set_increment_score(
                self._cache, key, COUNTER, float(size_bytes), ttl=CollectionTtl.of(ttl)
            )
        )
        return float(response.score)

    def remove(self, key: str, values: Sequence[bytes]) -> None:
        """Remove elements from a sorted set."""
        self._ask(lambda client: client.sorted_set_remove_elements(self._cache, key, list(values)))

    def fetch(self, fetch: Fetch) -> Reply | None:
        """Fetch elements; None where they are more than a reply can hold."""
        try:
            return _elements(self._ask(lambda client: self._fetch(client, fetch), momento_clients.READ_TIMEOUT_S))
        except SdkException:
            return None

    # the list of the class that users come from

    def list_length(self, key: str) -> int:
        """Count the elements of a list; what is no list has none."""
        return _length(self._ask(lambda client: client.list_length(self._cache, key), momento_clients.READ_TIMEOUT_S))

    def list_all(self, key: str) -> list[bytes]:
        """Give a whole list."""
        try:
            response = self._ask(lambda client: client.list_fetch(self._cache, key))
            return list(getattr(response, "value_list_bytes", []))
        except SdkException as error:
            raise self._told(error) from None

    def delete(self, key: str) -> None:
        """Remove a key."""
        self._ask(lambda client: client.delete(self._cache, key))

    def _fetch(self, client: Any, fetch: Fetch) -> Any:
        order = SortOrder.DESCENDING if fetch.descending else SortOrder.ASCENDING
        return client.sorted_set_fetch_by_score(
            self._cache, fetch.key, fetch.low, fetch.high, order, fetch.offset, fetch.number
        )

    def _ask(self, call: Callable[[CacheClient], Any], timeout_s: float | None = None) -> Any:
        timeout_s = timeout_s or momento_clients.WRITE_TIMEOUT_S
        try:
            return self.clients.ask(call, timeout_s)
        except SdkException as error:
            self._check(error)
        return self._once_made(call, timeout_s)

    def _check(self, error: SdkException) -> None:
        """Raise the error of ours; return where the cache is to be made, and pass on what a smaller fetch mends."""
        if is_too_large(error):
            raise error
        if not (self.create and is_missing(error)):
            raise self._told(error) from None

    def _once_made(self, call: Callable[[CacheClient], Any], timeout_s: float) -> Any:
        try:
            self.clients.ask(lambda client: client.create_cache(self._cache), timeout_s)
            return self.clients.ask(call, timeout_s)
        except SdkException as error:
            raise self._told(error) from None

    def _told(self, error: SdkException) -> BackendError:
        return KeyFull(str(told(self._identity, error))) if is_full(error) else told(self._identity, error)


def _length(response: Any) -> int:
    return int(getattr(response, "length", 0))


def _elements(response: Any) -> Reply:
    return getattr(response, "value_list_bytes", [])
