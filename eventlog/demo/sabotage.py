"""Room: damage that the demo does to its own server before the check: a check that cannot fail shows nothing."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import redis

from eventlog.events import ID_BYTES

Change = tuple[list[bytes], list[bytes]]
"""The records to take out, and those to put in."""


class Sabotage(StrEnum):
    """What to do."""

    LOST = "lost"
    DOUBLED = "doubled"
    SWAPPED = "swapped"


def spoil(url: str, how: Sabotage) -> None:
    """Spoil the first two records of the last session."""
    with redis.Redis.from_url(url) as client:
        key = max(client.scan_iter(match=b"eventlog:{*", count=1000))
        records: list[Any] = client.zrange(key, 0, 1)
        out, into = _WAYS[how](*records)
        if out:
            client.zrem(key, *out)
        if into:
            client.zadd(key, dict.fromkeys(into, 0))


def _lose(first: bytes, _second: bytes) -> Change:
    return [first], []


def _double(first: bytes, _second: bytes) -> Change:
    beside = first[: ID_BYTES - 1] + bytes([first[ID_BYTES - 1] ^ 1])
    return [], [beside + first[ID_BYTES:]]


def _swap(first: bytes, second: bytes) -> Change:
    swapped = [first[:ID_BYTES] + second[ID_BYTES:], second[:ID_BYTES] + first[ID_BYTES:]]
    return [first, second], swapped


_WAYS: dict[Sabotage, Callable[[bytes, bytes], Change]] = {
    Sabotage.LOST: _lose,
    Sabotage.DOUBLED: _double,
    Sabotage.SWAPPED: _swap,
}
