"""Room: the way in. Whoever appends or reads comes through here, to the incarnation that is current.

Rules:
* A log outlives a fork: a child's first use begins an incarnation of its own (incarnation.py).
* Exit needs no flush: what was acknowledged is in the journal. `close` and the interpreter's end deliver for a while.
* Room is found before the journal's lock is taken: one caller that waits does not make the others wait in a row.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from errno import ENOSPC
from pathlib import Path
from threading import RLock
from typing import TypeVar

import msgspec

from eventlog.alarm import Alarm
from eventlog.clock import now_ms
from eventlog.errors import AckTimeout, Closed, JournalError
from eventlog.events import EventId
from eventlog.files import Files
from eventlog.incarnation import Incarnation
from eventlog.journal import Key
from eventlog.ports import Backend
from eventlog.reading import Answer, Query, SessionReader
from eventlog.settings import Settings, checked_ack

A = TypeVar("A", bound=Alarm)
EXIT_S = 5.0
_FRAME_OVERHEAD_BYTES = 2048
_RECORD_OVERHEAD_BYTES = 32
_ROOMY_BYTES = 4096
FRAME_BYTES_MAX = 1 << 20
_open_logs: set[Access] = set()


def temporary_place() -> Path:
    """Make a private folder that goes with the log."""
    return Path(tempfile.mkdtemp(prefix="eventlog-"))


class Access:
    """An open log, as far as appending and reading need it."""

    def __init__(
        self,
        settings: Settings,
        backends: dict[str, Backend],
        files: Files | None = None,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        """Begin; use `eventlog.open` instead. `files` and `now_ms` stand for the disk and the wall clock."""
        self._settings, self._backends, self._files = settings, backends, files or Files()
        self.now_ms = now_ms
        self._owner = os.getpid()
        self._lock = RLock()
        self._closed = False
        self._inherited: list[Incarnation] = []
        self._incarnation: Incarnation | None = Incarnation(settings, backends, self._files, now_ms)
        _open_logs.add(self)

    def close(self, timeout: float = EXIT_S) -> None:
        """Deliver for up to `timeout` seconds, then end; what is left goes to whoever opens the journal next."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            live, self._incarnation = self._incarnation, None
        _open_logs.discard(self)
        if live is not None:
            live.stop(timeout)
        for backend in self._backends.values():
            backend.close()
        if self._settings.temporary and self._owner == os.getpid():
            shutil.rmtree(self._settings.journal, ignore_errors=True)

    # for histories

    def _live(self) -> Incarnation:
        live = self._incarnation
        return live if live is not None else self._begin()

    def _begin(self) -> Incarnation:
        with self._lock:
            if self._closed:
                raise Closed("expected an open log, found one that was closed")
            if self._incarnation is None:
                self._take_place()
                self._incarnation = Incarnation(self._settings, self._backends, self._files, self.now_ms)
            return self._incarnation

    def _take_place(self) -> None:
        """Give a child a temporary journal of its own: the parent's goes with the parent."""
        if self._settings.temporary and self._owner != os.getpid():
            self._settings = msgspec.structs.replace(self._settings, journal=temporary_place())
            self._owner = os.getpid()

    def _append_one(self, key: Key, body: bytes, wall_ms: int, ack: str | None) -> EventId:
        if ack is not None:
            checked_ack(ack)
        live = self._incarnation
        journal = live.journal if live is not None else None
        if live is None or journal is None or journal.allowance_bytes < len(body) + _FRAME_OVERHEAD_BYTES:
            live = self._ready(len(body) + _FRAME_OVERHEAD_BYTES)
            journal = live.writer()
        try:
            event_id = journal.append_one(key, body, wall_ms)
        except JournalError as error:
            _once_more(live, error)
            event_id = journal.append_one(key, body, wall_ms)
        if ack is not None or self._settings.ack != "journal":
            self._acknowledge(live, ack or self._settings.ack, event_id)
        elif live.sleepers:
            live.wake()
        return event_id

    def _append(self, key: Key, bodies: Sequence[bytes], wall_ms: int, ack: str | None) -> list[EventId]:
        level = self._settings.ack if ack is None else checked_ack(ack)
        if not bodies:
            return []
        live = self._ready(sum(map(len, bodies)) + _RECORD_OVERHEAD_BYTES * len(bodies) + _FRAME_OVERHEAD_BYTES)
        try:
            ids = live.writer().append(key, bodies, wall_ms)
        except JournalError as error:
            _once_more(live, error)
            ids = live.writer().append(key, bodies, wall_ms)
        self._acknowledge(live, level, ids[-1])
        return ids

    def _keep(self, key: Key, records: Sequence[bytes]) -> None:
        """Append records that have their ids already, a frame for each `FRAME_BYTES_MAX` of them.

        Wakes nobody: who imports in the middle of a read is answered first, the loop looks by itself.
        """
        for frame in portions(records, FRAME_BYTES_MAX):
            live = self._ready(sum(map(len, frame)) + _RECORD_OVERHEAD_BYTES * len(frame) + _FRAME_OVERHEAD_BYTES)
            try:
                live.writer().keep(key, frame)
            except JournalError as error:
                _once_more(live, error)
                live.writer().keep(key, frame)

    def _ready(self, size: int) -> Incarnation:
        """Give the incarnation when its journal has room for `size` bytes."""
        live = self._live()
        if live.writer().allowance_bytes < size:
            live.wait_for_room(size)
        return live

    def _acknowledge(self, live: Incarnation, ack: str, event_id: EventId) -> None:
        try:
            if ack == "fsync":
                live.writer().sync()
        finally:
            live.wake()
        if ack == "backend" and not live.wait_in_first_backend(event_id, self._settings.max_block_s):
            raise AckTimeout(
                f"expected event {event_id} in the first backend within {self._settings.max_block_s} s, found it still "
                "pending; it is kept and will be delivered, do not add it again",
                event_id,
            )

    def _may_block(self, ack: str | None) -> bool:
        live = self._incarnation
        level = self._settings.ack if ack is None else checked_ack(ack)
        roomy = live is not None and live.journal is not None and live.journal.allowance_bytes > _ROOMY_BYTES
        return level != "journal" or not roomy

    def _read(self, query: Query) -> Answer:
        return self._live().reader.read(query)

    async def _aread(self, query: Query) -> Answer:
        return await self._live().reader.aread(query)

    def _reader(self) -> SessionReader:
        return self._live().reader

    @contextmanager
    def _bell(self, alarm: A) -> Iterator[A]:
        """Let adds of this process ring an alarm for a while."""
        sleepers = self._live().sleepers
        sleepers.add(alarm)
        try:
            yield alarm
        finally:
            sleepers.discard(alarm)

    # for a fork

    def _after_fork(self) -> None:
        """Drop the parent's part, in the child. What it holds stays referenced: finalizers must not touch it."""
        self._lock = RLock()
        if self._incarnation is not None:
            self._incarnation.abandon()
            self._inherited.append(self._incarnation)
            self._incarnation = None
        for backend in self._backends.values():
            backend.after_fork()


def portions(records: Sequence[bytes], size_max: int) -> Iterator[list[bytes]]:
    """Cut records into portions of at most `size_max` bytes, or of one record."""
    portion: list[bytes] = []
    size = 0
    for record in records:
        if portion and size + len(record) > size_max:
            yield portion
            portion, size = [], 0
        portion.append(record)
        size += len(record)
    if portion:
        yield portion


def _once_more(live: Incarnation, error: JournalError) -> None:
    """Return when the disk that was full has room again; else raise what was found."""
    if not (isinstance(error.__cause__, OSError) and error.__cause__.errno == ENOSPC and live.free_disk()):
        raise error


def _after_fork_in_child() -> None:
    for log in list(_open_logs):
        log._after_fork()  # noqa: SLF001 (one room)


def _close_all() -> None:
    for log in list(_open_logs):
        log.close(EXIT_S)


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_close_all)
