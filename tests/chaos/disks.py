"""Row 5: no room, I/O errors, torn writes, failed syncs, kills among them; every so often a real disk that is full.

The control's disk says that it wrote, and wrote zeros.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from errno import EIO, ENOSPC
from pathlib import Path
from random import Random

from eventlog.adapters.memory import MemoryBackend
from eventlog.errors import JournalError
from eventlog.log import EventLog
from tests.chaos.promises import Figures, Trial, kept
from tests.core.tools import BadDisk, Moody, crash, open_log
from tests.crash.full_disk import NAMESPACE

ROOT = Path(__file__).parents[2]
FAULTS_A_REAL_DISK = 50
FAULTS_A_LOG = 25
JOURNAL_BYTES = 1 << 20
FLUSH_S = 60.0
TORN_BYTES_MAX = 40
"""Less than any frame: a write of all of it would be no fault."""
FAILING = [
    {"write": ENOSPC, "create": ENOSPC},
    {"write": EIO},
    {"write": EIO, "truncate": EIO},
    {"sync": EIO},
    {"create": ENOSPC},
]


class LyingDisk(BadDisk):
    """A disk that never says that anything failed."""

    def write(self, descriptor: int, data: bytes, offset: int) -> int:  # type: ignore[override]
        """Write zeros instead of frames while it fails."""
        return os.pwrite(descriptor, bytes(len(data)) if self.failing and offset else data, offset)

    def _meet(self, call: str) -> None:
        del call


def disks(trial: Trial) -> Figures:
    """Faults of a file layer, and a real full disk for every fifty of them."""
    figures = kept(_faulty(trial, BadDisk), "lost", "strange", "disordered", "stuck", "unrefused")
    return figures | {"real_full_disks": _real_full_disks(trial)}


def lies(trial: Trial) -> Figures:
    """The control."""
    return kept(_faulty(trial, LyingDisk), "lost")


def _real_full_disks(trial: Trial) -> int:
    count = trial.n // FAULTS_A_REAL_DISK
    for number in range(count):
        place = trial.place / f"real-{number}"
        place.mkdir()
        words = [*NAMESPACE, sys.executable, "-m", "tests.crash.full_disk", str(place)]
        done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        shutil.rmtree(place)
    return count


def _faulty(trial: Trial, make: type[BadDisk]) -> Figures:
    chance, total = trial.chance, {"faults": 0, "acknowledged": 0, "refused": 0, "unrefused": 0}
    while total["faults"] < trial.n:
        place = trial.place / f"log-{total['faults']}"
        campaign = _Campaign(place, make(), chance)
        found = campaign.run(min(FAULTS_A_LOG, trial.n - total["faults"]))
        total = {name: total.get(name, 0) + count for name, count in found.items()}
    return total


class _Campaign:
    """One journal, one store, one disk."""

    def __init__(self, place: Path, disk: BadDisk, chance: Random) -> None:
        self._place, self._disk, self._chance = place, disk, chance
        self._store = Moody(MemoryBackend(place.name))
        self._log = self._opened()
        self._numbers = 0
        self._taken: dict[str, list[int]] = {}
        self._maybe: set[int] = set()
        self._refused = self._unrefused = 0

    def _opened(self) -> EventLog:
        return open_log(self._store, files=self._disk, journal=self._place, max_journal_bytes=JOURNAL_BYTES)

    def run(self, faults: int) -> dict[str, int]:
        """Break the disk, mend it, again and again; then deliver and compare."""
        for _ in range(faults):
            self._fault()
        self._store.deaf_to_appends = False
        stuck = not self._log.flush(FLUSH_S)
        found = self._compared()
        self._log.close()
        return {"faults": faults, "refused": self._refused, "unrefused": self._unrefused, "stuck": stuck, **found}

    def _fault(self) -> None:
        self._store.deaf_to_appends = self._chance.random() < 0.5
        self._add(self._chance.randrange(1, 30))
        before = self._refused
        self._disk.torn_bytes = self._chance.choice((0, self._chance.randrange(1, TORN_BYTES_MAX)))
        self._disk.failing = dict(self._chance.choice(FAILING))
        if set(self._disk.failing) == {"create"}:
            self._fill_the_segment()
        elif set(self._disk.failing) == {"sync"}:
            self._add(self._chance.randrange(1, 10), ack="fsync")
        else:
            self._add(self._chance.randrange(1, 10))
        self._unrefused += self._refused == before
        self._disk.mend()
        if self._chance.random() < 0.2:
            crash(self._log)
            self._log = self._opened()
        self._store.deaf_to_appends = False
        self._add(1)
        assert self._log.flush(FLUSH_S)

    def _fill_the_segment(self) -> None:
        self._add(3, size=JOURNAL_BYTES // 20)

    def _add(self, count: int, *, ack: str | None = None, size: int = 0) -> None:
        for _ in range(count):
            self._numbers += 1
            session = f"s{self._chance.randrange(4)}"
            level = ack or self._chance.choice((None, None, "fsync"))
            try:
                self._log.history(session).add([self._numbers, "x" * (size or self._chance.randrange(900))], ack=level)
            except JournalError:
                self._refused += 1
                if level == "fsync":
                    self._maybe.add(self._numbers)  # it may have been written before its sync failed
            else:
                self._taken.setdefault(session, []).append(self._numbers)

    def _compared(self) -> dict[str, int]:
        lost = strange = disordered = 0
        for session, taken in self._taken.items():
            found = [message[0] for message in self._log.history(session).messages()]
            lost += len(set(taken) - set(found))
            strange += len(set(found) - set(taken) - self._maybe)
            disordered += found != sorted(set(found))
        return {
            "acknowledged": sum(map(len, self._taken.values())),
            "lost": lost,
            "strange": strange,
            "disordered": disordered,
        }
