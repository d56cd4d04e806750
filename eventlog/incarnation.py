"""Room: all that one process has of a log, put together: writer, deliverer, keeper, reader.

Invariants:
* One incarnation, one writer id. A forked child drops its parent's incarnation without touching what is shared, and
  begins one of its own; so do an add and a read after it.
* An order of locks: the writer's, the deliverer's, a loop's; none is held while a backend works.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

from eventlog.alarm import Alarm
from eventlog.aside import Aside
from eventlog.clock import COUNTER_BITS, Clock, is_damage, new_writer
from eventlog.deliverer import Deliverer
from eventlog.delivery import Around, Delivery
from eventlog.directory import Directory, Folder
from eventlog.erasing import ErasedList, blank_session
from eventlog.errors import BackendUnavailable
from eventlog.files import Files
from eventlog.follower import segment_numbers
from eventlog.journal import Journal
from eventlog.keeper import Keeper
from eventlog.pending import PendingView
from eventlog.place import backend_key
from eventlog.ports import Backend
from eventlog.progress import Progress, Target
from eventlog.reading import SessionReader
from eventlog.settings import Settings
from eventlog.writing import Writer

logger = logging.getLogger("eventlog.journal")


class Incarnation:
    """One process's part in a log."""

    def __init__(
        self, settings: Settings, backends: dict[str, Backend], files: Files, now_ms: Callable[[], int]
    ) -> None:
        """Open the directory, take over what dead writers left, begin to deliver."""
        self.settings, self.backends, self.files, self.now_ms = settings, backends, files, now_ms
        self.keys = {name: backend_key(backend.identity) for name, backend in backends.items()}
        self.first = next(iter(self.keys.values()))
        self.directory = Directory(settings.journal, files)
        self.clock = Clock(new_writer(), self._high_water())
        self.aside = Aside(settings.journal)
        self.erased = ErasedList(settings.journal)
        self.pending = PendingView(self.directory, self.aside)
        self.reader = SessionReader(backends, self.pending, self.clock, self.erased, strict=settings.strict_reads)
        self.progress = Progress()
        self.sleepers: set[Alarm] = set()
        around = Around(
            self.aside, now_ms, self.sleepers, self.directory.past.report, self.reader.stored, self.progress.tell
        )
        self.deliveries = {self.keys[name]: Delivery(backend, around) for name, backend in backends.items()}
        self._deliverer = Deliverer(self.directory, self.deliveries, settings.role)
        self._writer = Writer(settings, self.directory, files, self.clock, self.aside)
        self._deliverer.start()
        self._keeper = Keeper(self._writer, self._deliverer, self.pending, self.sleepers)

    def _high_water(self) -> int:
        tick = self.directory.high_water()
        ahead = (tick >> COUNTER_BITS << 16).to_bytes(8, "big")
        if is_damage(ahead, self.now_ms()):
            logger.error("the journal's last id lies more than 24 h ahead of this clock; it is not followed")
            return 0
        return tick

    # the sidecar

    @property
    def serving(self) -> bool:
        """Tell whether this process delivers now."""
        return self._deliverer.serving

    @property
    def served(self) -> frozenset[str]:
        """Name the folders of other writers that this process delivers."""
        return self._deliverer.served

    # the writer

    @property
    def journal(self) -> Journal | None:
        """What this process writes; None before its first add."""
        return self._writer.journal

    @property
    def own(self) -> Folder | None:
        """Where this process writes; None before its first add."""
        return self._writer.folder

    def writer(self) -> Journal:
        """Give this process's journal, made at the first call; `JournalError` if it cannot be."""
        if self._writer.journal is not None:
            return self._writer.journal
        identities = [backend.identity for backend in self.backends.values()]
        return self._writer.open(identities, self._deliverer.serve, deliver=self._deliverer.serving)

    def wake(self) -> None:
        """Tell sleeping loops that an event was appended."""
        for sleeper in tuple(self.sleepers):
            sleeper.ring()

    def wait_for_room(self, size: int) -> None:
        """Return when `size` more bytes keep within the bound; `JournalFull` after `max_block`."""
        self._writer.wait_for_room(self.writer(), size, self._make_room, self.progress)

    def _make_room(self) -> None:
        self._writer.finish_segment()
        self.wake()
        self._deliverer.collect()

    def free_disk(self) -> bool:
        """Let what is delivered go from a full disk; False where some of what this process wrote still waits."""
        self._writer.finish_segment()
        journal, folder = self.journal, self.own
        if journal is None or folder is None or not journal.empty:
            return False

        def freed() -> bool:
            self.wake()
            self._writer.sync()
            self._deliverer.collect()
            self.pending.let_go()
            return len(segment_numbers(folder.path)) == 1

        return self.progress.wait_for(freed, self.settings.max_block_s)

    # waiting

    def adopt(self) -> None:
        """Take over the folders of dead writers that nobody delivers."""
        self._deliverer.adopt()

    def flush_targets(self) -> list[Target]:
        """Give what a flush waits for: what this process acknowledged, and what dead writers left."""
        ends = [(folder, folder.end()) for folder in self.directory.folders() if not folder.alive]
        if self.own is not None and self.journal is not None:
            ends.append((self.own, self.journal.end))
        return [Target(folder, key, end) for folder, end in ends for key in folder.backends()]

    def wake_loops(self) -> None:
        """Let no loop give way to a writer any longer: somebody waits."""
        for delivery in self.deliveries.values():
            delivery.wake()

    def wait_delivered(self, targets: list[Target], timeout_s: float | None) -> bool:
        """Wait until every cursor has reached its target; False when the time is up first."""
        self.wake_loops()
        return self.progress.wait_reached(targets, timeout_s, lambda _: False)

    def wait_in_first_backend(self, event_id: bytes, timeout_s: float) -> bool:
        """Wait until the first backend has the event that was just appended here."""
        if self.own is None or self.journal is None:
            return True
        self.wake_loops()
        target, deadline = Target(self.own, self.first, self.journal.end), monotonic() + timeout_s
        if not self.progress.wait_for(lambda: target.reached, timeout_s):
            return False
        left_s = max(0.0, deadline - monotonic())
        return self.progress.wait_for(lambda: not self.aside.holds(self.first, event_id), left_s)

    def wait_nothing_aside(self, timeout_s: float | None) -> bool:
        """Wait until no event is held; False when the time is up, or at once when only dead letters remain."""
        keys = self.keys.values()
        if not self.progress.wait_for(lambda: not any(self.aside.counts(key).held for key in keys), timeout_s):
            return False
        return not any(self.aside.counts(key).dead for key in keys)

    def erase(self, session: str, encoded: bytes, cut: bytes) -> None:
        """Remove a session below a cut from this host's files and from every backend that can be reached.

        First from the files; then, when each loop of the host is past what it may have read before, from the backends.
        """
        ends = [(folder, folder.end()) for folder in self.directory.folders()]
        targets = [Target(folder, key, end) for folder, end in ends for key in folder.backends()]
        self.erased.add(encoded, cut)
        blank_session(self.directory, self.files, encoded, cut)
        self.aside.erase(session, cut)
        self.progress.wait_reached(targets, self.settings.max_block_s, self._is_down)
        for backend in self.backends.values():
            try:
                backend.remove(session, cut)
            except BackendUnavailable as error:
                logger.warning(
                    "an erased session is still in %s, and goes when the cut arrives: %s", backend.identity, error
                )

    # the end

    def stop(self, timeout_s: float) -> None:
        """Deliver for up to `timeout_s`, then end; what is left stays in the journal.

        A backend that is known to be down is not waited for.
        """
        if self.settings.role == "process" and timeout_s > 0:
            self.progress.wait_reached(self.flush_targets(), timeout_s, self._is_down)
        self._keeper.stop()
        self._deliverer.stop()
        self._writer.close()
        self.pending.close()
        self.aside.close()

    def _is_down(self, key: str) -> bool:
        return self.deliveries[key].state == "down"

    def abandon(self) -> None:
        """Let go, in a forked child, of the parent's descriptors, without unlocking or telling anybody."""
        self._writer.abandon()
        self._deliverer.let_go()
