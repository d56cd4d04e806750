"""Row 3: a backend that refuses, loses replies, takes half, times out, doubles, reorders; 30 % of the batches.

The control is a store that pushes what it has already once more, as a list does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from eventlog.adapters.memory import MemoryBackend
from eventlog.errors import BackendError
from eventlog.events import ID_BYTES
from eventlog.ports import Backend, Batch
from tests.chaos.promises import Figures, Trial, kept
from tests.chaos.stores import COUNTED, STORES, Ledger, Whimsical
from tests.core.tools import hurry, open_log

SHARE = 0.3
FLUSH_S = 60.0


class Pushing(MemoryBackend):
    """A store that knows no ids: what comes twice is there twice."""

    def append(self, batch: Batch) -> dict[str, BackendError]:
        """Store each record once more."""
        for session, records in batch.items():
            for record in records:
                super().append({session: [self._fresh(session, record)]})
        return {}

    def _fresh(self, session: str, record: bytes) -> bytes:
        held = self._sessions.get(session, {})
        number = int.from_bytes(record[:ID_BYTES], "big")
        while number.to_bytes(ID_BYTES, "big") in held:
            number += 1
        return number.to_bytes(ID_BYTES, "big") + record[ID_BYTES:]


def whims(trial: Trial) -> Figures:
    """Its share of the batches to each adapter."""
    total: Figures = {"batches": 0, "mistreated": 0}
    for number, (name, store) in enumerate(STORES.items()):
        place = trial.place / name
        place.mkdir()
        count = trial.n // len(STORES) + (number < trial.n % len(STORES))
        with store(place) as backend:
            found = _mistreated(Trial(place, count, trial.seed + number), backend)
        total = {key: total.get(key, 0) + value for key, value in found.items()}
    return kept(total, *COUNTED, "stuck")


def pushed(trial: Trial) -> Figures:
    """The control."""
    return kept(_mistreated(trial, Pushing("pushing")), "unequal")


def _mistreated(trial: Trial, backend: Backend) -> Figures:
    chance = trial.chance
    store, ledger = Whimsical(backend, chance, SHARE), Ledger(trial.chance, backend.scheme)
    with impatient(), open_log(store, journal=trial.place / "journal") as log:
        stuck = 0
        while store.batches < trial.n and not stuck:
            for _ in range(8):
                ledger.do_something(log)
            stuck += not log.flush(FLUSH_S)
        store.calm()
        stuck += not log.flush(FLUSH_S)
        found = ledger.compared(log, backend)
    return {"batches": store.batches, "mistreated": store.whims, **found, "stuck": stuck}


@contextmanager
def impatient() -> Iterator[None]:
    """Have delivery try again at once: what is proved is what comes out, not how long it waits."""
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch, BACKOFF_FIRST_S=0.0005, BACKOFF_MAX_S=0.002, PROBE_FIRST_S=0.001, PROBE_MAX_S=0.01)
        yield
