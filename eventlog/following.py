"""Room: a session's entries as they are written, by this process or another.

Invariants:
* Each entry comes once. What sorts behind all that came before is in order; what came late is marked `late`.
* Between looks it sleeps; an add of this process wakes it, those of others are found by the next look.
* To go on where another one stopped, name the last id: what lies up to there counts as known.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import islice, takewhile
from time import sleep
from typing import Protocol, Self, TypeVar

import msgspec

from eventlog.alarm import Alarm
from eventlog.errors import BackendUnavailable
from eventlog.projections.timeline import TimelineEntry
from eventlog.replaying import PIECE_EVENTS, Replay

PAUSE_S = 0.05
"""Between two looks at least, however often the bell rings."""
A = TypeVar("A", bound=Alarm)


class Bells(Protocol):
    """Hangs a bell where this process's adds ring it, for as long as the context lasts."""

    def __call__(self, alarm: A) -> AbstractContextManager[A]:
        """Hang it."""
        ...


class _LoopAlarm(Alarm):
    """A bell that wakes a coroutine."""

    __slots__ = ("_event", "_loop")

    def __init__(self) -> None:
        super().__init__()
        self._loop, self._event = asyncio.get_running_loop(), asyncio.Event()

    def ring(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:
            return  # the loop is closed: nobody waits

    async def heard(self, timeout_s: float) -> bool:
        try:
            return await asyncio.wait_for(self._event.wait(), timeout_s)
        except TimeoutError:
            return False


class Following:
    """An endless iterator of entries, for `for` and for `async for`; `ChatHistory.follow` makes one."""

    def __init__(self, replay: Replay, after: bytes | None, every_s: float, bells: Bells) -> None:
        """Begin after an id, or at the beginning of the session."""
        self.replay = replay
        self._every_s, self._bells = every_s, bells
        self._last = after or b""
        self._begun = self._failed = False
        self._news: deque[bytes] = deque()
        self._ready: deque[TimelineEntry] = deque()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> TimelineEntry:
        """Give the next entry, when there is one. Raises as `messages` does."""
        while not self._ready:
            with self._bells(Alarm()) as alarm:
                if not self.advance() and alarm.wait(self._every_s):
                    sleep(PAUSE_S)
        return self._ready.popleft()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TimelineEntry:
        """Do as `next`; backends are read in a thread."""
        while not self._ready:
            with self._bells(_LoopAlarm()) as alarm:
                if not await asyncio.to_thread(self.advance) and await alarm.heard(self._every_s):
                    await asyncio.sleep(PAUSE_S)
        return self._ready.popleft()

    def advance(self) -> bool:
        """Look, without waiting; tell whether the next entry is there."""
        if self._ready:
            return True
        if not self._news or self._failed:
            self._look()
        try:
            self._read_piece()
        except BackendUnavailable:
            self._failed = True
        return bool(self._ready)

    def _look(self) -> None:
        news: Iterable[bytes] = self.replay.look().ids()
        self._failed = False
        if not self._begun:
            self._begun = True
            news = (event_id for event_id in news if event_id > self._last)
        self._news.extend(news)

    def _read_piece(self) -> None:
        """Read the entries of the next ids that stand beside each other in the session."""
        if not self._news:
            return
        outline = self.replay.outline
        start = outline.find(self._news[0])
        run = list(takewhile(lambda pair: outline.id_at(pair[0]) == pair[1], enumerate(self._next_ids(), start)))
        self._ready.extend(self._marked(self.replay.entries(start, start + len(run))))
        for _ in run:
            self._news.popleft()

    def _next_ids(self) -> list[bytes]:
        return list(islice(self._news, PIECE_EVENTS))

    def _marked(self, entries: Sequence[TimelineEntry]) -> list[TimelineEntry]:
        marked = []
        for each in entries:
            late = each.id < self._last
            self._last = max(self._last, each.id)
            marked.append(msgspec.structs.replace(each, late=True) if late else each)
        return marked
