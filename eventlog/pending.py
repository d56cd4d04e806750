"""Room: what the journals of this host hold for a session that a backend does not have yet.

Invariants:
* The cursor is read before the frames, the frames before what is aside, that before the backend: what moves on
  meanwhile is seen twice, never not at all.
* It spans all writers of the directory, dead or alive, through files only: one worker's add is in the next read of
  its sibling. The index keeps the cost off the backlog's size.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from threading import RLock

from eventlog.aside import Aside
from eventlog.directory import Directory, Folder
from eventlog.follower import Cursor, SegmentReader, segment_numbers
from eventlog.frames import HEADER_BYTES
from eventlog.segment import Position


class _FolderView:
    """One writer's folder as one backend lacks it, with its segments and its cursor kept open between reads."""

    def __init__(self, folder: Folder, key: str) -> None:
        self._folder = folder
        self._cursor: Cursor = folder.cursor(key)
        self._segments: dict[int, SegmentReader] = {}

    def records(self, session: bytes) -> Iterator[bytes]:
        position = self._cursor.load()
        segments = self._after(position)
        for number, segment in segments:
            floor = position.offset if number == position.segment else HEADER_BYTES
            for frame in segment.newest(session, floor, finished=number < segments[-1][0]):
                yield from frame.records

    def sessions(self) -> Iterator[str]:
        position = self._cursor.load()
        for number, segment in self._after(position):
            for frame in segment.scan(position.offset if number == position.segment else HEADER_BYTES):
                if frame.events:
                    yield frame.session.decode()

    def let_go(self, position: Position | None = None) -> None:
        """Close the segments that the backend has all of: an open file keeps its room when its name is gone."""
        if self._segments:
            first = (position or self._cursor.load()).segment
            for number in [number for number in self._segments if number < first]:
                self._segments.pop(number).close()

    def _after(self, position: Position) -> list[tuple[int, SegmentReader]]:
        self.let_go(position)
        self._open_new(position.segment)
        return sorted(self._segments.items())

    def _open_new(self, first: int) -> None:
        """Open what is there and not open yet; a name more than the highest known is all that can be new."""
        known = max(self._segments, default=0)
        if known and not self._open(known + 1):
            return
        for number in segment_numbers(self._folder.path):
            if number >= first:
                self._open(number)

    def _open(self, number: int) -> bool:
        if number not in self._segments:
            try:
                self._segments[number] = SegmentReader(self._folder.path, number)
            except FileNotFoundError:
                return False
        return True

    def close(self) -> None:
        for segment in self._segments.values():
            segment.close()
        self._cursor.close()


class PendingView:
    """All writers' folders of one directory."""

    def __init__(self, directory: Directory, aside: Aside) -> None:
        """Open nothing yet."""
        self._directory, self._aside = directory, aside
        self._views: dict[tuple[str, str], _FolderView] = {}
        self._lock = RLock()

    def records(self, session: bytes, key: str) -> list[bytes]:
        """Give the session's records past the backend's cursors, in no order, maybe doubled."""
        with self._lock:
            journaled = [record for view in self._current(key) for record in view.records(session)]
        return journaled + self._aside.records(session.decode(), key)

    def sessions(self, key: str) -> set[str]:
        """Give the sessions that have anything past the backend's cursors; reads through the whole backlog."""
        with self._lock:
            journaled = {session for view in self._current(key) for session in view.sessions()}
        return journaled | self._aside.sessions(key)

    def let_go(self) -> None:
        """Keep no file open that nobody needs any more, however long nobody reads; whoever reads does it anyway."""
        if not self._views or not self._lock.acquire(blocking=False):
            return
        try:
            self._forget_all_but({folder.path.name for folder in self._directory.folders()})
            for view in self._views.values():
                view.let_go()
        finally:
            self._lock.release()

    def _forget_all_but(self, names: Collection[str]) -> None:
        for gone in [place for place in self._views if place[0] not in names]:
            self._views.pop(gone).close()

    def _current(self, key: str) -> list[_FolderView]:
        folders = {folder.path.name: folder for folder in self._directory.folders()}
        self._forget_all_but(folders)
        for name, folder in folders.items():
            if (name, key) not in self._views:
                self._views[name, key] = _FolderView(folder, key)
        return [self._views[name, key] for name in folders]

    def close(self) -> None:
        """Let go of files."""
        with self._lock:
            for view in self._views.values():
                view.close()
            self._views = {}
