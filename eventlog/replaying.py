"""Room: a whole session, its outline in memory and its text piece by piece: to be gone through, shown, and followed.

Invariants:
* Memory holds 33 bytes an event, what is pending, and one piece; the text stays in the backend that answered.
* Where an event is, is read and not guessed: each backend that answers is asked for the ids of the piece. What waits
  for one is looked up before it is asked, so nothing is ever nowhere for having just been delivered.
* A look after the first reads as far back as there is news. A whole one, which finds what came late, takes at most a
  twentieth of the time; what waits on this host is found by every look.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from time import monotonic
from typing import NamedTuple

from eventlog.errors import BackendUnavailable
from eventlog.events import ID_BYTES
from eventlog.ports import Backend
from eventlog.projections.messages import merge
from eventlog.projections.outline import Lifetimes, Outline, Row, row
from eventlog.projections.timeline import Place, State, Summary, TimelineEntry, entry, summary
from eventlog.reading import Query, Reach, SessionReader, Store

PIECE_EVENTS = 1000
_GLANCE_EVENTS, _GROWTH = 16, 4
WHOLE_SHARE = 20
"""A whole look comes after so many times as long as the last one took."""


class Span(NamedTuple):
    """A stretch of ids; no ceiling is no bound."""

    floor: bytes = b""
    ceiling: bytes | None = None

    def of(self, records: Sequence[bytes]) -> Sequence[bytes]:
        """Give the records, of some in order, that lie in it."""
        stop = len(records) if self.ceiling is None else bisect_left(records, self.ceiling)
        return records[bisect_left(records, self.floor) : stop]


def walk(backend: Backend, session: str, span: Span, limit: int) -> Iterator[tuple[Span, list[bytes]]]:
    """Give a session's records, newest page first, each page with the stretch that it covers; pages grow."""
    ceiling = span.ceiling
    while True:
        page = backend.read(session, before=ceiling, limit=limit)
        floor = b"" if len(page) < limit else page[0][:ID_BYTES]
        covered = Span(max(floor, span.floor), ceiling)
        yield covered, list(covered.of(page))
        if floor <= span.floor:
            return
        ceiling, limit = floor, min(PIECE_EVENTS, limit * _GROWTH)


class Replay:
    """One session as it stood at the last look."""

    def __init__(
        self,
        reader: Callable[[], SessionReader],
        query: Callable[[], Query],
        clock_s: Callable[[], float] = monotonic,
    ) -> None:
        """Look at nothing yet. `reader` and `query` are asked at each look, `clock_s` tells how long one took."""
        self._reader, self._query, self._clock_s = reader, query, clock_s
        self.outline = Outline()
        self._reach = Reach(None, [], complete=False)
        self._whole_at_s = float("-inf")
        self._lives: Lifetimes | None = None
        self._summary: Summary | None = None
        self.inserted = 0
        """How often events came before others that were there already."""

    @property
    def source(self) -> str:
        """Name the backend that answered, or the journal."""
        return self._reach.source

    @property
    def complete(self) -> bool:
        """Tell whether the first backend answered."""
        return self._reach.complete

    def __len__(self) -> int:
        return len(self.outline)

    def look(self) -> Outline:
        """Read what is new, and give it. Raises `BackendUnavailable` only with strict reads."""
        query, started_s = self._query(), self._clock_s()
        whole = started_s >= self._whole_at_s
        news = self._reader().reach(query, lambda reach: self._news(reach, query, whole=whole))
        if not self.complete:
            self._whole_at_s = float("-inf")
        elif whole:
            ended_s = self._clock_s()
            self._whole_at_s = ended_s + WHOLE_SHARE * (ended_s - started_s)
        self._take(news)
        self._reader().observe(query, (self.outline.id_at(number) for number in reversed(range(len(self)))))
        return news

    def _take(self, news: Outline) -> None:
        if len(news) or self.outline.changes_by_itself:
            self._lives = self._summary = None
        if not len(self):
            self.outline = news
        elif len(news):
            self.inserted += news.id_at(0) < self.outline.id_at(len(self) - 1)
            self.outline.add(news)

    def _news(self, reach: Reach, query: Query, *, whole: bool) -> Outline:
        self._reach = reach
        span = Span(ceiling=query.before)
        pieces = []
        if reach.store:
            for covered, page in walk(reach.store.backend, query.session, span, _limit(whole=whole)):
                pieces.append(Outline(self._unknown(merge(covered.of(reach.waiting), page))))
                span = Span(ceiling=covered.floor)
                if not whole and page and page[0][:ID_BYTES] in self.outline:
                    break
        pieces.append(Outline(self._unknown(span.of(reach.waiting))))
        return Outline.joined(reversed(pieces))

    def _unknown(self, records: Sequence[bytes]) -> list[Row]:
        outline = self.outline
        if not records or not len(outline):
            return list(map(row, records))
        first, last = outline.find(records[0][:ID_BYTES]), outline.find(records[-1][:ID_BYTES])
        known = {outline.id_at(number) for number in range(first, min(len(outline), last + 1))}
        return [row(record) for record in records if record[:ID_BYTES] not in known]

    # what there is

    @property
    def lives(self) -> Lifetimes:
        """How long each message was to be seen."""
        if self._lives is None:
            self._lives = Lifetimes(self.outline, self._query().now_ms)
        return self._lives

    def summary(self) -> Summary:
        """Sum it up."""
        if self._summary is None:
            self._summary = summary(self.lives)
        return self._summary

    def __iter__(self) -> Iterator[TimelineEntry]:
        """Give the entries, oldest first, reading a piece at a time."""
        self._lives = self.lives
        for start in range(0, len(self), PIECE_EVENTS):
            yield from self.entries(start, start + PIECE_EVENTS)

    def entries(self, start: int, stop: int, *, partial: bool = False) -> list[TimelineEntry]:
        """Give a few entries by their numbers; raises `BackendUnavailable`, or gives them as "unread" if `partial`."""
        stop = min(stop, len(self))
        if start >= stop:
            return []
        span = Span(self.outline.id_at(start), self.outline.id_at(stop) if stop < len(self) else self._query().before)
        waiting = {store.name: _ids(span.of(self._waiting(store))) for store in self._reader().stores}
        held = {store.name: self._held(store, span, stop - start) for store in self._reader().stores}
        records = {record[:ID_BYTES]: record for record in self._records(held, span)}
        places = [_Place(name, held[name].keys(), waiting[name] - held[name].keys()) for name in held]
        lives = self._lives
        if lives is None:
            lives = Lifetimes(self.outline.since(start), self._query().now_ms)
        skipped = len(self) - len(lives)
        found = []
        for number in range(start, stop):
            event_id = self.outline.id_at(number)
            record = records.get(event_id)
            if record is None and not (self.complete or partial):
                raise BackendUnavailable("expected an answer of the first backend, found none; only it has all of this")
            missing: State = "removed" if self.complete else "unread"
            found.append(entry(lives, number - skipped, record, _place(event_id, places), missing))
        return found

    def _waiting(self, store: Store) -> list[bytes]:
        return self._reader().waiting(self._query(), store)

    def _held(self, store: Store, span: Span, count: int) -> dict[bytes, bytes]:
        """Give what a backend holds of a stretch: nothing, if it does not answer and is not the one that did."""
        needed = store is self._reach.store
        if not needed and not store.usable:
            return {}
        try:
            pages = [page for _, page in walk(store.backend, self._query().session, span, count)]
        except BackendUnavailable as error:
            store.failed(error)
            if needed:
                raise
            return {}
        return {record[:ID_BYTES]: record for page in pages for record in page}

    def _records(self, held: dict[str, dict[bytes, bytes]], span: Span) -> list[bytes]:
        stored = held[self.source].values() if self._reach.store else ()
        return merge(span.of(self._reach.waiting), list(stored))


def _limit(*, whole: bool) -> int:
    return PIECE_EVENTS if whole else _GLANCE_EVENTS


class _Place(NamedTuple):
    """One backend, for one piece."""

    name: str
    held: AbstractSet[bytes]
    waiting: AbstractSet[bytes]


def _place(event_id: bytes, places: Sequence[_Place]) -> Place:
    return Place(
        tuple(place.name for place in places if event_id in place.held),
        tuple(place.name for place in places if event_id in place.waiting),
    )


def _ids(records: Sequence[bytes]) -> set[bytes]:
    return {record[:ID_BYTES] for record in records}
