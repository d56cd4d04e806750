"""Room: one writer's segments: append, sync, rotate.

Invariants:
* `append` returns only after the whole frame was handed to the operating system. When it raises, nothing of the frame
  is left to read: the writer cuts back to the last good offset, or leaves the segment for a new one. Only when a
  signal's handler raised in the middle may the frame be there: a reader may have seen it, so nothing is put over it.
* One lock guards ids and frames, the clock's: ids rise in the order of frames. It lets its owner in again, so that a
  signal's handler can close the journal; what the handler appends in the middle of an append is refused.
* A segment is written by one process only; a higher number means that the lower one is finished. So a segment gets
  its name when it is ready, at once the one to write to.
* The index and the end are set after the write, never before (index.py).
* Syncs run beside appends and take no lock of theirs, so that one may wait for a sync in the middle of an append, as a
  signal's handler that closes the journal does; concurrent callers of `sync` share one (sharing.py).
* What a failed sync was for is never called synced, whatever a later one of the same file says, until it stands again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from errno import EBADF
from pathlib import Path
from threading import RLock

from eventlog.clock import Clock
from eventlog.errors import Closed, JournalError
from eventlog.events import EventId
from eventlog.files import Files, write_all
from eventlog.frames import HEADER_BYTES, new_header, pack_frame
from eventlog.index import buckets_for, index_bytes, session_hash
from eventlog.segment import START, Position, Segment, segment_path
from eventlog.sharing import SharedSync, Synced


class Key:
    """A session's name as the journal needs it, worked out once."""

    __slots__ = ("hash", "session")

    def __init__(self, session: bytes) -> None:
        """Take the encoded session id."""
        self.session = session
        self.hash = session_hash(session)


class Journal:
    """The segments that one process writes."""

    def __init__(self, files: Files, folder: Path, clock: Clock, writer: bytes, segment_bytes: int) -> None:
        """Start the first segment in `folder`; `JournalError` if that cannot be."""
        self._files, self._folder, self._clock, self._writer = files, folder, clock, writer
        self._segment_bytes = segment_bytes
        self._buckets = buckets_for(segment_bytes)
        self._lock, self._sync_lock = clock.lock, RLock()
        self._shared = SharedSync(self._sync_all)
        self._number = self._ordinal = 0
        self._unsynced: list[Segment] = []
        self._synced = START
        self._names_made, self._names_synced = 1, 0
        self._sync_failure: OSError | None = None
        self._broken = self._busy = self._closed = False
        self.doubtful = False
        """Whether a sync failed and what it was for has not been written again."""
        self._doubted: Synced | None = None
        """The last sync that failed: it alone was told, so no later one of the same bytes is believed."""
        self._written_again = START
        self.allowance_bytes = 0
        """What may still be written before the directory's bound is looked at again; the caller looks."""
        try:
            self._segment = self._new_segment()
        except OSError as error:
            raise _failure("start a segment", folder, error) from error

    @property
    def end(self) -> Position:
        """Where the next frame goes: all before it is acknowledged. Takes no lock, so it never stops a writer."""
        segment = self._segment
        return Position(segment.header.number, segment.end, self._ordinal)

    @property
    def empty(self) -> bool:
        """Tell whether the current segment holds no frame."""
        return self._segment.end == HEADER_BYTES

    @property
    def dirty(self) -> bool:
        """Tell whether anything was written that no sync has covered."""
        return self._ordinal != self._synced.ordinal or self._names_made != self._names_synced

    def append(self, key: Key, bodies: Sequence[bytes], wall_ms: int) -> list[EventId]:
        """Write the events of one call as one frame and give their ids; `JournalError` if it could not be written."""
        with self._lock:
            self._busy = not self._busy or refuse_in_the_middle()
            try:
                session = key.session
                make = self._clock.next
                ids = [make(session, wall_ms) for _ in bodies]
                self._write(key, [event_id + body for event_id, body in zip(ids, bodies, strict=True)])
                return ids
            finally:
                self._busy = False

    def append_one(self, key: Key, body: bytes, wall_ms: int) -> EventId:
        """Do as `append`, for one event: the hot path."""
        with self._lock:
            self._busy = not self._busy or refuse_in_the_middle()
            try:
                event_id = self._clock.next(key.session, wall_ms)
                self._write(key, (event_id + body,))
                return event_id
            finally:
                self._busy = False

    def keep(self, key: Key, records: Sequence[bytes]) -> None:
        """Do as `append`, for records that have their ids already."""
        with self._lock:
            self._busy = not self._busy or refuse_in_the_middle()
            try:
                self._write(key, records)
            finally:
                self._busy = False

    def append_records(self, session: bytes, records: Sequence[bytes]) -> None:
        """Write records that have their ids already (what a failed sync left in doubt)."""
        with self._lock:
            failure, self._sync_failure = self._sync_failure, None  # it is for the next add
            try:
                self._write(Key(session), records)
            finally:
                self._sync_failure = failure

    def _write(self, key: Key, records: Sequence[bytes]) -> None:
        if self._sync_failure is not None:
            self._raise_sync_failure()
        segment = self._segment
        index = segment.index
        place = index.find(key.hash)
        frame = pack_frame(segment.header, index.heads[place], self._ordinal, key.session, records)
        size, events = len(frame), len(records)
        if segment.end + size > self._segment_bytes or self._broken:
            segment = self._rotate(segment)
            index = segment.index
            place = index.find(key.hash)
            frame = pack_frame(segment.header, index.heads[place], self._ordinal, key.session, records)
        try:
            if self._files.write(segment.descriptor, frame, segment.end) != size:
                write_all(self._files, segment.descriptor, frame, segment.end)
            index.set(place, segment.end)
        except OSError as error:
            self._raise_if_left(segment)
            self._cut_back(segment)
            raise _failure("write", segment.path, error) from error
        except BaseException:
            self._raise_if_left(segment)
            self._interrupted(segment, size, events)
            raise
        segment.end += size
        self._ordinal += events
        self.allowance_bytes -= size

    def _raise_if_left(self, segment: Segment) -> None:
        if segment.descriptor < 0:
            raise Closed(
                "expected an open log, found one that a signal's handler closed in the middle of this add; "
                "the event is not acknowledged and may be kept"
            )

    def _interrupted(self, segment: Segment, size: int, events: int) -> None:
        """Keep what a reader may have seen, and go on in a new segment."""
        self._broken = True
        if os.fstat(segment.descriptor).st_size >= segment.end + size:
            segment.end += size
            self._ordinal += events
        else:
            self._cut_back(segment)

    def _cut_back(self, segment: Segment) -> None:
        try:
            self._files.truncate(segment.descriptor, segment.end)
        except OSError:
            self._broken = True

    def _rotate(self, segment: Segment) -> Segment:
        if segment.end == HEADER_BYTES and not self._broken:
            return segment
        try:
            fresh = self._new_segment()
        except OSError as error:
            raise _failure("start a segment", self._folder, error) from error
        except BaseException:
            self._broken = True  # its name may be there: a reader has left the old one
            raise
        self._unsynced.append(segment)
        self._segment, self._broken = fresh, False
        return fresh

    def _new_segment(self) -> Segment:
        number = self._number + 1
        while segment_path(self._folder, number).exists():  # an interrupt left it behind, empty
            number += 1
        header = new_header(self._writer, number, self._ordinal, self._buckets)
        segment = Segment(self._files, self._folder, header)
        self._number = number
        self._names_made += 1
        self.allowance_bytes -= HEADER_BYTES + index_bytes(self._buckets)
        return segment

    def rotate(self) -> None:
        """Finish the current segment, if there is anything in it, so that it can be removed once delivered."""
        with self._lock:
            if not self._busy:
                self._rotate(self._segment)

    def sync(self) -> None:
        """Put all that was appended before the call on the disk; `JournalError` if the disk refuses."""
        wanted = self.end
        if self._synced >= wanted and self._names_made == self._names_synced:
            return
        try:
            self._shared.cover(wanted)
            if self._doubted is not None and wanted <= self._doubted.end:
                raise self._doubted.error or OSError()
        except OSError as error:
            if self._closed and self._synced >= wanted:
                return  # a signal's handler closed it, which synced it, in the middle of this
            raise _failure("sync", self._folder, error) from error

    def _sync_all(self) -> Synced:
        with self._sync_lock:
            reached, made, current = self.end, self._names_made, self._segment
            finished = list(self._unsynced)  # last: a rotation meanwhile puts the current one there
            try:
                self._sync_files([*finished, current], names=made != self._names_synced)
            except OSError as error:
                self._broken = self.doubtful = True
                self._doubted = Synced(reached, error)
                return self._doubted
            self._names_synced = made
            for segment in finished:
                with suppress(ValueError):  # a signal's handler that synced in the middle of this was faster
                    self._unsynced.remove(segment)
                segment.close()
            if not self.doubtful:
                self._synced = reached
            return Synced(reached, None)

    def _sync_files(self, segments: list[Segment], *, names: bool) -> None:
        for segment in segments:
            if segment.descriptor >= 0:  # else it was synced before it was closed
                self._files.sync(segment.descriptor)
        if self._closed and self._synced < self.end:
            raise OSError(EBADF, "a file that was closed before it could be synced")
        if names:
            self._files.sync_folder(self._folder)

    @property
    def synced(self) -> Position:
        """Up to where the disk is known to have it."""
        return self._synced

    @property
    def doubt(self) -> Position:
        """From where on the disk may lack what was appended."""
        return max(self._synced, self._written_again)

    def believe_again(self, fresh: int) -> None:
        """Go on with segment `fresh`, where what was in doubt stands again: no sync of an earlier one is believed."""
        with self._lock, self._sync_lock:
            for segment in self._unsynced:
                if segment.header.number < fresh:
                    segment.close()
            self._unsynced = [segment for segment in self._unsynced if segment.header.number >= fresh]
            self._written_again = Position(fresh, HEADER_BYTES, 0)
            self.doubtful = False

    def keep_failure(self, error: OSError) -> None:
        """Let the next append raise for a sync that failed where no caller waited."""
        self._sync_failure = error

    def _raise_sync_failure(self) -> None:
        if self._closed:
            raise Closed("expected an open log, found one that was closed")
        error, self._sync_failure = self._sync_failure, None
        raise _failure("sync what was written before to", self._folder, error or OSError()) from error

    def close(self) -> None:
        """Sync and let go; `JournalError` if the sync fails, after letting go."""
        try:
            self.sync()
        finally:
            with self._lock:
                self.abandon()
                self._closed, self._sync_failure = True, OSError()  # stops who is about to append

    def abandon(self) -> None:
        """Let go of descriptors and pages without a sync: in a forked child, whose parent goes on writing."""
        for segment in [*self._unsynced, self._segment]:
            segment.close()
        self._unsynced = []


def refuse_in_the_middle() -> bool:
    """Raise for what a signal's handler appends in the middle of another append of its thread."""
    raise JournalError(
        "expected no append in the middle of another of the same thread, found one from a signal's handler; "
        "the event was not accepted"
    )


def _failure(what: str, where: Path, error: OSError) -> JournalError:
    return JournalError(f"expected to {what} {where}, found {error.strerror or error}; the event was not accepted")
