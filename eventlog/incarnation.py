"""Room: all that one process has of a log: its writer, its delivery loops, its keeper, its reader.

Invariants:
* One incarnation, one writer id. A forked child drops its parent's incarnation without touching what is shared, and
  begins one of its own; so do an add and a read after it.
* The writer's folder is made at the first add: who only reads leaves nothing behind.
* A folder is delivered by the process that holds its delivery lock; a free lock of a dead writer is taken at the
  start and then within `ADOPT_EVERY_S`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Condition, Event, RLock, Thread
from time import monotonic

from eventlog.aside import Aside
from eventlog.clock import COUNTER_BITS, Clock, is_damage, new_writer
from eventlog.delivery import Delivery
from eventlog.directory import Directory, Folder
from eventlog.errors import ConfigurationError, JournalError, JournalFull
from eventlog.files import Files
from eventlog.follower import Cursor
from eventlog.index import buckets_for, index_bytes
from eventlog.journal import Journal, Position
from eventlog.pending import PendingView
from eventlog.place import backend_key
from eventlog.ports import Backend
from eventlog.reading import SessionReader
from eventlog.rewriting import write_again
from eventlog.settings import Settings

SYNC_EVERY_S = 0.05
SYNC_PAUSE_MAX_S = 5.0
ADOPT_EVERY_S = 0.5
IDLE_SEGMENT_S = 60.0
WAIT_STEP_S = 0.01
_GRANT = 8

logger = logging.getLogger("eventlog.journal")


class Incarnation:
    """One process's part in a log."""

    def __init__(
        self, settings: Settings, backends: dict[str, Backend], files: Files, now_ms: Callable[[], int]
    ) -> None:
        """Open the directory, take over what dead writers left, begin to deliver."""
        self.settings, self.backends, self._files, self.now_ms = settings, backends, files, now_ms
        self.keys = {name: backend_key(backend.identity) for name, backend in backends.items()}
        self.directory = Directory(settings.journal, files)
        self.damage: set[tuple[Path, int, str]] = set()
        self._refuse_missing_backends()
        self.clock = Clock(new_writer(), self._high_water())
        self.aside = Aside(settings.journal)
        self.pending = PendingView(self.directory, self.aside)
        self.reader = SessionReader(backends, self.pending, self.clock, strict=settings.strict_reads)
        self.progress = Condition()
        self.sleepers: set[Event] = set()
        self.deliveries = {
            self.keys[name]: Delivery(backend, self.aside, now_ms, self.sleepers, self._report, self._progressed)
            for name, backend in backends.items()
        }
        self.journal: Journal | None = None
        self.own: Folder | None = None
        self._adopted: dict[str, Folder] = {}
        self._lock = RLock()
        self._rotated_at = monotonic()
        self._sync_at, self._sync_pause_s = 0.0, SYNC_EVERY_S
        self._waker, self._stop = Event(), Event()
        self._begin()

    def _begin(self) -> None:
        if self.settings.deliver:
            self.adopt()
            for delivery in self.deliveries.values():
                delivery.start()
        self._keeper = Thread(target=self._keep, name="eventlog-keeper", daemon=True)
        self._keeper.start()

    def _high_water(self) -> int:
        tick = self.directory.high_water()
        ahead = (tick >> COUNTER_BITS << 16).to_bytes(8, "big")
        if is_damage(ahead, self.now_ms()):
            logger.error("the journal's last id lies more than 24 h ahead of this clock; it is not followed")
            return 0
        return tick

    def _refuse_missing_backends(self) -> None:
        ours = set(self.keys.values())
        for folder in self.directory.folders():
            if folder.alive:
                continue
            for key, identity in folder.backends().items():
                if key not in ours and not folder.is_delivered(key):
                    raise ConfigurationError(
                        f"expected the backend {identity} among those opened, for events in {folder.path} wait for it; "
                        "open it too, or see: eventlog drain --help"
                    )

    # the writer

    def writer(self) -> Journal:
        """Give this process's journal, made at the first call; `JournalError` if it cannot be."""
        with self._lock:
            if self.journal is None:
                self.journal = self._new_journal()
            return self.journal

    def _new_journal(self) -> Journal:
        identities = [backend.identity for backend in self.backends.values()]
        try:
            folder = self.directory.new_folder(self.clock.writer, identities, deliver=self.settings.deliver)
        except OSError as error:
            raise JournalError(f"expected to make a folder in {self.directory.root}, found {error.strerror}") from error
        try:
            journal = Journal(self._files, folder.path, self.clock, self.clock.writer, self.settings.segment_bytes)
        except JournalError:
            self.clock.writer = new_writer()
            folder.release()
            raise
        self.own = folder
        if self.settings.deliver:
            for delivery in self.deliveries.values():
                delivery.add_source(folder, journal)
        return journal

    def wake(self) -> None:
        """Tell sleeping loops that an event was appended."""
        for sleeper in tuple(self.sleepers):
            sleeper.set()

    def wait_for_room(self, size: int) -> None:
        """Return when `size` more bytes keep within the bound; `JournalFull` after `max_block`."""
        deadline = monotonic() + self.settings.max_block_s
        journal = self.writer()
        while not self._grant(journal, size):
            self._make_room(journal)
            if self._grant(journal, size):
                return
            if monotonic() >= deadline:
                raise JournalFull(
                    f"expected room for {size} bytes in {self.directory.root} (max_journal_bytes "
                    f"{self.settings.max_journal_bytes}) within {self.settings.max_block_s} s, found none; "
                    "the backend must take what is pending first"
                )
            self._wait_progress(WAIT_STEP_S)

    def _grant(self, journal: Journal, size: int) -> bool:
        slack = size + index_bytes(buckets_for(self.settings.segment_bytes))
        left = self.settings.max_journal_bytes - self.directory.usage_bytes() - self.aside.size_bytes
        if left < slack:
            return False
        journal.allowance_bytes = max(slack, left // _GRANT)
        return True

    def _make_room(self, journal: Journal) -> None:
        with suppress(JournalError):
            if self._own_delivered():
                journal.rotate()
        for delivery in self.deliveries.values():
            delivery.wake()
        self._collect()

    def _own_delivered(self) -> bool:
        if self.own is None or self.journal is None or self.journal.empty:
            return False
        end = self.journal.end
        return all(self._reached(self.own, key, end) for key in self.keys.values())

    # waiting

    def _progressed(self) -> None:
        with self.progress:
            self.progress.notify_all()

    def _wait_progress(self, timeout_s: float) -> None:
        with self.progress:
            self.progress.wait(timeout_s)

    @staticmethod
    def _reached(folder: Folder, key: str, target: Position) -> bool:
        cursor: Cursor = folder.cursor(key)
        position = cursor.load()
        cursor.close()
        return position[:2] >= target[:2] or not folder.path.exists()

    def wait_delivered(self, targets: list[tuple[Folder, str, Position]], timeout_s: float | None) -> bool:
        """Wait until every cursor has reached its target; False when the time is up first."""
        deadline = None if timeout_s is None else monotonic() + timeout_s
        left = list(targets)

        def done() -> bool:
            left[:] = [target for target in left if not self._reached(*target)]
            return not left

        return self._wait_for(done, deadline)

    def wait_in_first_backend(self, event_id: bytes, timeout_s: float) -> bool:
        """Wait until the first backend has the event that was just appended here."""
        if self.own is None or self.journal is None:
            return True
        first = next(iter(self.keys.values()))
        deadline = monotonic() + timeout_s
        if not self.wait_delivered([(self.own, first, self.journal.end)], timeout_s):
            return False
        return self._wait_for(lambda: not self.aside.holds(first, event_id), deadline)

    def wait_nothing_aside(self, timeout_s: float | None) -> bool:
        """Wait until no event is held; False when the time is up, or at once when only dead letters remain."""
        deadline = None if timeout_s is None else monotonic() + timeout_s
        if not self._wait_for(lambda: not any(self.aside.counts(key).held for key in self.keys.values()), deadline):
            return False
        return not any(self.aside.counts(key).dead for key in self.keys.values())

    def _wait_for(self, done: Callable[[], bool], deadline: float | None) -> bool:
        while not done():
            if deadline is not None and monotonic() >= deadline:
                return False
            self._wait_progress(WAIT_STEP_S)
        return True

    def flush_targets(self) -> list[tuple[Folder, str, Position]]:
        """Give what a flush waits for: what this process acknowledged, and what dead writers left."""
        folders = [(folder, folder.end()) for folder in self.directory.folders() if not folder.alive]
        if self.own is not None and self.journal is not None:
            folders.append((self.own, self.journal.end))
        return [(folder, key, end) for folder, end in folders for key in folder.backends()]

    # the keeper

    def _keep(self) -> None:
        adopt_at = monotonic() + ADOPT_EVERY_S
        while not self._stop.is_set():
            self._doze(max(0.0, adopt_at - monotonic()))
            try:
                self._sync()
                if monotonic() >= adopt_at:
                    self._tidy()
                    adopt_at = monotonic() + ADOPT_EVERY_S
            except Exception:
                logger.exception("the keeper of the journal met a fault of ours; it goes on")
                self._stop.wait(ADOPT_EVERY_S)

    def _doze(self, until_adopt_s: float) -> None:
        self.sleepers.add(self._waker)
        if self.journal is None or not self.journal.dirty:
            self._waker.wait(until_adopt_s)
        self.sleepers.discard(self._waker)
        self._waker.clear()
        self._stop.wait(SYNC_EVERY_S)

    def _sync(self) -> None:
        journal = self.journal
        if journal is None or self.own is None or not journal.dirty or monotonic() < self._sync_at:
            return
        try:
            journal.sync()
            self._sync_pause_s = SYNC_EVERY_S
        except JournalError as error:
            self._sync_at = monotonic() + self._sync_pause_s
            self._sync_pause_s = min(SYNC_PAUSE_MAX_S, self._sync_pause_s * 2)
            logger.error("%s; what it held is written again, the next add raises", error)  # noqa: TRY400
            write_again(journal, self.own.path, error)
        with suppress(OSError):
            self.directory.raise_high_water(self.clock.last)

    def _tidy(self) -> None:
        if self.settings.deliver:
            self.adopt()
        if self.journal is not None and monotonic() - self._rotated_at > IDLE_SEGMENT_S:
            self._rotated_at = monotonic()
            with suppress(JournalError):
                if self._own_delivered():
                    self.journal.rotate()
        self._collect()

    def adopt(self) -> None:
        """Take over the folders of dead writers that nobody delivers."""
        for folder in self.directory.folders():
            if folder.path.name in self._adopted or (self.own and folder.path == self.own.path) or folder.alive:
                continue
            if not set(folder.backends()) <= set(self.keys.values()) or not folder.delivery_lock.acquire():
                continue
            self._adopted[folder.path.name] = folder
            for key in folder.backends():
                self.deliveries[key].add_source(folder)

    def _collect(self) -> None:
        with self._lock:
            if self.own is not None and self.own.delivery_lock.held:
                self.directory.collect(self.own)
            for name, folder in list(self._adopted.items()):
                self.directory.collect(folder)
                if self.directory.remove_if_done(folder):
                    self._drop(name)

    def _drop(self, name: str) -> None:
        for delivery in self.deliveries.values():
            delivery.drop_source(name)
        self._adopted.pop(name).release()

    def _report(self, path: Path, offset: int, size: int, what: str) -> None:
        if (path, offset, what) not in self.damage:
            self.damage.add((path, offset, what))
            logger.error("found %s in %s at %d, %d bytes; stepped over", what, path, offset, size)

    # the end

    def stop(self, timeout_s: float) -> None:
        """Deliver for up to `timeout_s`, then end; what is left stays in the journal."""
        if self.settings.deliver and timeout_s > 0:
            self._deliver_last(timeout_s)
        self._stop.set()
        self._waker.set()
        self._keeper.join()
        for delivery in self.deliveries.values():
            delivery.stop()
        self._close_writer()
        for folder in self._adopted.values():
            folder.release()
        self.pending.close()
        self.aside.close()

    def _deliver_last(self, timeout_s: float) -> None:
        """Wait for what can still be delivered; a backend that is known to be down is not waited for."""
        left = self.flush_targets()
        deadline = monotonic() + timeout_s

        def done() -> bool:
            left[:] = [target for target in left if self.deliveries[target[1]].state != "down"]
            left[:] = [target for target in left if not self._reached(*target)]
            return not left

        self._wait_for(done, deadline)

    def _close_writer(self) -> None:
        if self.journal is None or self.own is None:
            return
        try:
            self.journal.close()
            self.directory.raise_high_water(self.clock.last)
        except (JournalError, OSError) as error:
            logger.error("expected to sync the journal at its end, found: %s", error)  # noqa: TRY400
        self.own.writer_lock.close()
        with suppress(OSError):
            if self.own.delivery_lock.held:
                self.directory.remove_if_done(self.own)
        self.own.release()

    def abandon(self) -> None:
        """Let go, in a forked child, of the parent's descriptors, without unlocking or telling anybody."""
        with suppress(Exception):
            if self.journal is not None:
                self.journal.abandon()
        for folder in [*self._adopted.values(), *([self.own] if self.own else [])]:
            with suppress(OSError):
                folder.release()
