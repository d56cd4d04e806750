"""What the tests of the core share: a clock that is set, a disk and a store that fail, and ways to look and wait."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from errno import EIO, ENOSPC
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import eventlog
from eventlog.clock import Clock, now_ms
from eventlog.codec import PERMANENT, encode_message
from eventlog.directory import Directory
from eventlog.errors import BackendError, BackendUnavailable, EventRejected, SessionUnavailable
from eventlog.files import Files
from eventlog.follower import SegmentReader, segment_numbers
from eventlog.frames import HEADER_BYTES, Frame
from eventlog.journal import Journal, Key
from eventlog.log import EventLog
from eventlog.ports import Backend, Batch
from eventlog.statefile import StateFile
from tests.core.records import NOON_MS, WRITER

SEGMENT_BYTES = 1 << 20
PATIENCE_S = 20.0


class Wall:
    """A wall clock that somebody sets."""

    def __init__(self, ms: int = NOON_MS) -> None:
        self.ms = ms

    def __call__(self) -> int:
        """Tell the time."""
        return self.ms


class BadDisk(Files):
    """A disk whose calls fail while they are named in `failing`, each with its errno."""

    def __init__(self) -> None:
        self.failing: dict[str, int] = {}
        self.torn_bytes = 0
        """What still reaches the disk of a write that fails."""
        self.creates_left = 0
        """How many files can still be made when `create` fails."""

    def _meet(self, call: str) -> None:
        if call in self.failing:
            code = self.failing[call]
            raise OSError(code, os.strerror(code))

    def write(self, descriptor: int, data: bytes, offset: int) -> int:  # type: ignore[override]
        """Write, or tear."""
        if "write" in self.failing:
            if self.torn_bytes:
                taken, self.torn_bytes = self.torn_bytes, 0
                return os.pwrite(descriptor, data[:taken], offset)
            self._meet("write")
        return os.pwrite(descriptor, data, offset)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut back, or not."""
        self._meet("truncate")
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:  # type: ignore[override]
        """Sync, or not."""
        self._meet("sync")
        os.fdatasync(descriptor)

    def create(self, path: Path) -> int:
        """Create, or not."""
        if self.creates_left:
            self.creates_left -= 1
        else:
            self._meet("create")
        return super().create(path)

    def full(self) -> None:
        """Have no room from now on."""
        self.failing = {"write": ENOSPC, "create": ENOSPC}

    def dying(self) -> None:
        """Refuse to sync from now on."""
        self.failing = {"sync": EIO}

    def mend(self) -> None:
        """Be a good disk again."""
        self.failing = {}


class Moody:
    """A store in front of another, which fails as it is told."""

    def __init__(self, inner: Backend) -> None:
        self.inner = inner
        self.scheme, self.identity, self.page_events = inner.scheme, inner.identity, inner.page_events
        self.deaf_to_reads = self.deaf_to_appends = False
        self.loses_replies = self.takes_half = False
        self.faults: list[Exception] = []
        """What the next appends raise, one each, before anything is stored."""
        self.broken_sessions: set[str] = set()
        """Sessions that it does not take now, while it takes others."""
        self.poison: set[bytes] = set()
        """Ids of events for which it refuses a whole batch without saying which one."""
        self.asked: list[set[str]] = []
        """The sessions of each append that was tried."""
        self.appended: list[dict[str, list[bytes]]] = []
        self.pages: list[int] = []

    @property
    def down(self) -> bool:
        """Whether it answers to nothing."""
        return self.deaf_to_reads and self.deaf_to_appends

    @down.setter
    def down(self, value: bool) -> None:
        self.deaf_to_reads = self.deaf_to_appends = value

    def append(self, batch: Batch) -> dict[str, BackendError]:
        """Store, or fail in one of the ways that stores have."""
        self.asked.append(set(batch))
        self._refuse(deaf=self.deaf_to_appends)
        if self.faults:
            raise self.faults.pop(0)
        if self.poison & {record[:16] for records in batch.values() for record in records}:
            raise EventRejected(f"{self.identity}: something in it is too large")
        taken = dict(list(batch.items())[: (len(batch) + 1) // 2]) if self.takes_half else dict(batch)
        taken = {session: records for session, records in taken.items() if session not in self.broken_sessions}
        self.appended.append({session: list(records) for session, records in taken.items()})
        failed = self.inner.append(taken)
        if self.loses_replies:
            raise BackendUnavailable(f"{self.identity}: the reply was lost")
        lost = SessionUnavailable(f"{self.identity}: a part is down")
        return {**failed, **dict.fromkeys(batch.keys() - taken.keys(), lost)}

    def _refuse(self, *, deaf: bool) -> None:
        if deaf:
            raise BackendUnavailable(f"{self.identity}: away")

    def read(self, session: str, *, before: bytes | None = None, limit: int) -> list[bytes]:
        """Read what is behind."""
        self._refuse(deaf=self.deaf_to_reads)
        self.pages.append(limit)
        return self.inner.read(session, before=before, limit=limit)

    async def aread(self, session: str, *, before: bytes | None = None, limit: int) -> list[bytes]:
        """Read what is behind."""
        self._refuse(deaf=self.deaf_to_reads)
        self.pages.append(limit)
        return await self.inner.aread(session, before=before, limit=limit)

    def sessions(self, prefix: str = "") -> Iterator[str]:
        """List what is behind."""
        self._refuse(deaf=self.deaf_to_reads)
        return self.inner.sessions(prefix)

    def remove(self, session: str, before: bytes) -> None:
        """Remove what is behind."""
        self._refuse(deaf=self.deaf_to_appends)
        self.inner.remove(session, before)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def open_log(*stores: Any, files: Files | None = None, wall: Callable[[], int] = now_ms, **options: Any) -> EventLog:
    """Open a log with a disk and a wall clock of the test's choice."""
    with patch("eventlog.log.EventLog", partial(EventLog, files=files, now_ms=wall)):
        return eventlog.open(*stores, **options)


def crash(log: EventLog) -> None:
    """End a log's part in this process as a kill would: nothing is delivered, synced, told or tidied any more."""
    live, log._incarnation, log._closed = log._live(), None, True
    with (
        patch.object(Journal, "close", Journal.abandon),
        patch.object(Directory, "raise_high_water", lambda *_: None),
        patch.object(Directory, "remove_if_done", lambda *_: False),
        patch.object(StateFile, "flush", lambda *_: None),
    ):
        live.stop(0)


def hurry(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> None:
    """Shorten pauses that are named by a constant, in whichever room it lives."""
    for name, value in seconds.items():
        rooms = [room for place, room in sys.modules.items() if place.startswith("eventlog.") and name in vars(room)]
        assert rooms, f"no room has {name}"
        for room in rooms:
            monkeypatch.setattr(room, name, value)


def eventually(condition: Callable[[], object]) -> None:
    """Wait until a condition holds; fail when it takes unreasonably long."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.002)


def new_journal(folder: Path, files: Files | None = None, segment_bytes: int = SEGMENT_BYTES) -> Journal:
    """Start a writer in a folder."""
    folder.mkdir(exist_ok=True)
    return Journal(files or Files(), folder, Clock(WRITER), WRITER, segment_bytes)


def write(journal: Journal, session: str, *messages: Any) -> list[bytes]:
    """Append one frame of messages and give its records."""
    bodies = [encode_message(PERMANENT, NOON_MS, "", message, 0) for message in messages]
    ids = journal.append(Key(session.encode()), bodies, NOON_MS)
    return [event_id + body for event_id, body in zip(ids, bodies, strict=True)]


def frames_in(folder: Path) -> list[Frame]:
    """Read every whole frame of a folder, without index and cursor."""
    found: list[Frame] = []
    for number in segment_numbers(folder):
        segment = SegmentReader(folder, number)
        found += segment.scan(HEADER_BYTES)
        segment.close()
    return found


def writer_folder(place: Path) -> Path:
    """Give the folder of the one writer that there is in a journal."""
    (folder,) = [path for path in place.iterdir() if path.is_dir()]
    return folder


def flip(path: Path, offset: int, count: int = 1) -> None:
    """Damage bytes of a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        damaged = bytes(byte ^ 0x55 for byte in file.read(count))
        file.seek(offset)
        file.write(damaged)
