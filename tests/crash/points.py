"""The named points at which a process dies: played in the child by wrapping what production code calls.

Nothing of this is known to the code that is tested. A point strikes at the n-th call that counts, before it, after it,
or half way through it.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

from eventlog import directory, frames, index
from eventlog.adapters.redis import RedisBackend
from eventlog.adapters.sqlite import SQLiteBackend
from eventlog.aside import Aside
from eventlog.deliverer import Deliverer
from eventlog.directory import Directory
from eventlog.files import Files
from eventlog.follower import Cursor
from eventlog.index import IndexWriter
from eventlog.locks import FileLock
from eventlog.statefile import StateFile

When = Literal["before", "half way through", "after"]
Counts = Callable[..., bool]
Half = Callable[..., object]


def die() -> NoReturn:
    """End this process as the kernel's killer would."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody outlives this")


class Point(NamedTuple):
    """A call in the life of a journal, at which somebody may die."""

    owner: Any
    name: str
    when: When
    nth_max: int
    """From how late a call on it may not come up any more."""
    counts: Counts
    half: Half

    def play(self, nth: int, struck: Path) -> None:
        """Have this process die at the n-th call, and leave word of it."""
        call, numbers = getattr(self.owner, self.name), count(1)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            strikes = self.counts(*args, **kwargs) and next(numbers) == nth
            if strikes and self.when != "after":
                self._die(struck, call, args, half=self.when != "before")
            result = call(*args, **kwargs)
            if strikes:
                self._die(struck, call, args, half=False)
            return result

        static = isinstance(vars(self.owner).get(self.name), staticmethod)
        setattr(self.owner, self.name, staticmethod(wrapped) if static else wrapped)

    def _die(self, struck: Path, call: Callable[..., Any], args: Sequence[Any], *, half: bool) -> NoReturn:
        os.close(os.open(struck, os.O_CREAT | os.O_WRONLY))
        if half:
            self.half(call, *args)
        die()


def _always(*_: Any, **__: Any) -> bool:
    return True


def _nothing(*_: Any) -> None:
    raise AssertionError("this call has no half")


def _is_frame(_descriptor: int, data: bytes, _offset: int) -> bool:
    return not _is_header(0, data, 0) and not _is_index(0, data, 0)


def _is_header(_descriptor: int, data: bytes, _offset: int) -> bool:
    return data.startswith(frames.MAGIC)


def _is_index(_descriptor: int, data: bytes, _offset: int) -> bool:
    return data.startswith(index.MAGIC)


def _half_of_the_bytes(write: Callable[..., Any], descriptor: int, data: bytes, offset: int) -> None:
    write(descriptor, data[: len(data) // 2], offset)


def _half_of_the_batch(append: Callable[..., Any], backend: Any, batch: Mapping[str, Sequence[bytes]]) -> None:
    append(backend, {session: records[: (len(records) + 1) // 2] for session, records in [*batch.items()][::2]})


def _half_of_the_files(_: Callable[..., Any], path: Path) -> None:
    for found in sorted(Path(path).iterdir())[::2]:
        found.unlink()


def _is_segment(_files: Files, path: Path) -> bool:
    return path.suffix == ".seg"


def _is_segments_index(_files: Files, path: Path) -> bool:
    return path.suffix == ".idx"


def _gets_a_segments_name(path: Path, _target: Path) -> bool:
    return path.suffix == ".new"


def _gets_a_folders_name(path: Path, _target: Path) -> bool:
    return path.name.startswith(".new-")


def _is_folder_of_the_dead(path: Path, **_: Any) -> bool:
    return not Path(path).name.startswith(".new-")


def _is_dead(_deliverer: Deliverer, _folder: directory.Folder, own: object) -> bool:
    return own is None


def _is_named(name: str) -> Counts:
    return lambda lock, **_: lock.path.name == name


def _writes(name: str) -> Counts:
    return lambda path, _: path.name == name


def _around(what: str, owner: Any, name: str, nth_max: int, counts: Counts = _always) -> dict[str, Point]:
    """Give the two points before and after a call."""
    return {f"{when} {what}": Point(owner, name, when, nth_max, counts, _nothing) for when in ("before", "after")}


def _within(  # noqa: PLR0913, PLR0917 (a row of the table below)
    what: str, owner: Any, name: str, nth_max: int, half: Half, counts: Counts = _always
) -> dict[str, Point]:
    """Give the three points around and in the middle of a call."""
    middle = {f"half way through {what}": Point(owner, name, "half way through", nth_max, counts, half)}
    return _around(what, owner, name, nth_max, counts) | middle


POINTS: dict[str, Point] = {
    # an add
    **_within("the write of a frame", Files, "write", 600, _half_of_the_bytes, _is_frame),
    **_around("the entry in the index", IndexWriter, "set", 600),
    # a rotation
    **_within("the write of an index", Files, "write", 4, _half_of_the_bytes, _is_index),
    **_within("the write of a header", Files, "write", 4, _half_of_the_bytes, _is_header),
    **_around("the naming of a segment", Path, "rename", 4, _gets_a_segments_name),
    # a sync
    **_around("a sync", Files, "sync", 6),
    **_around("the sync of a folder", Files, "sync_folder", 3),
    **_around("the write of the high water", directory, "_write_private", 3, _writes("high-water")),
    # a new folder
    **_around("the making of a folder", Path, "mkdir", 1, lambda path, **_: path.name.startswith(".new-")),
    **_around("the list of backends", directory, "_write_private", 1, _writes("backends")),
    **_around("the naming of a folder", Path, "rename", 1, _gets_a_folders_name),
    # a delivery
    **_around("the save of a cursor", Cursor, "save", 8),
    **_around("the sync of a cursor", Cursor, "sync", 6),
    **_around("the telling of a state", StateFile, "flush", 3),
    # what is delivered goes
    **_around("the unlink of a segment", Files, "unlink", 3, _is_segment),
    **_around("the unlink of an index", Files, "unlink", 3, _is_segments_index),
    **_around("the removal of a segment", Directory, "_remove_segment", 3),
    # what the dead left
    **_around("the lock of a dead one's folder", FileLock, "acquire", 3, _is_named("delivery.lock")),
    **_around("the adoption of a folder", Deliverer, "_add", 2, _is_dead),
    **_within("the removal of a folder", shutil, "rmtree", 2, _half_of_the_files, _is_folder_of_the_dead),
    # an end
    **_around("the close of a journal's lock", FileLock, "close", 1, _is_named("writer.lock")),
}

SQLITE_POINTS = _within("an append to SQLite", SQLiteBackend, "append", 8, _half_of_the_batch)
REDIS_POINTS = _within("an append to Redis", RedisBackend, "append", 8, _half_of_the_batch)
ASIDE_POINTS = {**_around("putting aside", Aside, "put", 4), **_around("taking from aside", Aside, "taken", 2)}
ALL_POINTS = POINTS | SQLITE_POINTS | REDIS_POINTS | ASIDE_POINTS
