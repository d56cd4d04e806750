"""Room: one session of a log, as a program sees it.

Rules:
* Bad input is refused here, before anything is acknowledged; what `add` returned is kept.
* An add never waits for a backend, unless `ack` asks for it or the journal is full.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from eventlog.access import Access
from eventlog.clock import first_id_at
from eventlog.codec import FIXED, PERMANENT, SLIDING, encode_cleared, encode_message
from eventlog.errors import MessageTooLarge
from eventlog.events import EPOCH, ID_BYTES, MS, EventId, HistoryCleared, MessageAdded, session_bytes, to_ms
from eventlog.following import Following
from eventlog.journal import Key
from eventlog.ports import Rider
from eventlog.projections.timeline import TimelineEntry
from eventlog.reading import Answer, Query
from eventlog.replaying import Replay
from eventlog.settings import ADD_BYTES_MAX, Expiry, checked_expiry


class Messages(list[Any]):
    """Messages, oldest first. `source` names the backend that answered; `complete` is False when the first did not."""

    def __init__(self, messages: Iterable[Any], source: str, *, complete: bool) -> None:
        """Hold the messages with where they came from."""
        super().__init__(messages)
        self.source = source
        self.complete = complete


class Timeline(list[TimelineEntry]):
    """The entries of a session, oldest first, summed up; `source` and `complete` as of `Messages`."""

    def __init__(self, replay: Replay) -> None:
        """Read them."""
        replay.look()
        super().__init__(replay)
        self.summary, self.source, self.complete = replay.summary(), replay.source, replay.complete


class ChatHistory:
    """The history of one session; made by `EventLog.history`, costs nothing to make."""

    __slots__ = ("_form", "_key", "_log", "_prefix", "_retain_ms", "_ttl_ms", "session_id")

    def __init__(  # noqa: PLR0913 (keyword-only, for adapters)
        self,
        log: Access,
        session: str,
        *,
        ttl: timedelta | float | None = None,
        expiry: Expiry = "fixed",
        form: str = "",
        retain_ms: int | None = None,
    ) -> None:
        """Check the arguments; `ValueError` names what was expected. Nothing is read or written."""
        self._log, self._form, self._retain_ms = log, form, retain_ms
        self._key = Key(session_bytes(session))
        self.session_id = session
        self._ttl_ms = to_ms(ttl, "ttl") or 0
        kind = FIXED if checked_expiry(expiry) == "fixed" else SLIDING
        self._prefix = kind if self._ttl_ms else PERMANENT

    def add(self, message: Any, ack: str | None = None) -> EventId:
        """Append one message and give its event's id.

        Raises `MessageNotSerializable`, `MessageTooLarge`, `JournalError` (`JournalFull` when the bound is reached);
        nothing was written then. `AckTimeout`: it is kept and on its way, do not add it again.
        """
        wall_ms = self._log.now_ms()
        body = encode_message(self._prefix, wall_ms, self._form, message, self._ttl_ms)
        if len(body) > ADD_BYTES_MAX:
            raise _too_large(len(body))
        return self._log._append_one(self._key, body, wall_ms, ack)  # noqa: SLF001 (one room in two files)

    def add_many(self, messages: Iterable[Any], ack: str | None = None) -> list[EventId]:
        """Append messages that are kept together or not at all, and give their ids; raises as `add` does."""
        wall_ms = self._log.now_ms()
        bodies = [encode_message(self._prefix, wall_ms, self._form, message, self._ttl_ms) for message in messages]
        size = sum(map(len, bodies))
        if size > ADD_BYTES_MAX:
            raise _too_large(size)
        return self._log._append(self._key, bodies, wall_ms, ack)  # noqa: SLF001

    def clear(self, ack: str | None = None, *, covered: int = 0, seal: bytes = b"") -> EventId:
        """Hide every message so far, also those that arrive later with an earlier id; give the cut's id.

        `covered` and `seal` are for adapters: how much of an older layout's list it hides (`HistoryCleared`).
        """
        wall_ms = self._log.now_ms()
        cut = HistoryCleared(wall_ms, self._retain_ms, history_ttl_ms=self._ttl_ms, covered=covered, seal=seal)
        return self._log._append_one(self._key, encode_cleared(cut), wall_ms, ack)  # noqa: SLF001

    def now_ms(self) -> int:
        """Give the time that the log goes by, in Unix ms."""
        return self._log.now_ms()

    def keep(self, records: Sequence[bytes]) -> None:
        """Append records that have their ids already, which may be there: for imports. Raises `JournalError`."""
        self._log._keep(self._key, records)  # noqa: SLF001

    def messages(self, last: int | None = None, as_of: datetime | EventId | str | None = None) -> Messages:
        """Give the messages as they were given, oldest first; `last` of them, as they were at a time or an event.

        Raises `ValueError` for a negative `last` or a naive time, `BackendUnavailable` only with `strict_reads`.
        """
        return _as_given(self.read_events(last, as_of))

    def read_events(
        self, last: int | None = None, as_of: datetime | EventId | str | None = None, rider: Rider | None = None
    ) -> Events:
        """Do as `messages`, but give the events: for adapters, which look at their forms, and ask `rider` along."""
        query = self._query(last, as_of)._replace(rider=rider)
        return _selected(self._log._read(query), last)  # noqa: SLF001

    def timeline(self, as_of: datetime | EventId | str | None = None) -> Timeline:
        """Give every event that is kept, oldest first, and what became of it; all of it as it was at a moment.

        Raises as `messages` does, and `BackendUnavailable` when the first backend goes away while it is read.
        """
        return Timeline(self.replay(as_of))

    def replay(self, as_of: datetime | EventId | str | None = None) -> Replay:
        """Give the session to go through piece by piece, in flat memory: `look`, then iterate."""
        self._query(None, as_of)
        return Replay(self._log._reader, lambda: self._query(None, as_of))  # noqa: SLF001

    def follow(self, after: EventId | str | None = None, every: float = 0.5) -> Following:
        """Give the entries after an id, or all, and then each as it is written, without end; for `async for` too.

        `every`: seconds between looks for what other processes wrote. What comes after entries that sort behind it is
        marked `late`.
        """
        if not every > 0:
            raise ValueError(f"expected every as seconds greater than zero, found {every!r}")
        begin = EventId.parse(after) if isinstance(after, str) else None if after is None else EventId(after)
        return Following(self.replay(), begin, every, self._log._bell)  # noqa: SLF001

    async def aadd(self, message: Any, ack: str | None = None) -> EventId:
        """Do as `add`; the event loop is never blocked for longer than a journal write."""
        return (await self.aadd_many([message], ack))[0]

    async def aadd_many(self, messages: Iterable[Any], ack: str | None = None) -> list[EventId]:
        """Do as `add_many`, in a thread where it may have to wait."""
        if self._log._may_block(ack):  # noqa: SLF001
            return await asyncio.to_thread(self.add_many, list(messages), ack)
        return self.add_many(messages, ack)

    async def aclear(self, ack: str | None = None, *, covered: int = 0, seal: bytes = b"") -> EventId:
        """Do as `clear`, in a thread where it may have to wait."""
        if self._log._may_block(ack):  # noqa: SLF001
            return await asyncio.to_thread(self.clear, ack, covered=covered, seal=seal)
        return self.clear(ack, covered=covered, seal=seal)

    async def amessages(self, last: int | None = None, as_of: datetime | EventId | str | None = None) -> Messages:
        """Do as `messages`, with the backend's own async client."""
        return _as_given(await self.aread_events(last, as_of))

    async def aread_events(
        self, last: int | None = None, as_of: datetime | EventId | str | None = None, rider: Rider | None = None
    ) -> Events:
        """Do as `read_events`, with the backend's own async client."""
        query = self._query(last, as_of)._replace(rider=rider)
        return _selected(await self._log._aread(query), last)  # noqa: SLF001

    def _query(self, last: int | None, as_of: datetime | EventId | str | None) -> Query:
        if last is not None and (type(last) is not int or last < 0):
            raise ValueError(f"expected last as a number of messages, zero or more; found {last!r}")
        wall_ms = self._log.now_ms()
        before, now_ms = _bound(as_of, wall_ms)
        return Query(self.session_id, self._key.session, now_ms, wall_ms, last, before)


class Events(NamedTuple):
    """Visible events, oldest first, with what `Messages` tells."""

    events: Sequence[MessageAdded]
    source: str
    complete: bool


def _selected(answer: Answer, last: int | None) -> Events:
    events: Sequence[MessageAdded] = answer.folded.messages
    if last is not None:
        events = events[max(0, len(events) - last) :]
    return Events(events, answer.source, answer.complete)


def _as_given(found: Events) -> Messages:
    return Messages([event.message for event in found.events], found.source, complete=found.complete)


def _bound(as_of: datetime | EventId | str | None, now_ms: int) -> tuple[bytes | None, int]:
    """Give the bound on ids (exclusive) and the time in ms that a read is made for."""
    if as_of is None:
        return None, now_ms
    if isinstance(as_of, datetime):
        if as_of.utcoffset() is None:
            raise ValueError("expected as_of as an aware datetime, found a naive one; give it a time zone")
        then_ms = (as_of - EPOCH) // MS
        return first_id_at(max(0, then_ms) + 1), then_ms
    if isinstance(as_of, (str, bytes)):
        event_id = EventId.parse(as_of) if isinstance(as_of, str) else EventId(as_of)
        return (int.from_bytes(event_id, "big") + 1).to_bytes(ID_BYTES, "big"), event_id.ms
    raise ValueError(f"expected as_of as an event id, its text or an aware datetime; found {type(as_of).__name__}")


def _too_large(size: int) -> MessageTooLarge:
    return MessageTooLarge(f"expected at most {ADD_BYTES_MAX} bytes in one add call, found {size}; nothing was written")
