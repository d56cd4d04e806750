"""Room: the one place that composes. `open` makes an `EventLog`; all else is reached from it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self

from eventlog.access import Access, temporary_place
from eventlog.adapters import from_url
from eventlog.codec import encode_cleared
from eventlog.compacting import Compacted, compact_backend
from eventlog.errors import ConfigurationError
from eventlog.events import EventId, HistoryCleared, session_bytes
from eventlog.health import gather
from eventlog.history import ChatHistory
from eventlog.journal import Key
from eventlog.place import default_place
from eventlog.ports import Backend, by_keeping
from eventlog.settings import Expiry, Settings, checked_ack, checked_bytes, checked_retain_ms
from eventlog.status import Status

DEFAULT_URL = "sqlite:///eventlog.db"


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
    backends = _opened(urls_or_backends)
    first = next(iter(backends.values()))
    temporary = journal is None and first.scheme == "memory"
    settings = Settings(
        ack=checked_ack(ack),
        retain_ms=checked_retain_ms(retain),
        max_journal_bytes=checked_bytes(max_journal_bytes),
        max_block_s=float(max_block),
        role="process" if deliver else "none",
        strict_reads=strict_reads,
        temporary=temporary,
        journal=_place(journal, first.identity, temporary=temporary),  # last, for it may make a folder
    )
    return EventLog(settings, backends)


def open_sidecar(*urls_or_backends: str | Backend, journal: str | os.PathLike[str] | None = None) -> Sidecar:
    """Open a log that delivers for every process of the host, as `eventlog drain --follow` does; it adds nothing.

    While another sidecar serves, it waits. Raises as `open` does.
    """
    backends = _opened(urls_or_backends)
    place = _place(journal, next(iter(backends.values())).identity, temporary=False)
    return Sidecar(Settings(journal=place, role="sidecar"), backends)


def _opened(urls_or_backends: Sequence[str | Backend]) -> dict[str, Backend]:
    return _named([from_url(item) if isinstance(item, str) else item for item in urls_or_backends or (DEFAULT_URL,)])


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
        return temporary_place()
    return Path(journal).absolute() if journal is not None else default_place(identity)


class EventLog(Access):
    """A log of chat events; `open` makes one. Safe to share between threads, and across a fork."""

    def history(self, session_id: str, ttl: timedelta | float | None = None, expiry: Expiry = "fixed") -> ChatHistory:
        """Give the history of a session; with `ttl` (timedelta or seconds) its messages expire.

        "fixed": each goes `ttl` after it was added; "sliding": all go together, `ttl` after the last one.
        `ValueError` for an id that is empty or over 1,024 bytes, a `ttl` not above zero, an unknown `expiry`.
        """
        return ChatHistory(self, session_id, ttl=ttl, expiry=expiry, retain_ms=self._settings.retain_ms)

    def sessions(self, prefix: str = "") -> list[str]:
        """Give the ids of the sessions that hold any event, pending ones included, sorted."""
        live = self._live()
        name, backend = by_keeping(self._backends)[0]
        found: set[str] = set(backend.sessions(prefix))
        pending = live.pending.sessions(live.keys[name])
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

    def erase(self, session_id: str) -> EventId:
        """Remove a session from this host's files and every backend, for good; give the id of the cut that remains.

        Returns when the files and every backend that can be reached are done, at the latest after `max_block` for those
        that cannot: the cut is on its way to them, and `status` tells their lag. What a database or a file system keeps
        of deleted bytes (snapshots, append-only files, backups) is its operator's.
        """
        encoded = session_bytes(session_id)
        live = self._live()
        self.history(session_id).read_events(last=1)  # so that the cut sorts after all there is
        cut = HistoryCleared(self.now_ms(), retain_ms=0, erase=True)
        event_id = self._append_one(Key(encoded), encode_cleared(cut), cut.at_ms, None)
        live.erase(session_id, encoded, event_id)
        return event_id

    def compact(self, on_session: Callable[[str, int], None] = lambda *_: None) -> Compacted:
        """Remove from every backend what nobody may need any more: what a clear hid and `retain` lets go, what expired.

        `on_session` is told each session and the number of events removed from it. Stop it when you like: what was
        removed was due, the rest is for the next time. Raises `BackendUnavailable`.
        """
        done = [compact_backend(backend, self.now_ms(), on_session) for backend in self._backends.values()]
        return Compacted(sum(part.sessions for part in done), sum(part.removed for part in done))

    def status(self) -> Status:
        """Tell how each backend and the journal stand, the same from any process."""
        return gather(self._live())

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


class Sidecar(EventLog):
    """A log that delivers for all processes of the host, while no other one does; `open_sidecar` makes one."""

    @property
    def serving(self) -> bool:
        """Tell whether it delivers; False while another sidecar does."""
        return self._live().serving

    @property
    def served(self) -> frozenset[str]:
        """Name the folders of the writers that it delivers for."""
        return self._live().served

    @property
    def passed_over(self) -> frozenset[str]:
        """Name the backends that it lacks, where for want of them nobody delivers some writer's events."""
        live = self._live()
        left = [folder.backends() for folder in live.directory.folders() if not folder.served]
        return frozenset(identity for each in left for key, identity in each.items() if key not in live.deliveries)
