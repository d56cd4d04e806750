"""Row 2: the power goes, at any moment: what `ack="fsync"` returned is found again, by the next process.

The control's files are never synced.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from unittest.mock import patch

from eventlog import index
from eventlog.adapters.memory import MemoryBackend
from eventlog.errors import BackendError
from eventlog.events import ID_BYTES
from eventlog.log import EventLog
from eventlog.ports import Batch
from tests.chaos.power_disk import Disk, PlainFiles
from tests.chaos.promises import Figures, Trial, kept
from tests.contract.suite import ALL
from tests.core.tools import Moody, crash, open_log

IMAGES_A_STORY = 25
JOURNAL_BYTES = 1 << 20
CHAPTERS, ADDS = 3, 60
FLUSH_S = 30.0
COUNTED = ("lost", "strange", "altered", "disordered", "stuck")
ANOTHER_BOOT = bytes(range(16))


class Noting(MemoryBackend):
    """A store with disks of its own, which notes when it had stored what."""

    def __init__(self, disk: Disk) -> None:
        super().__init__("power")
        self._disk = disk
        self.stored: list[tuple[int, dict[str, list[bytes]]]] = []

    def append(self, batch: Batch) -> dict[str, BackendError]:
        """Store, then note."""
        failed = super().append(batch)
        self.stored.append((self._disk.next_tick(), {session: list(records) for session, records in batch.items()}))
        return failed

    def as_of(self, cut: int) -> MemoryBackend:
        """Give a store that has what this one had stored by then."""
        store = MemoryBackend("power")
        for tick, batch in self.stored:
            if tick < cut:
                store.append(batch)
        return store


class Story:
    """A few processes over one journal, one after another; all but the last are killed."""

    def __init__(self, place: Path, chance: Random, *, syncs_files: bool) -> None:
        self._place, self._chance = place, chance
        self.disk = Disk(place, syncs_files=syncs_files)
        self.store = Noting(self.disk)
        self._moody = Moody(self.store)
        self.returned: dict[bytes, int] = {}
        """The events whose `ack="fsync"` returned, and when."""
        self.sessions: dict[bytes, str] = {}
        self.numbers: dict[bytes, int] = {}

    def happen(self) -> None:
        """Write it."""
        with self.disk.noted():
            for _ in range(CHAPTERS):
                log = open_log(
                    self._moody, files=PlainFiles(), journal=self._place, max_journal_bytes=JOURNAL_BYTES, max_block=20
                )
                self._write(log)
                crash(log)

    def _write(self, log: EventLog) -> None:
        for number in range(ADDS):
            self._moody.deaf_to_appends = self._chance.random() < 0.4
            session, size = f"s{self._chance.randrange(3)}", self._chance.choice((20, 500, 9000))
            ack = self._chance.choice((None, "fsync"))
            event_id = bytes(log.history(session).add([len(self.numbers), "x" * size], ack=ack))
            self.sessions[event_id], self.numbers[event_id] = session, len(self.numbers)
            if ack == "fsync":
                self.returned[event_id] = self.disk.next_tick()
            if number % 20 == 19:
                self._moody.deaf_to_appends = False
                assert log.flush(FLUSH_S)
                log._live()._make_room()


def power(trial: Trial) -> Figures:
    """Images of several stories."""
    return kept(_cut(trial, syncs_files=True), *COUNTED)


def unsynced(trial: Trial) -> Figures:
    """The control."""
    return kept(_cut(trial, syncs_files=False), "lost")


def _cut(trial: Trial, *, syncs_files: bool) -> Figures:
    chance = trial.chance
    total: Figures = dict.fromkeys(("images", "expected", *COUNTED), 0)
    while total["images"] < trial.n:
        place = trial.place / f"story-{total['images']}"
        story = Story(place / "journal", chance, syncs_files=syncs_files)
        place.mkdir()
        story.happen()
        for number in range(min(IMAGES_A_STORY, trial.n - total["images"])):
            for name, count in _found(story, _moment(story, chance), chance, place / f"image-{number}").items():
                total[name] += count
    return total


def _moment(story: Story, chance: Random) -> int:
    """Cut anywhere, or just when an add has returned."""
    anywhere = chance.randrange(1, story.disk.tick + 1)
    return chance.choice((anywhere, chance.choice(list(story.returned.values())) + 1))


def _found(story: Story, cut: int, chance: Random, place: Path) -> dict[str, int]:
    """Boot, deliver what is there, and look."""
    story.disk.image(cut, chance, place)
    expected = {event_id for event_id, tick in story.returned.items() if tick < cut}
    store = story.store.as_of(cut)
    with patch.object(index, "boot_id", lambda: ANOTHER_BOOT), open_log(store, journal=place) as log:
        stuck = not log.flush(FLUSH_S)
        after = bytes(log.history("s0").add([len(story.numbers), "after"]))
        stuck = stuck or not log.flush(FLUSH_S)
        told = {session: log.history(session).messages() for session in ("s0", "s1", "s2")}
    found = {record[:ID_BYTES] for session in told for record in store.read(session, limit=ALL)} - {after}
    if not expected - found:
        shutil.rmtree(place)
    numbers = [[message[0] for message in messages] for messages in told.values()]
    here = {story.numbers[event_id] for event_id in found if event_id in story.numbers}
    return {
        "images": 1,
        "expected": len(expected),
        "lost": len(expected - found),
        "strange": len(found - set(story.numbers)),
        "altered": len({number for each in numbers for number in each} ^ here ^ {len(story.numbers)}),
        "disordered": sum(each != sorted(set(each)) for each in numbers),
        "stuck": int(stuck),
    }
