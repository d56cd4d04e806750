"""Room: the delivery loop of one backend: frames from its cursor on, in batches, until the store has them.

Invariants:
* The cursor moves only when each event of a batch is in the store or aside (storing.py): a crash in between delivers
  twice, which is harmless (ports.py), never less than once.
* Retries live here and nowhere else: full jitter, for ever, while the backend is unavailable.
* Each backend has a loop and cursors of its own; a slow one holds back nobody.
* A fault in an adapter is told and retried like an outage; it never ends the loop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from threading import Event, RLock, Thread
from time import thread_time
from typing import NamedTuple, Protocol

import tenacity

from eventlog.alarm import Alarm
from eventlog.aside import Aside
from eventlog.directory import Folder
from eventlog.errors import BackendError, BackendUnavailable
from eventlog.follower import Cursor, Follower, Report
from eventlog.frames import Frame
from eventlog.place import backend_key
from eventlog.ports import Backend
from eventlog.segment import Position
from eventlog.statefile import StateFile
from eventlog.status import DelivererState, State
from eventlog.storing import Storer

EVENTS_MAX = 4096
BYTES_MAX = 2 << 20
IDLE_S = 0.5
STOP_S = 0.5
SHARE = 0.3
"""What a loop takes of a core's time while it keeps up, and of the interpreter's while its own writer is at it ..."""
BURST_LAG_EVENTS_MAX = 500_000
"""... until this much is pending."""
NAP_S = 0.001
DOWN_AFTER_FAILURES = 3
BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.05, 2.0

logger = logging.getLogger("eventlog.delivery")


class End(Protocol):
    """The journal of this process, as far as its own deliverer needs it."""

    @property
    def end(self) -> Position:
        """Where the next frame goes."""
        ...


class Source:
    """One folder, as the deliverer of one backend sees it."""

    def __init__(self, folder: Folder, key: str, report: Report, own: End | None) -> None:
        """Begin at the saved cursor. `own` is the journal where this process itself writes the folder."""
        self.folder, self._own = folder, own
        self._cursor: Cursor = folder.cursor(key)
        self.follower = Follower(folder.path, self._cursor.load(), report)
        self.saved = self.follower.position
        self.state = StateFile(folder.state_path(key))

    @property
    def is_own(self) -> bool:
        """Tell whether this process writes the folder."""
        return self._own is not None

    def has_more(self) -> bool:
        """Tell, at no cost for one's own journal, whether a read may find frames."""
        if self._own is None:
            return self.follower.may_have_more()
        end = self._own.end
        return (end.segment, end.offset) != (self.saved.segment, self.saved.offset)

    @property
    def own_ordinal(self) -> int:
        """How many events this process has written here; 0 if it does not."""
        return self._own.end.ordinal if self._own is not None else 0

    def is_written(self, since: int) -> bool:
        """Tell whether this process's own writer is at it, and not so far ahead that it must be caught up with."""
        return since < self.own_ordinal < self.saved.ordinal + BURST_LAG_EVENTS_MAX

    def read(self) -> list[Frame]:
        """Give the next frames."""
        return self.follower.read(EVENTS_MAX, BYTES_MAX, finished=self._own is None and not self.folder.alive)

    def save(self) -> None:
        """Move the cursor to where the follower is."""
        if self.follower.position != self.saved:
            self._cursor.save(self.follower.position)
            self.saved = self.follower.position

    def rewind(self) -> None:
        """Go back to the cursor, for what was read since was not stored."""
        self.follower.rewind(self.saved)

    def close(self) -> None:
        """Let go of files."""
        self.state.flush()
        self.follower.close()
        self._cursor.close()


class Around(NamedTuple):
    """What a loop needs of the process around it."""

    aside: Aside
    now_ms: Callable[[], int]
    sleepers: set[Alarm]
    """While a loop sleeps, its alarm is in here."""
    report: Report
    on_stored: Callable[[str], None]
    """Called with the key of a backend that took a batch, before its cursor moves."""
    on_progress: Callable[[], None]
    """Called after a cursor moved."""


class Delivery:
    """The loop of one backend; a thread once started."""

    def __init__(self, backend: Backend, around: Around) -> None:
        """Take the backend; nothing runs yet."""
        self.backend = backend
        self.key = backend_key(backend.identity)
        self._storer = Storer(backend, self.key, around.aside, around.now_ms)
        self.failures = 0
        self.last_error: str | None = None
        self._around = around
        self._sources: dict[str, Source] = {}
        self._dropped: list[Source] = []
        self._naps, self._owed_s = 0, 0.0
        self._lock = RLock()
        self._wake, self._stop = Alarm(), Event()
        self._thread: Thread | None = None
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(BackendError),
            wait=tenacity.wait_random_exponential(multiplier=BACKOFF_FIRST_S, max=BACKOFF_MAX_S),
            stop=tenacity.stop_when_event_set(self._stop),
            sleep=tenacity.sleep_using_event(self._stop),
            reraise=True,
        )

    def add_source(self, folder: Folder, own: End | None = None) -> None:
        """Deliver a folder too, whose delivery lock this process holds."""
        with self._lock:
            self._sources[folder.path.name] = Source(folder, self.key, self._around.report, own)
        self.wake()

    def drop_source(self, name: str) -> None:
        """Let go of a folder that is done."""
        with self._lock:
            source = self._sources.pop(name, None)
            if source is not None:
                self._dropped.append(source)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread = Thread(target=self._run, name=f"eventlog-{self.key}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the append under way, or leave it to itself where that hangs; what is left stays in the journal."""
        self._stop.set()
        self._wake.ring()
        if self._thread is not None:
            self._thread.join(STOP_S)
        if not self.running:
            for name in list(self._sources):
                self.drop_source(name)
            self._close_dropped()

    def _close_dropped(self) -> None:
        """Close what was dropped, in the thread that may have been using it."""
        with self._lock:
            dropped, self._dropped = self._dropped, []
        for source in dropped:
            source.close()

    def wake(self) -> None:
        """Tell an idle loop that there is something new."""
        self._wake.ring()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                moved = self._step()
                self._storer.probe()
            except BackendError:
                return  # stopped while the backend was away
            except Exception as error:
                logger.exception("delivery to %s met a fault of ours; it is tried again", self.backend.identity)
                self._failed(BackendUnavailable(f"{type(error).__name__} in the delivery loop"))
                self._stop.wait(BACKOFF_MAX_S)
                continue
            if not moved:
                self._sleep()

    def _sleep(self) -> None:
        self._around.sleepers.add(self._wake)
        sources = self._current()
        if not any(source.has_more() for source in sources) and not self._wake.wait(self._nap_s(sources)):
            self._flush_states()
        self._around.sleepers.discard(self._wake)
        self._wake.clear()

    def _flush_states(self) -> None:
        for source in self._current():
            source.state.flush()

    def told(self, name: str) -> DelivererState | None:
        """Give what this process knows of a folder that it delivers: fresher than the file."""
        source = self._sources.get(name)
        return source.state.value if source is not None else None

    def _nap_s(self, sources: list[Source]) -> float:
        """Give how long to sleep: nobody wakes us for what another process appends, so then it is not long."""
        self._naps += 1
        return IDLE_S if all(source.is_own for source in sources) else min(IDLE_S, NAP_S * self._naps)

    def _current(self) -> list[Source]:
        with self._lock:
            return list(self._sources.values())

    def _step(self) -> bool:
        """Deliver one batch of each folder; tell whether anything moved."""
        self._close_dropped()
        moved = [self._deliver_from(source) for source in self._current()]
        if any(moved):
            self._naps = 0
            self._give_way()
        return any(moved)

    def _deliver_from(self, source: Source) -> bool:
        if not source.has_more():
            return False
        began_s, written = thread_time(), source.own_ordinal
        try:
            frames = source.read()
            if frames:
                self._retrying.copy()(self._append, source, grouped(frames))
            if source.follower.position == source.saved or not self._save(source):
                return False
        except Exception:
            source.rewind()
            raise
        source.state.touch()
        self._around.on_progress()
        if not is_full(frames) or source.is_written(since=written):
            self._owed_s += thread_time() - began_s
        return True

    def _save(self, source: Source) -> bool:
        """Move the cursor, unless the folder was handed over meanwhile: then it is another's to move."""
        with self._lock:
            if self._sources.get(source.folder.path.name) is not source:
                return False
            source.save()
            return True

    def _give_way(self) -> None:
        """Leave the core to writers for a while, unless somebody waits: then the bell rings."""
        owed_s, self._owed_s = self._owed_s, 0.0
        if owed_s:
            self._wake.wait(owed_s * (1 / SHARE - 1))

    def _append(self, source: Source, batch: Mapping[str, list[bytes]]) -> None:
        try:
            taken = self._storer.store(batch)
        except BackendError as error:
            source.state.value.retries += 1
            self._failed(error)
            self._tell(source)
            raise
        source.state.value.delivered += taken
        self._around.on_stored(self.key)
        self._succeeded(source)

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        found = f"{type(error).__name__}: {error}"
        if self.failures == 1 or found != self.last_error:
            logger.warning("delivery to %s waits: %s", self.backend.identity, found)
        self.last_error = found

    def _tell(self, source: Source) -> None:
        value = source.state.value
        value.state = self.state
        value.last_error = self.last_error
        source.state.touch()

    def _succeeded(self, source: Source) -> None:
        if self.failures:
            logger.warning("delivery to %s goes on after %d failed attempts", self.backend.identity, self.failures)
            self.failures, self.last_error = 0, None
        if source.state.value.state != "ok":  # ours, or what a dead deliverer told last
            self._tell(source)

    @property
    def running(self) -> bool:
        """Tell whether this process delivers to the backend."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def state(self) -> State:
        """Tell how the last attempts went."""
        if not self.failures:
            return "ok"
        return "down" if self.failures >= DOWN_AFTER_FAILURES else "retrying"


def is_full(frames: list[Frame]) -> bool:
    """Tell whether a batch is as large as one may be: then more waits behind it."""
    if not frames:
        return False
    first, last = frames[0], frames[-1]
    return last.ordinal + last.events - first.ordinal >= EVENTS_MAX or last.end - first.offset >= BYTES_MAX


def grouped(frames: list[Frame]) -> dict[str, list[bytes]]:
    """Gather the records of frames by session."""
    batch: dict[bytes, list[bytes]] = {}
    for frame in frames:
        if frame.events:
            records = batch.get(frame.session)
            if records is None:
                batch[frame.session] = frame.records
            else:
                records += frame.records
    return {session.decode(): records for session, records in batch.items()}
