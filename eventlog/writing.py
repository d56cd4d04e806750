"""Room: this process as a writer: its folder, its journal, its share of the bound, its syncs.

Invariants:
* The folder is made at the first add: who only reads leaves nothing behind.
* The directory's bound holds over all processes: each takes a share of what is left at a time, and an add that finds
  none waits, then raises, before anything is acknowledged.
* What is appended is on the disk within `SYNC_EVERY_S`, as long as the disk is sound.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import RLock
from time import monotonic

from eventlog.aside import Aside
from eventlog.ballast import Ballast
from eventlog.clock import Clock, new_writer
from eventlog.directory import Directory, Folder
from eventlog.errors import JournalError, JournalFull
from eventlog.files import Files
from eventlog.index import buckets_for, index_bytes
from eventlog.journal import Journal, refuse_in_the_middle
from eventlog.progress import Progress
from eventlog.rewriting import write_again
from eventlog.settings import Settings

SYNC_EVERY_S = 0.05
SYNC_PAUSE_MAX_S = 5.0
IDLE_SEGMENT_S = 60.0
_SHARE = 8
_BLOCK_BYTES = 4096

Serve = Callable[[Folder, Journal], None]

logger = logging.getLogger("eventlog.journal")


class Writer:
    """What one process writes."""

    def __init__(self, settings: Settings, directory: Directory, files: Files, clock: Clock, aside: Aside) -> None:
        """Make nothing yet."""
        self._settings, self._directory, self._files = settings, directory, files
        self._clock, self._aside = clock, aside
        self._lock = RLock()
        self.journal: Journal | None = None
        self.folder: Folder | None = None
        self._ballast: Ballast | None = None
        self._segment_overhead_bytes = index_bytes(buckets_for(settings.segment_bytes))
        self._opening = False
        self._rotated_at = monotonic()
        self._sync_at, self._sync_pause_s = 0.0, SYNC_EVERY_S

    def open(self, identities: Iterable[str], served: Serve, *, deliver: bool) -> Journal:
        """Give the journal, made at the first call, when `served` is told; `JournalError` if it cannot be."""
        with self._lock:
            if self.journal is None:
                self._opening = not self._opening or refuse_in_the_middle()
                try:
                    self.journal = self._opened(identities, served, deliver=deliver)
                finally:
                    self._opening = False
            return self.journal

    def _opened(self, identities: Iterable[str], served: Serve, *, deliver: bool) -> Journal:
        folder = self._new_folder(identities, deliver=deliver)
        journal = self._new_journal(folder)
        self.folder = folder
        self._ballast = Ballast(folder.path, self._segment_overhead_bytes + 2 * _BLOCK_BYTES)
        self._ballast.take()
        served(folder, journal)
        return journal

    def _new_folder(self, identities: Iterable[str], *, deliver: bool) -> Folder:
        try:
            return self._directory.new_folder(self._clock.writer, identities, deliver=deliver)
        except OSError as error:
            self._clock.writer = new_writer()
            what = error.strerror or error
            raise JournalError(f"expected to make a folder in {self._directory.root}, found {what}") from error

    def _new_journal(self, folder: Folder) -> Journal:
        try:
            return Journal(self._files, folder.path, self._clock, self._clock.writer, self._settings.segment_bytes)
        except BaseException:
            self._clock.writer = new_writer()
            folder.release()
            raise

    # the bound

    def wait_for_room(self, journal: Journal, size: int, make_room: Callable[[], None], progress: Progress) -> None:
        """Return when `size` more bytes keep within the bound; `JournalFull` after `max_block`."""

        def fits() -> bool:
            if self._take_share(journal, size):
                return True
            make_room()
            return self._take_share(journal, size)

        if not progress.wait_for(fits, self._settings.max_block_s):
            raise JournalFull(
                f"expected room for {size} bytes in {self._directory.root} (max_journal_bytes "
                f"{self._settings.max_journal_bytes}) within {self._settings.max_block_s} s, found none; "
                "the backend must take what is pending first"
            )

    def _take_share(self, journal: Journal, size: int) -> bool:
        slack = size + self._segment_overhead_bytes
        left = self._settings.max_journal_bytes - self._directory.usage_bytes() - self._aside.size_bytes
        if left < slack:
            return False
        journal.allowance_bytes = max(slack, left // _SHARE)
        return True

    def finish_segment(self) -> None:
        """Begin a new segment if every backend has all of the current one, so that it can be removed."""
        if self.folder is None or self.journal is None or self.journal.empty:
            return
        end = self.journal.end
        if all(self.folder.position(key)[:2] >= end[:2] for key in self.folder.backends()):
            with suppress(JournalError):
                self._rotate(self.journal)

    def _rotate(self, journal: Journal) -> None:
        try:
            journal.rotate()
        except JournalError:
            if self._ballast is None or not self._ballast.drop():
                raise
            journal.rotate()

    # for the keeper

    def tidy(self) -> None:
        """Let a delivered segment go after a minute, however little is written, and be ready for a full disk."""
        if self._ballast is not None:
            self._ballast.take()
        if monotonic() - self._rotated_at > IDLE_SEGMENT_S:
            self._rotated_at = monotonic()
            self.finish_segment()

    def sync(self) -> None:
        """Put on the disk what no caller waits for; where that fails, write it again and let the next add raise."""
        journal, folder = self.journal, self.folder
        if journal is None or folder is None or not journal.dirty or monotonic() < self._sync_at:
            return
        try:
            if journal.doubtful:
                write_again(journal, folder.path)
            journal.sync()
            self._sync_pause_s = SYNC_EVERY_S
        except JournalError as error:
            self._sync_at = monotonic() + self._sync_pause_s
            self._sync_pause_s = min(SYNC_PAUSE_MAX_S, self._sync_pause_s * 2)
            logger.error("%s; what it held is written again, the next add raises", error)  # noqa: TRY400 (no fault of ours)
            journal.keep_failure(error.__cause__ if isinstance(error.__cause__, OSError) else OSError(str(error)))
        with suppress(OSError):
            self._directory.raise_high_water(self._clock.last)

    # the end

    def close(self) -> None:
        """Sync and let go; the folder goes too if all of it was delivered by this process."""
        if self.journal is None or self.folder is None:
            return
        try:
            self.journal.close()
            self._directory.raise_high_water(self._clock.last)
        except (JournalError, OSError) as error:
            logger.error("expected to sync the journal at its end, found: %s", error)  # noqa: TRY400 (no fault of ours)
        self.folder.writer_lock.close()
        with suppress(OSError):
            if self.folder.delivery_lock.held:
                self._directory.remove_if_done(self.folder)
        self.folder.release()

    def abandon(self) -> None:
        """Let go, in a forked child, without a sync and without unlocking."""
        with suppress(Exception):
            if self.journal is not None:
                self.journal.abandon()
        if self.folder is not None:
            with suppress(OSError):
                self.folder.release()
