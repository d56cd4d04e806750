"""Row 7: hosts whose clocks are 500 ms apart, an hour back (or set back), a day ahead, over one store.

Who adds after seeing a clear is not hidden by it; what was seen when it was cleared does not come back. What a host had
seen is what was in the store before its last read, and what it wrote. The control's clocks look at nothing they see.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import NamedTuple
from unittest.mock import patch

from eventlog.adapters.memory import MemoryBackend
from eventlog.clock import Clock, now_ms
from eventlog.events import ID_BYTES
from tests.chaos.promises import Figures, Trial, kept
from tests.chaos.whims import impatient
from tests.contract.suite import ALL
from tests.core.records import DAY_MS, HOUR_MS
from tests.core.tools import Moody, Wall, open_log

HOSTS, ROUNDS, HISTORIES_AT_ONCE = 3, 12, 50
ALMOST_A_DAY_MS = DAY_MS - 10 * 60_000
SKEWS_MS = [(0, 500, -500), (0, -HOUR_MS, 500), (0, ALMOST_A_DAY_MS, 500)]
FLUSH_S = 30.0
COUNTED = ("hidden", "came_back", "disordered", "stuck")


class Written(NamedTuple):
    """An event, and the ids that its writer had seen."""

    event_id: bytes
    is_clear: bool
    seen: frozenset[bytes]


class Host:
    """One host: a clock, a journal, and what it saw."""

    def __init__(self, place: Path, store: MemoryBackend, wall: Wall, ids: dict[int, bytes]) -> None:
        self.wall, self.ids = wall, ids
        self.store = Moody(store)
        self.log = open_log(self.store, journal=place, wall=wall)
        self.seen: dict[str, set[bytes]] = {}

    def read(self, session: str) -> set[bytes]:
        """Read a session; all that was in the store before has been seen now."""
        there = {record[:ID_BYTES] for record in self.store.inner.read(session, limit=ALL)}
        shown = {self.ids[message] for message in self.log.history(session).messages()}
        self.seen.setdefault(session, set()).update(there, shown)
        return shown

    def write(self, session: str, *, clear: bool) -> Written:
        """Add or clear."""
        seen = self.seen.setdefault(session, set())
        before, chat = frozenset(seen), self.log.history(session)
        event_id = bytes(chat.clear() if clear else chat.add(len(self.ids)))
        self.ids[len(self.ids)] = event_id
        seen.add(event_id)
        return Written(event_id, clear, before)


class World:
    """Some hosts, one store, and histories that they write together."""

    def __init__(self, place: Path, chance: Random, skews_ms: tuple[int, ...], histories: int) -> None:
        self._chance, self._may_be_set_back = chance, ALMOST_A_DAY_MS not in skews_ms
        store, start_ms = MemoryBackend(place.name), now_ms() - 2 * DAY_MS
        ids: dict[int, bytes] = {}
        self._hosts = [
            Host(place / f"host-{number}", store, Wall(start_ms + skew), ids) for number, skew in enumerate(skews_ms)
        ]
        self._written: dict[str, list[Written]] = {f"{place.name}-{number}": [] for number in range(histories)}

    def happen(self) -> Figures:
        """Write, round by round, with hosts that are cut off from the store for a while; then look from everywhere."""
        for _ in range(ROUNDS):
            self._round()
        stuck = sum([not self._arrives(host, deaf=False) for host in self._hosts])
        total: Figures = {"events": 0, **dict.fromkeys(COUNTED, 0), "stuck": stuck}
        for session, written in self._written.items():
            total["events"] += len(written)
            total["disordered"] += sum(event.event_id <= max(event.seen, default=b"") for event in written)
            for host in self._hosts:
                hidden, back = _compared(written, host.read(session))
                total["hidden"] += hidden
                total["came_back"] += back
        for host in self._hosts:
            host.log.close()
        return total

    def _round(self) -> None:
        for host in self._hosts:
            host.wall.ms += self._chance.randrange(400)
            if self._may_be_set_back and self._chance.random() < 0.05:
                host.wall.ms -= HOUR_MS
        for session, written in self._written.items():
            host = self._chance.choice(self._hosts)
            if self._chance.random() < 0.6:
                host.read(session)
            written.append(host.write(session, clear=self._chance.random() < 0.3))
        for host in self._hosts:
            self._arrives(host, deaf=self._chance.random() < 0.4)

    def _arrives(self, host: Host, *, deaf: bool) -> bool:
        host.store.deaf_to_appends = deaf
        return deaf or host.log.flush(FLUSH_S)


def clocks(trial: Trial) -> Figures:
    """So many histories, each kind of skew in turn."""
    return kept(_written(trial), *COUNTED)


def blind(trial: Trial) -> Figures:
    """The control."""
    with patch.object(Clock, "observe", lambda *_: None):
        return kept(_written(trial), "hidden", "came_back")


def _written(trial: Trial) -> Figures:
    chance = trial.chance
    total: Figures = {"histories": 0, "events": 0, **dict.fromkeys(COUNTED, 0)}
    with impatient():
        while total["histories"] < trial.n:
            count = min(HISTORIES_AT_ONCE, trial.n - total["histories"])
            skews_ms = SKEWS_MS[total["histories"] // HISTORIES_AT_ONCE % len(SKEWS_MS)]
            place = trial.place / f"world-{total['histories']}"
            found = World(place, chance, skews_ms, count).happen()
            total = {name: total[name] + found.get(name, 0) for name in total}
            total["histories"] += count
    return total


def _compared(written: list[Written], shown: set[bytes]) -> tuple[int, int]:
    """Count the messages that are hidden and should not be, and those that are back."""
    clears = [event for event in written if event.is_clear]
    hidden = back = 0
    for message in written:
        if not message.is_clear:
            others = any(c.event_id > message.event_id and c.event_id not in message.seen for c in clears)
            hidden += message.event_id not in shown and not others
            back += message.event_id in shown and any(message.event_id in c.seen for c in clears)
    return hidden, back
