"""Room: what is due is removed from a backend, session by session. Stopping half way loses nothing: begin again."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from eventlog.events import ID_BYTES
from eventlog.ports import Backend
from eventlog.projections.messages import merge
from eventlog.projections.retention import due

PAGE_EVENTS = 10_000


class Compacted(NamedTuple):
    """What a compaction did."""

    sessions: int
    removed: int


def compact_backend(backend: Backend, now_ms: int, on_session: Callable[[str, int], None]) -> Compacted:
    """Remove what is due from every session; `on_session` is told each one with the events removed from it."""
    sessions = removed = 0
    for session in backend.sessions():
        gone = due(read_all(backend, session), now_ms)
        if gone:
            backend.discard(session, gone)
        sessions, removed = sessions + 1, removed + len(gone)
        on_session(session, len(gone))
    return Compacted(sessions, removed)


def read_all(backend: Backend, session: str) -> list[bytes]:
    """Give all records of a session, ascending."""
    pages: list[list[bytes]] = []
    before = None
    while True:
        page = backend.read(session, before=before, limit=PAGE_EVENTS)
        pages.append(page)
        if len(page) < PAGE_EVENTS:
            return merge(*pages)
        before = page[0][:ID_BYTES]
