"""Room: a history read through to what the class of its name had written.

Invariants:
* The old data is looked at in the round trip of a read, and read when it holds what was not imported. Nothing is
  asked for an add.
* What is found goes through the journal like any event, and is in the answer whatever becomes of that.
* Old data that cannot be read now make an answer incomplete, never an error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

from eventlog.adapters.legacy import NOTHING, Known, Look, is_settled, known_of, mark_of, news
from eventlog.errors import BackendError, BackendUnavailable, JournalError
from eventlog.events import ALL_OLD
from eventlog.history import ChatHistory, Events
from eventlog.projections.messages import fold_merged, merge

logger = logging.getLogger("eventlog.langchain")


class OldLists(Protocol):
    """A backend beside whose events the old class kept a list a session."""

    def read_with_old(self, session: str, limit: int) -> tuple[list[bytes], Look]:
        """Give the newest records, and what can be told of the list."""
        ...

    async def aread_with_old(self, session: str, limit: int) -> tuple[list[bytes], Look]:
        """Do as `read_with_old`, in the running loop."""
        ...

    def look_at_old(self, session: str) -> Look:
        """Give what can be told of the list."""
        ...

    def old_page(self, session: str, start: int, stop: int | None = None) -> list[bytes]:
        """Give elements by their places, oldest first."""
        ...


class Visit:
    """One read, and what it met; asked along as a `Rider`."""

    def __init__(self) -> None:
        """Begin."""
        self.look = NOTHING
        self.records: Sequence[bytes] = ()
        self.cut = self.was_read = False
        self._page: list[bytes] = []

    def read(self, backend: Any, session: str, limit: int) -> list[bytes]:
        """Read the newest page with a look at the old data."""
        self._page, self.look = backend.read_with_old(session, limit)
        return self._page

    async def aread(self, backend: Any, session: str, limit: int) -> list[bytes]:
        """Do as `read`, in the running loop."""
        self._page, self.look = await backend.aread_with_old(session, limit)
        return self._page

    def met(self, records: Sequence[bytes], *, cut: bool) -> None:
        """Keep what was read."""
        self.records, self.cut, self.was_read = records, cut, True

    def is_pending(self, record: bytes) -> bool:
        """Tell whether a record of the newest page's stretch is not in the backend yet."""
        return record not in self._page and (not self._page or record > self._page[0])


class Old:
    """What the class of a history's name had written of a session."""

    def __init__(self, backend: OldLists, *, sliding: bool) -> None:
        """Ask nothing; `sliding`: messages of this history go with its session."""
        self._backend, self._sliding = backend, sliding

    def read(self, chat: ChatHistory) -> Events:
        """Read a session with what is old in it."""
        visit = Visit()
        found = chat.read_events(rider=visit)
        known = _known(chat, visit)
        return found if known is None else self._imported(chat, found, visit, known)

    async def aread(self, chat: ChatHistory) -> Events:
        """Do as `read`, with the backend's own async client; what is new is imported in a thread."""
        visit = Visit()
        found = await chat.aread_events(rider=visit)
        known = _known(chat, visit)
        return found if known is None else await asyncio.to_thread(self._imported, chat, found, visit, known)

    def covered(self, chat: ChatHistory, *, keeps: bool) -> tuple[int, bytes]:
        """Give what a clear made now says of the old data; only where it `keeps` them are they looked at."""
        if not keeps:
            return ALL_OLD, b""
        try:
            look = self._backend.look_at_old(chat.session_id)
        except BackendUnavailable:
            return ALL_OLD, b""
        return (look.length, mark_of(look.newest)) if look.length else (0, b"")

    def _imported(self, chat: ChatHistory, found: Events, visit: Visit, known: Known) -> Events:
        """Add what is new in the old data, and give all of it."""
        page = partial(self._backend.old_page, chat.session_id)
        try:
            fresh = news(known, visit.look, page, chat.now_ms(), sliding=self._sliding)
        except BackendError as error:
            logger.warning("what an older class wrote cannot be read now: %s", error)
            return found._replace(complete=False)
        if not fresh:
            return found
        _keep(chat, fresh)
        folded = fold_merged(merge(visit.records, fresh), chat.now_ms())
        return found._replace(events=folded.messages)


def _known(chat: ChatHistory, visit: Visit) -> Known | None:
    """Give what a visit tells of the old list; None where nothing is to be done, or nothing was read."""
    if not visit.was_read:
        return None
    known = known_of(visit.records, chat.now_ms(), cut=visit.cut, pending=visit.is_pending)
    return None if is_settled(known, visit.look) else known


def _keep(chat: ChatHistory, records: Sequence[bytes]) -> None:
    try:
        chat.keep(records)
    except JournalError as error:
        logger.warning("what an older class wrote is shown and not imported yet: %s", error)
