"""Breaches of each promise, played in the child: the check must find them, or it proves nothing.

Each is named for what is wrong with it, and comes with the heading under which it must be found.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import msgspec

from eventlog.adapters.sqlite import SQLiteBackend
from eventlog.clock import Clock
from eventlog.delivery import Delivery, Source
from eventlog.directory import Directory
from eventlog.follower import segment_numbers
from eventlog.journal import Journal, Key
from tests.crash.tasks import Message, Task
from tests.crash.verdict import HEAD_BYTES, ID_BYTES, line


def acknowledges_before_it_writes(task: Task) -> None:
    """Write down the ids, then write the frame."""
    acks = os.open(task.acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    write = Journal._write

    def early(self: Journal, key: Key, records: Sequence[bytes]) -> None:
        for record in records:
            told = msgspec.convert(msgspec.msgpack.decode(record[HEAD_BYTES:])[2], Message)
            os.write(acks, line(told.author, told.number, key.session.decode(), record[:ID_BYTES]))
        write(self, key, records)

    Journal._write = early  # type: ignore[method-assign]


def moves_the_cursor_before_the_store_has_it(_: Task) -> None:
    """Deliver at most once."""
    append = Delivery._append

    def late(self: Delivery, source: Source, batch: Any) -> None:
        source.save()
        append(self, source, batch)

    Delivery._append = late  # type: ignore[method-assign]
    _be_slow(0.05)


def removes_what_is_not_delivered(_: Task) -> None:
    """Remove finished segments, wherever the cursors are."""

    def collect(self: Directory, folder: Any) -> int:
        return sum(self._remove_segment(folder.path, number) for number in segment_numbers(folder.path)[:-1])

    Directory.collect = collect  # type: ignore[method-assign]
    _be_slow(0.1)


def stores_under_a_new_id_each_time(_: Task) -> None:
    """Have appends that are not idempotent."""
    turns = count(os.getpid() << 16)
    _change_records(lambda record: record[:11] + next(turns).to_bytes(5, "big") + record[16:])


def changes_a_letter(_: Task) -> None:
    """Store something else than what was added."""
    _change_records(lambda record: record.replace(b"session", b"Session").replace("ä".encode(), b"ae"))


def draws_ids_that_fall(_: Task) -> None:
    """Let later messages have smaller ids."""
    begin = Clock.next
    turns = count()

    def fall(self: Clock, session: bytes, wall_ms: int) -> Any:
        return begin(self, session, wall_ms).__class__(_earlier(begin(self, session, wall_ms), 7000 * next(turns)))

    Clock.next = fall  # type: ignore[method-assign]


def _earlier(event_id: bytes, by_ms: int) -> bytes:
    return (int.from_bytes(event_id[:6], "big") - by_ms).to_bytes(6, "big") + event_id[6:]


def _be_slow(by_s: float) -> None:
    append = SQLiteBackend.append

    def slow(self: SQLiteBackend, batch: Any) -> Any:
        time.sleep(by_s)
        return append(self, batch)

    SQLiteBackend.append = slow  # type: ignore[method-assign]


def _change_records(change: Callable[[bytes], bytes]) -> None:
    append = SQLiteBackend.append

    def changed(self: SQLiteBackend, batch: Any) -> Any:
        return append(self, {session: [change(record) for record in batch[session]] for session in batch})

    SQLiteBackend.append = changed  # type: ignore[method-assign]


HEADINGS: dict[Callable[[Task], None], str] = {
    acknowledges_before_it_writes: "lost",
    moves_the_cursor_before_the_store_has_it: "lost",
    removes_what_is_not_delivered: "lost",
    stores_under_a_new_id_each_time: "doubled",
    changes_a_letter: "changed",
    draws_ids_that_fall: "disordered",
}
SABOTAGES = {sabotage.__name__: sabotage for sabotage in HEADINGS}
