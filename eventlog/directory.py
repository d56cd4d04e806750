"""Room: a journal's directory: one folder a writer, locks, the bound, what may be removed.

    <root>/
      lock                    held while a folder is made or leftovers are cleared
      high-water              the highest tick that any writer of this host gave out
      damage.jsonl, delivered.json    what is known of what is gone (past.py)
      <writer, 16 hex>/       built and locked under a temporary name, then renamed
        writer.lock           held by the process that writes here, for life
        delivery.lock         held by the process that delivers from here
        backends              which backends the events are for: {key: identity}
        ballast               room for one more segment (ballast.py)
        00000001.seg .idx     segments (frames.py) and their indexes (index.py)
        <key>.cursor          how far a backend has got (follower.py)
        <key>.state           what its deliverer tells of it

Invariants:
* A segment is removed only when the cursors of all its folder's backends are past it, and are on the disk.
* A folder is removed only when its writer is dead, all of it is delivered, and the delivery lock is held.
* Nothing is moved or truncated for another process to deliver it.
* Before a segment goes, the time of the last id is remembered, unless the disk refuses: then room matters more.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import Struct
from threading import get_ident
from zlib import crc32

import msgspec

from eventlog import ballast
from eventlog.clock import COUNTER_BITS, tick_of
from eventlog.events import ID_BYTES, WRITER_BYTES
from eventlog.files import PRIVATE_FILE, PRIVATE_FOLDER, Files
from eventlog.follower import Cursor, SegmentReader, segment_numbers
from eventlog.locks import FileLock, is_locked
from eventlog.past import Past
from eventlog.place import backend_key, prepare
from eventlog.segment import INDEX_SUFFIX, START, SUFFIX, Position, index_path, segment_path
from eventlog.statefile import read_state

COARSE_MS = 11
"""How much later than a file's time says it may have been written: that time is of the kernel's last tick."""
_HIGH_WATER = Struct("<QI")
_TEMPORARY = ".new-"
_CURSOR = ".cursor"
_COUNTED = (SUFFIX, INDEX_SUFFIX, ballast.NAME)


class Folder:
    """One writer's folder, as its writer, its deliverer or a reader sees it."""

    def __init__(self, path: Path) -> None:
        """Name it; nothing is opened."""
        self.path = path
        self.writer_lock = FileLock(path / "writer.lock")
        self.delivery_lock = FileLock(path / "delivery.lock")

    @property
    def alive(self) -> bool:
        """Tell whether its writer lives (in this process or another)."""
        return self.writer_lock.held or is_locked(self.path / "writer.lock")

    @property
    def served(self) -> bool:
        """Tell whether any process delivers from here."""
        return self.delivery_lock.held or is_locked(self.path / "delivery.lock")

    def backends(self) -> dict[str, str]:
        """Give key -> identity of the backends that its events are for; where that is damaged, the keys of cursors."""
        try:
            return msgspec.json.decode((self.path / "backends").read_bytes(), type=dict[str, str])
        except (OSError, msgspec.MsgspecError):
            return {name[: -len(_CURSOR)]: name[: -len(_CURSOR)] for name in self._names() if name.endswith(_CURSOR)}

    def _names(self) -> list[str]:
        try:
            return [path.name for path in self.path.iterdir()]
        except FileNotFoundError:
            return []  # removed meanwhile

    def position(self, key: str) -> Position:
        """Give where a backend stands."""
        cursor = self.cursor(key)
        position = cursor.load()
        cursor.close()
        return position

    def cursor(self, key: str) -> Cursor:
        """Give the cursor of one backend, unopened."""
        return Cursor(self.path / f"{key}{_CURSOR}")

    def state_path(self, key: str) -> Path:
        """Give the place of what the deliverer tells of a backend."""
        return self.path / f"{key}.state"

    def end(self) -> Position:
        """Give where the last whole frame ends, for a folder of any process."""
        for number in reversed(segment_numbers(self.path)):
            try:
                segment = SegmentReader(self.path, number)
            except FileNotFoundError:
                continue
            last, header, size = segment.last_frame(), segment.header, segment.size_bytes
            segment.close()
            if last is not None:
                return Position(number, last.end, last.ordinal + last.events)
            if header is not None:
                return Position(number, size, header.first_ordinal)
        return Position(0, 0, 0)

    def is_delivered(self, key: str) -> bool:
        """Tell whether a backend has all that is here; sure only while nobody writes."""
        numbers = segment_numbers(self.path)
        position = self.position(key)
        if not numbers or position.segment > numbers[-1]:
            return True
        try:
            size = segment_path(self.path, numbers[-1]).stat().st_size
        except FileNotFoundError:
            return True  # removed meanwhile, as all is when it is delivered
        return position.segment == numbers[-1] and position.offset >= size

    def release(self) -> None:
        """Close both locks."""
        self.delivery_lock.close()
        self.writer_lock.close()


class Directory:
    """All the folders of one journal."""

    def __init__(self, root: Path, files: Files) -> None:
        """Make or check the place; `ConfigurationError` if it is not fit (place.py)."""
        self.root = prepare(root)
        self.past = Past(root)
        self._files = files
        self._lock_path = root / "lock"
        self._inside: set[int] = set()
        with self._locked():
            pass

    def folders(self) -> list[Folder]:
        """Give every writer's folder, dead or alive."""
        try:
            names = sorted(path.name for path in self.root.iterdir())
        except FileNotFoundError:
            return []
        return [Folder(self.root / name) for name in names if _is_writer_name(name)]

    def new_folder(self, writer: bytes, identities: Iterable[str], *, deliver: bool) -> Folder:
        """Make a folder for a new writer, with its locks held; `OSError` if there is no room."""
        temporary = Folder(self.root / f"{_TEMPORARY}{writer.hex()}")
        path = self.root / writer.hex()
        with self._locked():
            try:
                self._clear_leftovers()
                _build(temporary, identities, deliver=deliver)
                temporary.path.rename(path)
                self._files.sync_folder(self.root)
                self._files.sync_folder(self.root.parent)
            except BaseException:
                temporary.release()  # what is left of it is cleared by the next one
                raise
        return _renamed(temporary, path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep every other thread and process out; a signal's handler in the middle of that is in already."""
        me = get_ident()
        if me in self._inside:
            yield
            return
        self._inside.add(me)
        lock = FileLock(self._lock_path)
        try:
            while not lock.acquire(wait=True):
                prepare(self.root)
            yield
        finally:
            lock.close()
            self._inside.discard(me)

    def _clear_leftovers(self) -> None:
        """Remove what died half built; only under the directory's lock."""
        for path in self.root.glob(f"{_TEMPORARY}*"):
            if not is_locked(path / "writer.lock"):
                shutil.rmtree(path, ignore_errors=True)

    def usage_bytes(self) -> int:
        """Give the bytes of all segments and indexes, and of the room that is kept for more."""
        return sum(_folder_bytes(folder.path) for folder in self.folders())

    def high_water(self) -> int:
        """Give the highest tick that any writer here is known to have given out."""
        return max([self._stored_high_water(), *map(_last_tick, self.folders())])

    def raise_high_water(self, tick: int) -> None:
        """Remember a tick, unless a higher one is known."""
        with self._locked():
            if tick > self._stored_high_water():
                _write_private(self.root / "high-water", _HIGH_WATER.pack(tick, crc32(tick.to_bytes(8, "little"))))

    def collect(self, folder: Folder) -> int:
        """Remove what every backend of a folder has, the delivery lock held; give the bytes that came free."""
        positions = self._saved_positions(folder)
        floor = min((position.segment for position in positions.values()), default=0)
        delivered = [number for number in segment_numbers(folder.path) if number < floor]
        if delivered:
            self._remember_tick(folder)
        return sum(self._remove_segment(folder.path, number) for number in delivered)

    def remove_if_done(self, folder: Folder) -> bool:
        """Remove a dead writer's folder when every backend has all of it, the delivery lock held."""
        keys = folder.backends()
        if folder.alive or not all(map(folder.is_delivered, keys)) or (not keys and segment_numbers(folder.path)):
            return False  # where it is not known for whom it is, nothing is done
        self._saved_positions(folder)
        self._remember_tick(folder)
        self._remember_counts(folder, keys)
        for number in segment_numbers(folder.path):
            self._remove_segment(folder.path, number)
        shutil.rmtree(folder.path, ignore_errors=True)
        return True

    def _remember_tick(self, folder: Folder) -> None:
        tick = _last_tick(folder)
        if tick:
            with suppress(OSError):  # the file is full-sized from its first tick on; without one, space must come free
                self.raise_high_water(tick)

    def _remember_counts(self, folder: Folder, keys: Iterable[str]) -> None:
        with self._locked():
            self.past.add({key: read_state(folder.state_path(key)) for key in keys})

    def _saved_positions(self, folder: Folder) -> Mapping[str, Position]:
        """Put the cursors on the disk and give them: on their word something is about to go."""
        positions = {}
        for key in folder.backends():
            cursor = folder.cursor(key)
            positions[key] = cursor.load()
            cursor.sync()
            cursor.close()
        return positions

    def _remove_segment(self, folder: Path, number: int) -> int:
        path = segment_path(folder, number)
        size = path.stat().st_size
        self._files.unlink(path)
        self._files.unlink(index_path(folder, number))
        return size

    def _stored_high_water(self) -> int:
        try:
            data = (self.root / "high-water").read_bytes()
        except OSError:
            return 0
        if len(data) != _HIGH_WATER.size:
            return 0
        tick, crc = _HIGH_WATER.unpack(data)
        return int(tick) if crc == crc32(tick.to_bytes(8, "little")) else 0


def _make_cursors(folder: Folder, keys: Iterable[str]) -> None:
    """Take the blocks of cursors now: on a full disk it is they that let space come free."""
    for key in keys:
        cursor = folder.cursor(key)
        cursor.save(START)
        cursor.close()


def _is_writer_name(name: str) -> bool:
    return (
        len(name) == 2 * WRITER_BYTES
        and not name.startswith(".")
        and all(letter in "0123456789abcdef" for letter in name)
    )


def _build(folder: Folder, identities: Iterable[str], *, deliver: bool) -> None:
    folder.path.mkdir(mode=PRIVATE_FOLDER)
    folder.writer_lock.acquire()
    if deliver:
        folder.delivery_lock.acquire()
    wanted = {backend_key(identity): identity for identity in identities}
    _write_private(folder.path / "backends", msgspec.json.encode(wanted))
    _sync(folder.path / "backends")
    _make_cursors(folder, wanted)


def _renamed(folder: Folder, path: Path) -> Folder:
    folder.path = path
    folder.writer_lock.path = path / "writer.lock"
    folder.delivery_lock.path = path / "delivery.lock"
    return folder


def _write_private(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_FILE)
    try:
        os.pwrite(descriptor, data, 0)
    finally:
        os.close(descriptor)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _folder_bytes(path: Path) -> int:
    try:
        with os.scandir(path) as entries:
            return sum(entry.stat().st_size for entry in entries if entry.name.endswith(_COUNTED))
    except FileNotFoundError:
        return 0


def _last_tick(folder: Folder) -> int:
    """Give the tick of the last event in a folder, 0 where there is none: what a kill left unsaid.

    A session that was pushed ahead of the wall does not count: the file's own time is the most it can say.
    """
    for number in reversed(segment_numbers(folder.path)):
        try:
            segment = SegmentReader(folder.path, number)
        except FileNotFoundError:
            continue
        last, written_ms = segment.last_frame(), int(segment.written_s * 1000)
        segment.close()
        if last is not None and last.records:
            return min(tick_of(last.records[-1][:ID_BYTES]), (written_ms + COARSE_MS) << COUNTER_BITS)
    return 0
