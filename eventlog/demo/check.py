"""Room: the demo's check. What the writers were told is kept, against what the server really holds.

It asks the server itself, with a client of its own, and shares nothing with the way messages are read but the codec.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from eventlog.adapters import missing
from eventlog.codec import decode
from eventlog.demo.writer import Task
from eventlog.events import ID_BYTES, MessageAdded

try:
    import redis
except ImportError as error:
    raise missing("demo", "redis") from error

_KEYS = b"eventlog:{*"


class Stored(NamedTuple):
    """One message in the server; sorts by session, then as the server orders events."""

    session: str
    event_id: bytes
    writer: str
    number: int


class Verdict(NamedTuple):
    """How the two compare."""

    acknowledged: int
    stored: int
    lost: int
    doubled: int
    out_of_order: int

    @property
    def passed(self) -> bool:
        """Tell whether nothing is wrong, of something."""
        return bool(self.acknowledged) and not (self.lost or self.doubled or self.out_of_order)


def check(url: str, tasks: list[Task]) -> Verdict:
    """Compare every acknowledged message with the server's own data."""
    acknowledged = {stored for task in tasks for stored in _acknowledged(task)}
    held = sorted(_held(url))
    names = Counter((stored.writer, stored.number) for stored in held)
    return Verdict(
        acknowledged=len(acknowledged),
        stored=len(held),
        lost=len(acknowledged.difference(held)),
        doubled=names.total() - len(names),
        out_of_order=_out_of_order(held),
    )


def _acknowledged(task: Task) -> Iterator[Stored]:
    for line in Path(task.acks).read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            event_id, number, session = line.split()
            yield Stored(session, bytes.fromhex(event_id), task.name, int(number))


def _held(url: str) -> Iterator[Stored]:
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter(match=_KEYS, count=1000):
            session = key.partition(b"{")[2].rpartition(b"}")[0].decode()
            records: list[Any] = client.zrange(key, 0, -1)
            for record in records:
                yield _stored(session, record)


def _stored(session: str, record: bytes) -> Stored:
    event = decode(record)
    if not isinstance(event, MessageAdded):
        raise TypeError(f"expected only messages in the demo's sessions, found {type(event).__name__}")
    return Stored(session, record[:ID_BYTES], event.message["writer"], event.message["number"])


def _out_of_order(held: list[Stored]) -> int:
    """Count messages that come after a later one of their writer, within their session."""
    last: dict[tuple[str, str], int] = {}
    count = 0
    for stored in held:
        key = (stored.session, stored.writer)
        count += stored.number < last.get(key, -1)
        last[key] = stored.number
    return count
