"""Room: the messages of a session, folded from its records. Pure and total.

    in id order:   if the sliding window had lapsed by this event's `at`: the sliding messages gathered so far go
                   a clear: all gathered go, the window closes
                   a message is gathered; a sliding one sets the window to `at + ttl`
    at the end:    a lapsed window takes the sliding messages; each expired fixed one goes

Invariants:
* Any order of arrival and any doubles give the same result; an unknown kind is counted and skipped; a damaged body is
  quarantined: counted and reported, never an exception.
* The fold of the newest records is the fold of all, restricted to them: so `last=N` may read backwards and stop.
* A clear whose id lies more than 24 h ahead of the wall is damage and hides nothing; such a message is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from eventlog.clock import is_damage
from eventlog.codec import FIXED, PAYLOAD_AT, PERMANENT, SLIDING, decode, decode_messages
from eventlog.errors import DamagedBody
from eventlog.events import ID_BYTES, HistoryCleared, MessageAdded


class Folded(NamedTuple):
    """What a fold gives: the visible messages in order, and what it could not read."""

    messages: list[MessageAdded]
    quarantined: list[bytes]
    """Ids of the records whose body does not decode."""
    unknown: int
    cut: bool
    """Whether a clear was met: nothing before these records can be visible."""


def merge(*runs: Sequence[bytes]) -> list[bytes]:
    """Give the records of all runs in id order, each id once; of two bodies under one id the larger wins."""
    present = [run for run in runs if run]
    if len(present) == 1 and _strictly_rising(present[0]):
        return list(present[0])
    by_id = {record[:ID_BYTES]: record for record in sorted(record for run in present for record in run)}
    return list(by_id.values())


def _strictly_rising(run: Sequence[bytes]) -> bool:
    ids = [record[:ID_BYTES] for record in run]
    return all(map(bytes.__lt__, ids, ids[1:]))


def fold(records: Iterable[bytes], now_ms: int) -> Folded:
    """Fold records, which may come in any order and doubled, as of `now_ms` (Unix ms)."""
    return fold_merged(merge(list(records)), now_ms)


def fold_merged(records: Sequence[bytes], now_ms: int) -> Folded:
    """Fold records that `merge` gave."""
    kinds = {record[ID_BYTES:PAYLOAD_AT] for record in records}
    with suppress(DamagedBody):
        if kinds <= {PERMANENT}:
            return Folded(decode_messages(records), [], 0, cut=False)
        if kinds == {SLIDING}:
            return Folded(_unlapsed(decode_messages(records), now_ms), [], 0, cut=False)
    state = _Fold(now_ms)
    for record in records:
        state.take(record)
    return state.result()


def _unlapsed(events: list[MessageAdded], now_ms: int) -> list[MessageAdded]:
    """Give the sliding messages after the last time that their window had lapsed, of which there is none if it has."""
    ends_ms = [event.at_ms + event.ttl_ms for event in events]
    if ends_ms[-1] <= now_ms:
        return []
    lapses = (place for place in range(len(events) - 1, 0, -1) if ends_ms[place - 1] <= events[place].at_ms)
    return events[next(lapses, 0) :]


class _Fold:
    """The state of a fold between two records."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self._gathered: list[tuple[bytes, MessageAdded]] = []
        self._window_ms: int | None = None
        self._quarantined: list[bytes] = []
        self._unknown = 0
        self._cut = False

    def take(self, record: bytes) -> None:
        try:
            event = decode(record)
        except DamagedBody:
            self._quarantined.append(record[:ID_BYTES])
            return
        if isinstance(event, MessageAdded):
            self._lapse(event.at_ms)
            self._gather(record[ID_BYTES:PAYLOAD_AT], event)
        elif isinstance(event, HistoryCleared):
            self._clear(record)
        else:
            self._unknown += 1

    def _gather(self, kind: bytes, event: MessageAdded) -> None:
        self._gathered.append((kind, event))
        if kind == SLIDING:
            self._window_ms = event.at_ms + event.ttl_ms

    def _clear(self, record: bytes) -> None:
        if is_damage(record, self._now_ms):
            self._quarantined.append(record[:ID_BYTES])
            return
        self._gathered, self._window_ms, self._cut = [], None, True

    def _lapse(self, at_ms: int) -> None:
        if self._window_ms is not None and self._window_ms <= at_ms:
            self._gathered = [entry for entry in self._gathered if entry[0] != SLIDING]
            self._window_ms = None

    def result(self) -> Folded:
        self._lapse(self._now_ms)
        visible = [event for kind, event in self._gathered if kind != FIXED or self._stays(event)]
        return Folded(visible, self._quarantined, self._unknown, self._cut)

    def _stays(self, event: MessageAdded) -> bool:
        return event.at_ms + event.ttl_ms > self._now_ms
