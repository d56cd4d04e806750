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
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

from eventlog.adapters.legacy import NOTHING, Known, Look, is_settled, known_of, mark_of, news
from eventlog.adapters.legacy_rows import Row, rows_are_settled, rows_news
from eventlog.errors import BackendError, JournalError
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


class OldRows(Protocol):
    """A backend beside whose events the old class kept a row a message."""

    def old_rows(self, session: str, since_ms: int) -> list[Row]:
        """Give the rows from a time on, oldest first."""
        ...


class Visit:
    """One read, and what it met; asked along as a `Rider`."""

    def __init__(self) -> None:
        """Begin."""
        self.look: Any = NOTHING
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


class Old(ABC):
    """What the class of a history's name had written of a session."""

    def read(self, chat: ChatHistory) -> Events:
        """Read a session with what is old in it."""
        visit = Visit()
        found = chat.read_events(rider=visit)
        if not visit.was_read or self._is_settled(chat, visit):
            return found
        return self._imported(chat, found, visit)

    async def aread(self, chat: ChatHistory) -> Events:
        """Do as `read`, with the backend's own async client; what is new is imported in a thread."""
        visit = Visit()
        found = await chat.aread_events(rider=visit)
        if not visit.was_read or self._is_settled(chat, visit):
            return found
        return await asyncio.to_thread(self._imported, chat, found, visit)

    @abstractmethod
    def covered(self, chat: ChatHistory, *, keeps: bool) -> tuple[int, bytes]:
        """Give what a clear made now says of the old data; only where it `keeps` them are they looked at."""

    @abstractmethod
    def _is_settled(self, chat: ChatHistory, visit: Visit) -> bool:
        """Tell whether there is nothing new for sure; asks nothing."""

    @abstractmethod
    def _news(self, chat: ChatHistory, visit: Visit) -> list[bytes]:
        """Give the records that are to be added; raises a `BackendError`."""

    def _imported(self, chat: ChatHistory, found: Events, visit: Visit) -> Events:
        """Add what is new in the old data, and give all of it."""
        try:
            fresh = self._news(chat, visit)
        except BackendError as error:
            logger.warning("what an older class wrote cannot be read now: %s", error)
            return found._replace(complete=False)
        if not fresh:
            return found
        _keep(chat, fresh)
        folded = fold_merged(merge(visit.records, fresh), chat.now_ms())
        return found._replace(events=folded.messages)


class OldList(Old):
    """A list a session."""

    def __init__(self, backend: OldLists, ttl_ms: int) -> None:
        """Ask nothing; `ttl_ms`: how long after the last message this history goes as a whole, or 0."""
        self._backend, self._ttl_ms = backend, ttl_ms

    def covered(self, chat: ChatHistory, *, keeps: bool) -> tuple[int, bytes]:
        """Count what there is, where it stays."""
        if not keeps:
            return ALL_OLD, b""
        try:
            look = self._backend.look_at_old(chat.session_id)
            if not look.length:
                return 0, b""
            newest = look.newest or self._backend.old_page(chat.session_id, look.length - 1, look.length)[0]
        except (BackendError, IndexError):
            return ALL_OLD, b""
        return look.length, mark_of(newest)

    def _is_settled(self, chat: ChatHistory, visit: Visit) -> bool:
        return is_settled(_known(chat, visit), visit.look)

    def _news(self, chat: ChatHistory, visit: Visit) -> list[bytes]:
        page = partial(self._backend.old_page, chat.session_id)
        return news(_known(chat, visit), visit.look, page, chat.now_ms(), self._ttl_ms)


class OldPartition(Old):
    """A partition a session, of rows with a time."""

    def __init__(self, backend: OldRows) -> None:
        """Ask nothing."""
        self._backend = backend

    def covered(self, chat: ChatHistory, *, keeps: bool) -> tuple[int, bytes]:  # noqa: ARG002 (the rows have times)
        """Tell that something old may be hidden: by its time, not by its number."""
        return (1 if keeps else ALL_OLD), b""

    def _is_settled(self, chat: ChatHistory, visit: Visit) -> bool:  # noqa: ARG002
        return rows_are_settled(visit.records, visit.look)

    def _news(self, chat: ChatHistory, visit: Visit) -> list[bytes]:
        since = partial(self._backend.old_rows, chat.session_id)
        return rows_news(visit.records, since, chat.now_ms())


def old_of(backend: Any, ttl_ms: int) -> Old:
    """Give the way to read what the class of a backend's users wrote."""
    return OldPartition(backend) if hasattr(backend, "old_rows") else OldList(backend, ttl_ms)


def _known(chat: ChatHistory, visit: Visit) -> Known:
    return known_of(visit.records, chat.now_ms(), cut=visit.cut, pending=visit.is_pending)


def _keep(chat: ChatHistory, records: Sequence[bytes]) -> None:
    try:
        chat.keep(records)
    except JournalError as error:
        logger.warning("what an older class wrote is shown and not imported yet: %s", error)
