"""Room: what a Momento cache holds and refuses, without a network: keys, lists, sorted sets, TTLs, limits.

Invariants:
* A collection is one item: its TTL takes all of it. A write with `refresh` sets the TTL anew, to less as well; without,
  the TTL of the first write stays.
* Elements of a sorted set are ordered by score, then by value; descending is the same order backwards.
* An item that is empty is none. What would exceed a limit is refused as a whole, and changes nothing.
* Time is a number that tests move.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

ELEMENT_BYTES_MAX = 128 << 10
ITEM_BYTES_MAX = 5_000_000
REQUEST_BYTES_MAX = 5_000_000
TTL_MAX_MS = 24 * 3600 * 1000
SCORE_BYTES = 8


class Refused(Exception):
    """The service's word for what it does not do: a gRPC status, a cause, and a sentence."""

    def __init__(self, status: str, cause: str, details: str) -> None:
        """Keep the three."""
        super().__init__(f"{status}: {details}")
        self.status, self.cause, self.details = status, cause, details


class Limits(NamedTuple):
    """What an account may do."""

    element_bytes: int = ELEMENT_BYTES_MAX
    item_bytes: int = ITEM_BYTES_MAX
    request_bytes: int = REQUEST_BYTES_MAX
    ttl_ms: int = TTL_MAX_MS


class SortedSet:
    """Values with scores."""

    def __init__(self) -> None:
        """Begin empty."""
        self._scores: dict[bytes, float] = {}
        self._order: list[tuple[float, bytes]] = []
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._scores)

    def score(self, value: bytes) -> float | None:
        """Give the score of a value."""
        return self._scores.get(value)

    def grown_bytes(self, elements: Mapping[bytes, float]) -> int:
        """Give the size that it had with these elements too."""
        return self.size_bytes + sum(len(value) + SCORE_BYTES for value in elements if value not in self._scores)

    def put(self, value: bytes, score: float) -> None:
        """Add a value or change its score."""
        self.remove(value)
        self._scores[value] = score
        insort(self._order, (score, value))
        self.size_bytes += len(value) + SCORE_BYTES

    def remove(self, value: bytes) -> None:
        """Remove a value, if it is there."""
        score = self._scores.pop(value, None)
        if score is not None:
            del self._order[bisect_left(self._order, (score, value))]
            self.size_bytes -= len(value) + SCORE_BYTES

    def by_score(
        self, low: float | None, high: float | None, offset: int, count: int, *, descending: bool
    ) -> list[tuple[float, bytes]]:
        """Give what lies between two scores, both included."""
        begin = 0 if low is None else bisect_left(self._order, (low, b""))
        end = len(self._order) if high is None else bisect_right(self._order, high, key=lambda entry: entry[0])
        chosen = self._order[begin:end]
        return _cut(chosen[::-1] if descending else chosen, offset, count)

    def by_rank(self, begin: int | None, end: int | None, *, descending: bool) -> list[tuple[float, bytes]]:
        """Give what lies between two ranks; negative ones count from the end."""
        return (self._order[::-1] if descending else self._order)[begin:end]


def _cut(entries: list[tuple[float, bytes]], offset: int, count: int) -> list[tuple[float, bytes]]:
    return entries[offset:] if count < 0 else entries[offset : offset + count]


class ValueList(list[bytes]):
    """Values in the order in which they came."""

    @property
    def size_bytes(self) -> int:
        """The bytes of all values."""
        return sum(map(len, self))


Collection = SortedSet | ValueList


class _Item(NamedTuple):
    collection: Collection
    expires_ms: int


class Cache:
    """The items of one cache."""

    def __init__(self, now_ms: Callable[[], int], limits: Limits) -> None:
        """Begin empty."""
        self._now_ms, self._limits = now_ms, limits
        self._items: dict[bytes, _Item] = {}

    def names(self) -> list[bytes]:
        """Name what is there; the service itself cannot."""
        return [key for key in list(self._items) if self._live(key)]

    def ttl_ms(self, key: bytes) -> int:
        """Tell how long an item has still to live."""
        return self._items[key].expires_ms - self._now_ms()

    def _live(self, key: bytes) -> Collection | None:
        item = self._items.get(key)
        if item is None or item.expires_ms <= self._now_ms() or not item.collection:
            self._items.pop(key, None)
            return None
        return item.collection

    def sorted_set(self, key: bytes) -> SortedSet | None:
        """Give a sorted set, if there is one."""
        found = self._live(key)
        if found is not None and not isinstance(found, SortedSet):
            raise Refused("FAILED_PRECONDITION", "", "the key holds a value of another type")
        return found

    def value_list(self, key: bytes) -> ValueList | None:
        """Give a list, if there is one."""
        found = self._live(key)
        if found is not None and not isinstance(found, ValueList):
            raise Refused("FAILED_PRECONDITION", "", "the key holds a value of another type")
        return found

    def put(self, key: bytes, elements: Mapping[bytes, float], ttl_ms: int, *, refresh: bool) -> None:
        """Put elements into a sorted set."""
        self._check(elements, ttl_ms)
        held = self.sorted_set(key) or SortedSet()
        self._check_item(held.grown_bytes(elements))
        for value, score in elements.items():
            held.put(value, score)
        self._keep(key, held, ttl_ms, refresh=refresh)

    def increment(self, key: bytes, value: bytes, amount: float, ttl_ms: int, *, refresh: bool) -> float:
        """Add to a score and give the sum."""
        held = self.sorted_set(key)
        score = ((held.score(value) if held is not None else None) or 0.0) + amount
        self.put(key, {value: score}, ttl_ms, refresh=refresh)
        return score

    def push_back(self, key: bytes, values: Sequence[bytes], ttl_ms: int, *, refresh: bool, keep: int) -> int:
        """Append to a list; give its length."""
        self._check(values, ttl_ms)
        held = self.value_list(key) or ValueList()
        self._check_item(held.size_bytes + sum(map(len, values)))
        held += values
        if keep:
            del held[:-keep]
        self._keep(key, held, ttl_ms, refresh=refresh)
        return len(held)

    def remove(self, key: bytes, values: Iterable[bytes]) -> None:
        """Remove elements of a sorted set."""
        held = self.sorted_set(key)
        if held is not None:
            for value in values:
                held.remove(value)

    def delete(self, key: bytes) -> None:
        """Remove an item."""
        self._items.pop(key, None)

    def clear(self) -> None:
        """Remove all items."""
        self._items.clear()

    def _keep(self, key: bytes, held: Collection, ttl_ms: int, *, refresh: bool) -> None:
        known = self._items.get(key)
        fresh = refresh or known is None
        self._items[key] = _Item(held, self._now_ms() + ttl_ms if fresh or known is None else known.expires_ms)

    def _check(self, values: Iterable[bytes], ttl_ms: int) -> None:
        sizes = [len(value) for value in values]
        if not 0 < ttl_ms <= self._limits.ttl_ms:
            raise Refused("INVALID_ARGUMENT", "", f"ttl_milliseconds must be within 1 and {self._limits.ttl_ms}")
        if max(sizes, default=0) > self._limits.element_bytes:
            raise Refused("RESOURCE_EXHAUSTED", "element_size_limit_exceeded", "Element size limit exceeded")
        if sum(sizes) > self._limits.request_bytes:
            raise Refused("RESOURCE_EXHAUSTED", "request_size_limit_exceeded", "Request limit exceeded")

    def _check_item(self, size_bytes: int) -> None:
        if size_bytes > self._limits.item_bytes:
            raise Refused("RESOURCE_EXHAUSTED", "item_size_limit_exceeded", "Item size limit exceeded")
