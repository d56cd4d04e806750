"""What the stores hold against what was acknowledged. The stores are read raw: none of our read path is in between.

The promises, each of which names a heading of the verdict when it is broken:
* lost: each acknowledged event is in the store, under the id that its writer was told, in its session.
* doubled: no message is there under two ids, no id twice.
* changed: what is there is what was added, to the letter.
* disordered: an author's numbers rise with the ids in each session; whoever was born after another's death, even with
  a clock that is behind, comes after him.
* made up: what is there and was not acknowledged is an author's one call that a kill cut short; what was refused is
  not there.
* torn: the messages of one call are there together or not at all.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import redis

from tests.crash.tasks import Message, message

ID_BYTES, HEAD_BYTES = 16, 18
REFUSED, UNKNOWN = "refused", "unknown"
"""What an author notes in the place of an id: the add raised, or was interrupted so that nobody knows."""


class Ack(NamedTuple):
    """A line of a writer's file: what came of one message."""

    told: str
    """The event's id, in hex, or one of the two words above."""
    session: str
    author: str
    number: int

    @property
    def kept(self) -> bool:
        """Tell whether it was acknowledged."""
        return self.told not in {REFUSED, UNKNOWN}

    @property
    def event_id(self) -> bytes:
        """The id that was acknowledged."""
        return bytes.fromhex(self.told) if self.kept else b""


class Stored(NamedTuple):
    """One event as the store has it; sorts by session and id."""

    session: str
    event_id: bytes
    message: Message


class Life(NamedTuple):
    """When a process was surely not born yet, and when it was surely dead."""

    born: float
    died: float


Verdict = dict[str, list[str]]
"""What is wrong, by heading. Empty: every promise was kept."""


def line(author: str, number: int, session: str, told: bytes | str) -> bytes:
    """Give an author's line on one message: the id it was told, or a word."""
    return f"{told if isinstance(told, str) else told.hex()} {session} {author} {number}\n".encode()


def read_acks(places: Iterable[Path]) -> list[Ack]:
    """Read what all writers wrote down; half a line is none."""
    return [
        _ack(text)
        for place in places
        if place.exists()
        for text in place.read_text().splitlines(keepends=True)
        if text.endswith("\n")
    ]


def _ack(text: str) -> Ack:
    told, session, author, number = text.split()
    return Ack(told, session, author, int(number))


def read_store(url: str) -> list[Stored]:
    """Read all that a store has."""
    rows = _sqlite_rows(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else _redis_rows(url)
    return sorted(Stored(session, record[:ID_BYTES], _message(record)) for session, record in rows)


def _message(record: bytes) -> Message:
    _, _, fields, *_ = msgspec.msgpack.decode(record[HEAD_BYTES:])
    return msgspec.convert(fields, Message)


def _sqlite_rows(path: str) -> Iterator[tuple[str, bytes]]:
    if not Path(path).exists():
        return
    connection = sqlite3.connect(path)
    for session, event_id, body in connection.execute("SELECT session, id, body FROM events"):
        yield session, event_id + body
    connection.close()


def _redis_rows(url: str) -> Iterator[tuple[str, bytes]]:
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter("eventlog:{*", count=1000):
            session = key.partition(b"{")[2].rpartition(b"}")[0].decode()
            records: Any = client.zrange(key, 0, -1)
            yield from ((session, record) for record in records)


def compare(acks: list[Ack], stored: list[Stored], lives: dict[str, Life] | None = None) -> Verdict:
    """Give all that is wrong, in words."""
    found = {
        "lost": _lost(acks, stored),
        "doubled": _doubled(stored),
        "changed": _changed(stored),
        "disordered": [*_disordered(stored), *_overtaken(stored, lives or {})],
        "made up": _made_up(acks, stored),
        "torn": _torn(stored),
    }
    return {heading: lines for heading, lines in found.items() if lines}


def _lost(acks: list[Ack], stored: list[Stored]) -> list[str]:
    there = {(each.session, each.event_id, each.message.author, each.message.number) for each in stored}
    return [str(ack) for ack in acks if ack.kept and (ack.session, ack.event_id, ack.author, ack.number) not in there]


def _doubled(stored: list[Stored]) -> list[str]:
    ids: dict[object, int] = defaultdict(int)
    for each in stored:
        ids[each.message.author, each.message.number] += 1
        ids[each.event_id] += 1
    return [f"{name} is there {times} times" for name, times in ids.items() if times > 1]


def _changed(stored: list[Stored]) -> list[str]:
    return [str(each) for each in stored if each.message != _as_added(each.message)]


def _as_added(found: Message) -> Message:
    return message(found.author, found.number, found.index, found.of)


def _disordered(stored: list[Stored]) -> list[str]:
    lines, last = [], dict[tuple[str, str], int]()
    for each in stored:
        place = each.session, each.message.author
        if each.message.number <= last.get(place, -1):
            lines.append(f"{each} comes after number {last[place]}")
        last[place] = each.message.number
    return lines


def _overtaken(stored: list[Stored], lives: dict[str, Life]) -> list[str]:
    lines, session, born = [], "", 0.0
    for each in stored:
        if each.session != session:
            session, born = each.session, 0.0
        life = lives.get(process_of(each.message.author))
        if life is not None and life.died < born:
            lines.append(f"{each} comes after what one who was born after its writer's death wrote")
        if life is not None:
            born = max(born, life.born)
    return lines


def process_of(author: str) -> str:
    """Name the process of a thread."""
    return author.partition("/")[0]


def _made_up(acks: list[Ack], stored: list[Stored]) -> list[str]:
    told = {(ack.author, ack.number): ack.told for ack in acks}
    last: dict[str, int] = defaultdict(lambda: -1)
    for ack in acks:
        last[ack.author] = max(last[ack.author], ack.number)
    return [str(each) for each in stored if not _is_explained(each, told, last)]


def _is_explained(found: Stored, told: dict[tuple[str, int], str], last: dict[str, int]) -> bool:
    author, number, index = found.message.author, found.message.number, found.message.index
    what = told.get((author, number))
    if what is None:
        return number - index == last[author] + 1  # a kill cut the author's last call short
    return what in {UNKNOWN, found.event_id.hex()}


def _torn(stored: list[Stored]) -> list[str]:
    calls: dict[tuple[str, str, int], list[Message]] = defaultdict(list)
    for each in stored:
        calls[each.session, each.message.author, each.message.number - each.message.index].append(each.message)
    return [f"{call}: {len(parts)} of {parts[0].of}" for call, parts in calls.items() if len(parts) < parts[0].of]
