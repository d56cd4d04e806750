"""Room: dead letters, for a person to decide: found, tried again, dropped.

Rules:
* What is told of one is never its text; only `message` gives that.
* An id that is no dead letter is an error before anything is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep, time
from typing import NamedTuple

import msgspec

from eventlog.aside import Aside, DeadLetter
from eventlog.codec import decode
from eventlog.errors import ConfigurationError, DamagedBody, EventLogError
from eventlog.events import ID_BYTES, Event, EventId, HistoryCleared, MessageAdded
from eventlog.place import backend_key
from eventlog.status import Status

_LOOK_EVERY_S = 0.1


class NoSuchLetter(EventLogError):
    """An id names no dead letter."""


class Letter(msgspec.Struct, frozen=True):
    """What is told of a dead letter."""

    id: str
    backend: str
    session: str
    kind: str
    time: datetime
    age_s: float
    dead_since: datetime
    size_bytes: int
    reason: str


class Outcome(NamedTuple):
    """What became of letters that were tried again."""

    delivered: int
    rejected: int
    waiting: int


class Letters:
    """The dead letters of some backends in one journal."""

    def __init__(self, aside: Aside, backends: dict[str, str]) -> None:
        """Take where they lie, and name -> identity."""
        self._aside = aside
        self._keys = {name: backend_key(identity) for name, identity in backends.items()}

    def all(self) -> list[tuple[str, DeadLetter]]:
        """Give each with the name of its backend, oldest first."""
        return [(name, letter) for name, key in self._keys.items() for letter in self._aside.dead_letters(key)]

    def chosen(self, ids: Sequence[EventId]) -> list[tuple[str, DeadLetter]]:
        """Give those with these ids; `NoSuchLetter` names one that is none."""
        found = [(name, letter) for name, letter in self.all() if letter.record[:ID_BYTES] in set(ids)]
        unknown = set(ids) - {letter.record[:ID_BYTES] for _, letter in found}
        for event_id in unknown:
            raise NoSuchLetter(f"expected a dead letter {event_id!s} of {', '.join(self._keys)}, found none")
        return found

    def retry(self, letters: Sequence[tuple[str, DeadLetter]]) -> None:
        """Let the deliverer try them again."""
        for name, ids in _by_backend(letters):
            self._aside.retry_dead(self._keys[name], ids)

    def drop(self, letters: Sequence[tuple[str, DeadLetter]]) -> None:
        """Give them up, for good."""
        for name, ids in _by_backend(letters):
            self._aside.drop_dead(self._keys[name], ids)

    def wait(self, letters: Sequence[tuple[str, DeadLetter]], timeout_s: float) -> Outcome:
        """Wait until each is delivered or dead again; tell what became of them by then."""
        deadline = monotonic() + timeout_s
        while (outcome := self._outcome(letters)).waiting and monotonic() < deadline:
            sleep(_LOOK_EVERY_S)
        return outcome

    def _outcome(self, letters: Sequence[tuple[str, DeadLetter]]) -> Outcome:
        aside = rejected = 0
        for name, ids in _by_backend(letters):
            dead = {letter.record[:ID_BYTES] for letter in self._aside.dead_letters(self._keys[name])}
            rejected += sum(event_id in dead for event_id in ids)
            aside += sum(self._aside.holds(self._keys[name], event_id) for event_id in ids)
        return Outcome(len(letters) - aside, rejected, aside - rejected)


def _by_backend(letters: Sequence[tuple[str, DeadLetter]]) -> Iterator[tuple[str, list[bytes]]]:
    for each in dict.fromkeys(name for name, _ in letters):
        yield each, [letter.record[:ID_BYTES] for name, letter in letters if name == each]


@contextmanager
def letters_of(status: Status, backend: str | None) -> Iterator[Letters]:
    """Give the letters of the backends that a status names, or of one of them."""
    identities = {name: told.identity for name, told in status.backends.items()}
    if backend is not None and backend not in identities:
        raise ConfigurationError(f"expected --backend to be one of {', '.join(identities)}; found {backend!r}")
    aside = Aside(Path(status.journal))
    try:
        yield Letters(aside, identities if backend is None else {backend: identities[backend]})
    finally:
        aside.close()


def told(backend: str, letter: DeadLetter, now_s: Callable[[], float] = time) -> Letter:
    """Give what may be told of a letter."""
    event_id = EventId(letter.record[:ID_BYTES])
    return Letter(
        id=str(event_id),
        backend=backend,
        session=letter.session,
        kind=_kind(letter),
        time=event_id.time,
        age_s=round(max(0.0, now_s() - event_id.ms / 1000), 1),
        dead_since=datetime.fromtimestamp(letter.since_ms / 1000, UTC),
        size_bytes=len(letter.record),
        reason=letter.reason,
    )


def _kind(letter: DeadLetter) -> str:
    event = event_of(letter)
    if isinstance(event, MessageAdded):
        return "message"
    if isinstance(event, HistoryCleared):
        return "erase" if event.erase else "clear"
    return "damaged" if event is None else "unknown"


def event_of(letter: DeadLetter) -> Event | None:
    """Give a letter's event; None if its body does not decode."""
    try:
        return decode(letter.record)
    except DamagedBody:
        return None
