"""Row 6: one event in a hundred is refused for good, with the whole batch that it is in.

The control buries a refused batch whole, without looking for the one that is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from time import perf_counter
from unittest.mock import patch

import eventlog
from eventlog.adapters.sqlite import SQLiteBackend
from eventlog.cli.letters import letters_of
from eventlog.errors import BackendError, EventRejected
from eventlog.events import ID_BYTES
from eventlog.log import EventLog
from eventlog.ports import Batch
from eventlog.storing import Storer
from tests.chaos.promises import Figures, Trial, kept
from tests.chaos.whims import impatient
from tests.contract.suite import ALL

POISONED = b"\xc0\xde poison"
SHARE = 0.01
SESSIONS = 100
FLUSH_S = 3600.0


class Picky(SQLiteBackend):
    """A store that refuses a whole batch for one event in it, and does not say which, until it is cured."""

    cured = False
    calls = 0

    def append(self, batch: Batch) -> dict[str, BackendError]:
        """Store all or nothing."""
        self.calls += 1
        if not self.cured and any(POISONED in record for records in batch.values() for record in records):
            raise EventRejected(f"{self.identity}: something in it is refused")
        return super().append(batch)


def poison(trial: Trial) -> Figures:
    """Without delay for the others; then all of it, when the store is cured."""
    clean_s = _clean_s(trial)
    figures = _poisoned(trial)
    figures["times_as_long_as_without"] = round(figures.pop("took_s") / clean_s, 2)
    return kept(figures, "delayed", "misjudged", "retries", "lost_after_cure", "disordered")


def buried(trial: Trial) -> Figures:
    """The control."""

    def bury(self: Storer, batch: Batch, error: EventRejected) -> int:
        self._put(batch, "dead", str(error))
        return 0

    with patch.object(Storer, "_halve", bury):
        return kept(_poisoned(trial), "misjudged", "delayed")


def _clean_s(trial: Trial) -> float:
    place = trial.place / "clean"
    with eventlog.open(Picky(_made(place) / "store.db"), journal=place / "journal") as log:
        return _added(log, trial.n, set())[1]


def _made(place: Path) -> Path:
    place.mkdir()
    return place


def _poisoned(trial: Trial) -> Figures:
    place = _made(trial.place / "poisoned")
    bad = {number for number in range(trial.n) if trial.n == 1 or number % 100 == trial.seed % 100}
    store = Picky(place / "store.db")
    with impatient(), eventlog.open(store, journal=place / "journal") as log:
        ids, took_s = _added(log, trial.n, bad)
        poisonous = {ids[number] for number in bad}
        there = set(_stored(store))
        with letters_of(log.status(), None) as letters:
            dead = letters.all()
            found = {letter.record[:ID_BYTES] for _, letter in dead}
            retries = log.status().backends["sqlite"].retries
            calls, store.cured = store.calls, True
            letters.retry(dead)
            assert log.flush(FLUSH_S)
        return {
            "events": trial.n,
            "poison": len(bad),
            "took_s": took_s,
            "calls": calls,
            "delayed": len(set(ids) - poisonous - there),
            "misjudged": len(found ^ poisonous),
            "retries": retries,
            "lost_after_cure": len(set(ids) - set(_stored(store))),
            "disordered": sum(map(_is_wrong, _read(log, trial.n))),
        }


def _added(log: EventLog, count: int, bad: set[int]) -> tuple[list[bytes], float]:
    """Add numbered messages, round and round the sessions, wait for delivery, and give ids and the seconds it took."""
    chats = [log.history(f"s{session}") for session in range(SESSIONS)]
    began = perf_counter()
    ids = [
        bytes(chats[number % SESSIONS].add([number, POISONED if number in bad else b"fine"])) for number in range(count)
    ]
    log.flush(FLUSH_S)
    return ids, perf_counter() - began


def _stored(store: Picky) -> Iterable[bytes]:
    for session in range(SESSIONS):
        for record in store.read(f"s{session}", limit=ALL):
            yield record[:ID_BYTES]


def _read(log: EventLog, count: int) -> Iterable[tuple[list[int], list[int]]]:
    for session in range(min(SESSIONS, count)):
        found = [message[0] for message in log.history(f"s{session}").messages()]
        yield found, list(range(session, count, SESSIONS))


def _is_wrong(pair: tuple[list[int], list[int]]) -> bool:
    return pair[0] != pair[1]
