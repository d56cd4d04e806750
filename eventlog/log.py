"""Room: the one place that composes. `open` makes an `EventLog`; all else is reached from it.

Rules:
* A log outlives a fork: a child's first use begins an incarnation of its own (incarnation.py).
* Exit needs no flush: what was acknowledged is in the journal. `close` and the interpreter's end deliver for a while.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from threading import RLock
from time import monotonic
from types import TracebackType
from typing import Self

import msgspec

from eventlog.adapters import from_url
from eventlog.clock import now_ms
from eventlog.errors import AckTimeout, Closed, ConfigurationError
from eventlog.events import EventId
from eventlog.files import Files
from eventlog.health import gather
from eventlog.history import ChatHistory
from eventlog.incarnation import Incarnation
from eventlog.journal import Key
from eventlog.place import default_place
from eventlog.ports import Backend
from eventlog.reading import Answer, Query
from eventlog.settings import Expiry, Settings, checked_ack, checked_bytes, checked_retain_ms
from eventlog.status import Status

DEFAULT_URL = "sqlite:///eventlog.db"
EXIT_S = 5.0
_FRAME_OVERHEAD_BYTES = 2048
_RECORD_OVERHEAD_BYTES = 32
_ROOMY_BYTES = 4096
_open_logs: set[EventLog] = set()


def open(  # noqa: A001, PLR0913 (the settled public face)
    *urls_or_backends: str | Backend,
    journal: str | os.PathLike[str] | None = None,
    ack: str = "journal",
    retain: timedelta | None = timedelta(days=30),
    max_journal_bytes: int = 1 << 30,
    max_block: float = 5.0,
    deliver: bool = True,
    strict_reads: bool = False,
) -> EventLog:
    """Open a log over one backend or more; the first is the one that reads come from.

    `journal` names the directory of pending events; `ack` is when an add returns: "journal" (the operating system has
    it), "fsync" (the disk has it), "backend" (the first backend has it); `retain` is how long what a clear hid can be
    replayed; `max_journal_bytes` bounds the directory, `max_block` (seconds) is how long an add may wait for room or
    for its `ack`; `deliver=False` leaves delivery to another process; with `strict_reads` a read raises when no backend
    answers. A backend that is down is no error here.

    Raises `ConfigurationError` for an unknown scheme, a missing package, a place that cannot hold the journal, or a
    missing backend that events still wait for; `ValueError` for other bad arguments.
    """
    backends = _named(
        [from_url(item) if isinstance(item, str) else item for item in urls_or_backends or (DEFAULT_URL,)]
    )
    first = next(iter(backends.values()))
    temporary = journal is None and first.scheme == "memory"
    settings = Settings(
        journal=_place(journal, first.identity, temporary=temporary),
        ack=checked_ack(ack),
        retain_ms=checked_retain_ms(retain),
        max_journal_bytes=checked_bytes(max_journal_bytes),
        max_block_s=float(max_block),
        role="process" if deliver else "none",
        strict_reads=strict_reads,
        temporary=temporary,
    )
    return EventLog(settings, backends)


def _named(backends: Sequence[Backend]) -> dict[str, Backend]:
    named: dict[str, Backend] = {}
    identities = set()
    for backend in backends:
        if not isinstance(backend, Backend):
            raise ConfigurationError(f"expected a URL or a backend, found {type(backend).__name__}")
        if backend.identity in identities:
            raise ConfigurationError(f"expected each backend once, found {backend.identity} twice")
        identities.add(backend.identity)
        number = sum(other.scheme == backend.scheme for other in named.values())
        named[f"{backend.scheme}{number + 1}" if number else backend.scheme] = backend
    return named


def _place(journal: str | os.PathLike[str] | None, identity: str, *, temporary: bool) -> Path:
    if temporary:
        return Path(tempfile.mkdtemp(prefix="eventlog-"))
    return Path(journal).absolute() if journal is not None else default_place(identity)


class EventLog:
    """A log of chat events; `open` makes one. Safe to share between threads, and across a fork."""

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

    def history(self, session_id: str, ttl: timedelta | float | None = None, expiry: Expiry = "fixed") -> ChatHistory:
        """Give the history of a session; with `ttl` (timedelta or seconds) its messages expire.

        "fixed": each goes `ttl` after it was added; "sliding": all go together, `ttl` after the last one.
        `ValueError` for an id that is empty or over 1,024 bytes, a `ttl` not above zero, an unknown `expiry`.
        """
        return ChatHistory(self, session_id, ttl=ttl, expiry=expiry, retain_ms=self._settings.retain_ms)

    def sessions(self, prefix: str = "") -> list[str]:
        """Give the ids of the sessions that hold any event, pending ones included, sorted."""
        live = self._live()
        found: set[str] = set(next(iter(self._backends.values())).sessions(prefix))
        pending = live.pending.sessions(live.first)
        return sorted(found | {session for session in pending if session.startswith(prefix)})

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what this process acknowledged, and what dead ones left here, is in every backend.

        False if that takes longer than `timeout` seconds, or at once when only dead letters remain.
        """
        live = self._live()
        deadline = None if timeout is None else monotonic() + timeout
        live.adopt()
        if not live.wait_delivered(live.flush_targets(), timeout):
            return False
        return live.wait_nothing_aside(None if deadline is None else max(0.0, deadline - monotonic()))

    def status(self) -> Status:
        """Tell how each backend and the journal stand, the same from any process."""
        return gather(self._live())

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

    def __enter__(self) -> Self:
        """Give the log itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        """Close."""
        self.close()

    async def __aenter__(self) -> Self:
        """Give the log itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None
    ) -> None:
        """Close, in a thread: it may take a while."""
        await asyncio.to_thread(self.close)

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
            self._settings = msgspec.structs.replace(self._settings, journal=_place(None, "", temporary=True))
            self._owner = os.getpid()

    def _append_one(self, key: Key, body: bytes, wall_ms: int, ack: str | None) -> EventId:
        if ack is not None:
            checked_ack(ack)
        live = self._incarnation
        journal = live.journal if live is not None else None
        if live is None or journal is None or journal.allowance_bytes < len(body) + _FRAME_OVERHEAD_BYTES:
            live = self._ready(len(body) + _FRAME_OVERHEAD_BYTES)
            journal = live.writer()
        event_id = journal.append_one(key, body, wall_ms)
        if live.sleepers:
            live.wake()
        if ack is not None or self._settings.ack != "journal":
            self._acknowledge(live, ack or self._settings.ack, event_id)
        return event_id

    def _append(self, key: Key, bodies: Sequence[bytes], wall_ms: int, ack: str | None) -> list[EventId]:
        level = self._settings.ack if ack is None else checked_ack(ack)
        if not bodies:
            return []
        live = self._ready(sum(map(len, bodies)) + _RECORD_OVERHEAD_BYTES * len(bodies) + _FRAME_OVERHEAD_BYTES)
        ids = live.writer().append(key, bodies, wall_ms)
        live.wake()
        self._acknowledge(live, level, ids[-1])
        return ids

    def _ready(self, size: int) -> Incarnation:
        """Give the incarnation when its journal has room for `size` bytes."""
        live = self._live()
        if live.writer().allowance_bytes < size:
            live.wait_for_room(size)
        return live

    def _acknowledge(self, live: Incarnation, ack: str, event_id: EventId) -> None:
        if ack == "fsync":
            live.writer().sync()
        elif ack == "backend" and not live.wait_in_first_backend(event_id, self._settings.max_block_s):
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


def _after_fork_in_child() -> None:
    for log in list(_open_logs):
        log._after_fork()  # noqa: SLF001 (one room)


def _close_all() -> None:
    for log in list(_open_logs):
        log.close(EXIT_S)


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_close_all)
