"""Room: gets a batch into a backend, whatever single events or sessions of it do.

Invariants:
* `store` returns when each event of the batch is in the backend or aside (aside.py); it raises when the backend as a
  whole is away, and then all of the batch comes again.
* One rejected event never holds back another: what is rejected is halved until it stands alone, a dead letter.
* A session that failed for its own reason is held: its later events go aside too, untried, until a probe succeeds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from time import monotonic

from eventlog.aside import Aside
from eventlog.clock import first_id_at
from eventlog.codec import decode, is_cut, is_imported
from eventlog.errors import BackendError, BackendUnavailable, EventRejected, JournalError
from eventlog.events import ALL_OLD, ID_BYTES, HistoryCleared
from eventlog.ports import Backend, Batch, KeepsOld
from eventlog.projections.retention import is_over

PROBE_EVENTS_MAX = 4096
LATE_MS = 10_000
PENDING_MAX_MS = 90 * 24 * 3600 * 1000
PROBE_FIRST_S, PROBE_MAX_S = 0.5, 15.0

logger = logging.getLogger("eventlog.delivery")


class Storer:
    """Stores batches in one backend for one process."""

    def __init__(self, backend: Backend, key: str, aside: Aside, now_ms: Callable[[], int]) -> None:
        """Go on with the sessions that are held already."""
        self._backend, self._key, self._aside, self._now_ms = backend, key, aside, now_ms
        self._old = backend if isinstance(backend, KeepsOld) else None
        self._held = aside.sessions(key, "held")
        self._pause_s = PROBE_FIRST_S
        self._probe_at = 0.0

    def store(self, batch: Batch) -> int:
        """Store a batch and give the number of events that the backend took; raises `BackendUnavailable`."""
        batch = self._without_old(batch)
        held = {session: batch[session] for session in batch if session in self._held}
        if held:
            self._put(held, "held", "the session waits for an earlier event of its own")
        return self._settle({session: batch[session] for session in batch if session not in held} if held else batch)

    def _without_old(self, batch: Batch) -> Batch:
        """Leave out, as dead letters, what was pending for so long that a clear's marker may be gone by now."""
        oldest = first_id_at(max(0, self._now_ms() - PENDING_MAX_MS))
        if not any(record < oldest for records in batch.values() for record in records):
            return batch
        old = {session: [record for record in records if _is_old(record, oldest)] for session, records in batch.items()}
        self._put(
            {session: records for session, records in old.items() if records},
            "dead",
            "it could be delivered only after more than 90 days; retry it if it should be in the history",
        )
        kept = {session: [each for each in records if not _is_old(each, oldest)] for session, records in batch.items()}
        return {session: records for session, records in kept.items() if records}

    def _settle(self, batch: Batch) -> int:
        if not batch:
            return 0
        over = self._over(batch)
        self._remove_old(over)
        try:
            failed = self._backend.append(batch)
        except EventRejected as error:
            return self._halve(batch, error)
        taken = {session: batch[session] for session in batch if session not in failed} if failed else batch
        self._remove_cleared({session: cut for session, cut in over.items() if session in taken})
        self._remove_late(taken)
        return _count(taken) + sum(self._failed(session, batch[session], failed[session]) for session in failed)

    def _failed(self, session: str, records: Sequence[bytes], error: BackendError) -> int:
        if isinstance(error, EventRejected):
            return self._halve({session: records}, error)
        self._put({session: records}, "held", str(error))
        if not self._held:
            logger.warning("%s does not take some sessions, which are held: %s", self._backend.identity, error)
        self._held.add(session)
        return 0

    def _halve(self, batch: Batch, error: EventRejected) -> int:
        events = [(session, record) for session, records in batch.items() for record in records]
        if len(events) == 1:
            self._put(batch, "dead", str(error))
            logger.error("%s rejects event %s: a dead letter", self._backend.identity, events[0][1][:ID_BYTES].hex())
            return 0
        middle = len(events) // 2
        return self._settle(_grouped(events[:middle])) + self._settle(_grouped(events[middle:]))

    def _put(self, batch: Batch, fate: str, reason: str) -> None:
        try:
            self._aside.put(self._key, batch, "dead" if fate == "dead" else "held", reason, self._now_ms())
        except JournalError as error:
            raise BackendUnavailable(str(error)) from error

    def _over(self, batch: Batch) -> dict[str, bytes]:
        """Give the newest clear without retention of each session that has one."""
        found = {}
        for session, records in batch.items():
            over = [record for record in records if is_cut(record) and is_over(record, self._now_ms())]
            if over:
                found[session] = max(over)
        return found

    def _remove_old(self, over: dict[str, bytes]) -> None:
        """Remove what an older layout held, before the clears that cover it are stored: who meets one finds it gone."""
        covering = {session: cut for session, cut in over.items() if _covers_all(cut)}
        if self._old is None or not covering:
            return
        stored = self._backend.cuts(list(covering))
        for session, cut in covering.items():
            if cut > stored.get(session, b""):
                self._old.remove_old(session, cut[:ID_BYTES])

    def _remove_cleared(self, over: dict[str, bytes]) -> None:
        """Remove what clears without retention hide, once their markers are stored: by the newest of a session."""
        for session, cut in over.items():
            self._backend.remove(session, cut[:ID_BYTES])

    def _remove_late(self, batch: Batch) -> None:
        """Remove again what came late to a session that was cleared meanwhile, if its clear lets it go."""
        late = first_id_at(max(0, self._now_ms() - LATE_MS))
        sessions = [session for session, records in batch.items() if min(records) < late]
        if not sessions:
            return
        for session, cut in self._backend.cuts(sessions).items():
            if min(batch[session]) < cut and is_over(cut, self._now_ms()):
                self._backend.remove(session, cut[:ID_BYTES])

    # what is held

    def probe(self) -> None:
        """Try held events again when it is time; a try that stores some is followed by the next at once."""
        if monotonic() < self._probe_at:
            return
        self._held = self._aside.sessions(self._key, "held")
        self._probe_at = monotonic() + self._pause_s
        if self._held:
            self._try_held()

    def _try_held(self) -> None:
        batch = self._aside.due(self._key, PROBE_EVENTS_MAX)
        over = self._over(batch)
        try:
            self._remove_old(over)
            failed = self._backend.append(batch)
        except EventRejected as error:
            failed = dict.fromkeys(batch, error)
        except BackendUnavailable:
            return
        taken = {session: batch[session] for session in batch if session not in failed}
        self._remove_cleared({session: cut for session, cut in over.items() if session in taken})
        self._aside.taken(self._key, taken)
        self._retried(batch, failed)
        self._pace(progress=bool(taken))

    def _retried(self, batch: Batch, failed: Mapping[str, BackendError]) -> None:
        for session, error in failed.items():
            if isinstance(error, EventRejected):
                self._take_apart(session, batch[session])
        self._aside.tried(self._key, failed)

    def _take_apart(self, session: str, records: Sequence[bytes]) -> None:
        """Try a held session's events one by one: what is taken goes, what is rejected is a dead letter."""
        for record in records:
            alone = {session: [record]}
            try:
                error = self._backend.append(alone).get(session)
            except BackendError as found:
                error = found
            if error is None:
                self._aside.taken(self._key, alone)
            elif isinstance(error, EventRejected):
                self._put(alone, "dead", str(error))
            else:
                return

    def _pace(self, *, progress: bool) -> None:
        self._held = self._aside.sessions(self._key, "held")
        self._pause_s = PROBE_FIRST_S if progress else min(PROBE_MAX_S, self._pause_s * 2)
        self._probe_at = monotonic() + (0.0 if progress and self._held else self._pause_s)
        if progress and not self._held:
            logger.warning("%s takes all sessions again", self._backend.identity)


def _is_old(record: bytes, oldest: bytes) -> bool:
    return record < oldest and not is_imported(record)


def _covers_all(cut: bytes) -> bool:
    event = decode(cut)
    return isinstance(event, HistoryCleared) and event.covered == ALL_OLD


def _grouped(events: Sequence[tuple[str, bytes]]) -> dict[str, list[bytes]]:
    batch: dict[str, list[bytes]] = {}
    for session, record in events:
        batch.setdefault(session, []).append(record)
    return batch


def _count(batch: Batch) -> int:
    return sum(map(len, batch.values()))
