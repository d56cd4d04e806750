"""Room: a disk that remembers: what was written, named and synced, and when; and the disk as it may be after a cut.

The system calls that the journal makes are played through and noted, each with a tick. An image at a tick has:
* of a file's writes, all that a sync which ended before the cut had covered; of the others any, whole, torn or not at
  all, in any mixture, so that a later one may be there without an earlier one;
* of the names in a folder, all that a sync of the folder had covered; of the others any that the order of each file's
  own names allows (a rename happens whole or not at all).
What is written through memory (the index) or by SQLite (what is aside) is not played: the index is never believed after
a boot, and SQLite has its own syncs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import RLock
from typing import Any, NamedTuple
from unittest.mock import patch

from eventlog.files import Files

SECTOR_BYTES = 512
CALLS = [
    *("open", "close", "pwrite", "write", "ftruncate", "fdatasync", "fsync"),
    *("rename", "replace", "unlink", "mkdir", "rmdir", "posix_fallocate"),
]


class Change(NamedTuple):
    """Something that was done to a file's bytes; no data: it was cut or grown to `offset`."""

    tick: int
    offset: int
    data: bytes | None


class Node:
    """A file or a folder, under whatever name."""

    def __init__(self, *, folder: bool) -> None:
        self.folder = folder
        self.changes: list[Change] = []
        self.syncs: list[tuple[int, int]] = []
        """When each sync began and ended."""
        self.children: dict[str, Node] = {}

    def covered(self, tick: int, cut: int) -> bool:
        """Tell whether a sync after `tick` was over before the cut."""
        return any(tick < began and ended < cut for began, ended in self.syncs)


class Naming(NamedTuple):
    """A file got, changed or lost a name in a folder."""

    tick: int
    node: Node
    folder: Node
    old: str | None
    new: str | None


class PlainFiles(Files):
    """The file system through calls that can be noted."""

    def write(self, descriptor: int, data: bytes, offset: int) -> int:  # type: ignore[override]
        """Write."""
        return os.pwrite(descriptor, data, offset)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut back."""
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:  # type: ignore[override]
        """Sync."""
        os.fdatasync(descriptor)


class Disk:
    """Everything below one folder."""

    def __init__(self, root: Path, *, syncs_files: bool = True) -> None:
        """Begin with an empty folder; one that does not sync files is for a control."""
        self._root, self._syncs_files = root, syncs_files
        self._top = Node(folder=True)
        self._names: list[Naming] = []
        self._open: dict[int, Node] = {}
        self._lock = RLock()
        self.tick = 0

    def next_tick(self) -> int:
        """Let time pass."""
        with self._lock:
            self.tick += 1
            return self.tick

    # what is done

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note what this process does meanwhile."""
        real = {name: getattr(os, name) for name in CALLS}
        noting: dict[str, Any] = {
            name: self._played(real[name], getattr(self, f"_{name}"))
            for name in CALLS
            if name not in ("open", "fdatasync", "fsync")
        }
        noting["open"] = self._opening(real["open"])
        noting |= {name: self._syncing(real[name]) for name in ("fdatasync", "fsync")}
        with patch.multiple(os, **noting):
            yield

    def _played(self, call: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
        def play(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                done = call(*args, **kwargs)  # first: what fails was not done
                note(*args, **kwargs)
                return done

        return play

    def _opening(self, call: Callable[..., int]) -> Callable[..., int]:
        def play(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            with self._lock:
                descriptor = call(path, flags, mode, dir_fd=dir_fd)
                self._opened(descriptor, path, flags, dir_fd)
                return descriptor

        return play

    def _syncing(self, call: Callable[[int], None]) -> Callable[[int], None]:
        def play(descriptor: int) -> None:
            node, began = self._open.get(descriptor), self.next_tick()
            call(descriptor)
            if node is not None and (self._syncs_files or node.folder):
                node.syncs.append((began, self.next_tick()))

        return play

    def _find(self, path: Any, dir_fd: int | None = None) -> tuple[Node, str] | None:
        """Give the folder that a path ends in, and its last name; None for what is not ours."""
        if dir_fd is not None:
            folder = self._open.get(dir_fd)
            return (folder, os.fspath(path)) if folder is not None else None
        parts = Path(path).parts[len(self._root.parts) :]
        if Path(path).parts[: len(self._root.parts)] != self._root.parts or not parts:
            return None
        *above, name = parts
        folder = self._top
        for part in above:
            if part not in folder.children:
                return None
            folder = folder.children[part]
        return folder, name

    def _opened(self, descriptor: int, path: Any, flags: int, dir_fd: int | None) -> None:
        if dir_fd is None and Path(path) == self._root:
            self._open[descriptor] = self._top
            return
        found = self._find(path, dir_fd)
        if found is None:
            return
        folder, name = found
        if name not in folder.children:
            if not flags & os.O_CREAT:
                return
            self._name(Node(folder=False), folder, None, name)
        self._open[descriptor] = folder.children[name]
        if flags & os.O_TRUNC:
            self._change(descriptor, 0, None)

    def _name(self, node: Node, folder: Node, old: str | None, new: str | None) -> None:
        self._names.append(Naming(self.next_tick(), node, folder, old, new))
        if old is not None:
            folder.children.pop(old, None)
        if new is not None:
            folder.children[new] = node

    def _change(self, descriptor: int, offset: int, data: bytes | None) -> None:
        node = self._open.get(descriptor)
        if node is not None:
            node.changes.append(Change(self.next_tick(), offset, data))

    def _close(self, descriptor: int) -> None:
        self._open.pop(descriptor, None)

    def _pwrite(self, descriptor: int, data: bytes, offset: int) -> None:
        self._change(descriptor, offset, bytes(data))

    def _write(self, descriptor: int, data: bytes) -> None:
        self._change(descriptor, 0, bytes(data))  # ours write once, to a new file

    def _ftruncate(self, descriptor: int, size: int) -> None:
        self._change(descriptor, size, None)

    def _posix_fallocate(self, descriptor: int, offset: int, size: int) -> None:
        self._change(descriptor, offset + size, None)

    def _rename(self, source: Any, target: Any) -> None:
        found, there = self._find(source), self._find(target)
        if found is not None and there is not None and found[1] in found[0].children:
            self._name(found[0].children[found[1]], found[0], found[1], there[1])

    _replace = _rename

    def _unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        found = self._find(path, dir_fd)
        if found is not None and found[1] in found[0].children:
            self._name(found[0].children[found[1]], found[0], found[1], None)

    _rmdir = _unlink

    def _mkdir(self, path: Any, mode: int = 0o777) -> None:
        del mode
        found = self._find(path)
        if found is not None:
            self._name(Node(folder=True), found[0], None, found[1])

    # what is left of it

    def image(self, cut: int, chance: Random, place: Path) -> None:
        """Put a disk as it may be after a cut into a folder."""
        tree: dict[Node, dict[str, Node]] = {}
        for naming in self._kept_names(cut, chance):
            names = tree.setdefault(naming.folder, {})
            if naming.old is not None and names.get(naming.old) is naming.node:
                del names[naming.old]
            if naming.new is not None:
                names[naming.new] = naming.node
        self._put(self._top, tree, place, cut, chance)

    def _kept_names(self, cut: int, chance: Random) -> Iterator[Naming]:
        lost: set[Node] = set()
        for naming in self._names:
            if naming.tick < cut and naming.node not in lost:
                if naming.folder.covered(naming.tick, cut) or chance.random() < 0.5:
                    yield naming
                else:
                    lost.add(naming.node)

    def _put(self, folder: Node, tree: dict[Node, dict[str, Node]], place: Path, cut: int, chance: Random) -> None:
        place.mkdir(mode=0o700)
        for name, node in tree.get(folder, {}).items():
            if node.folder:
                self._put(node, tree, place / name, cut, chance)
            else:
                (place / name).touch(0o600)
                (place / name).write_bytes(_content(node, cut, chance))


def _content(node: Node, cut: int, chance: Random) -> bytes:
    content = bytearray()
    share = chance.choice((0.0, 0.5, 0.9))
    for change in node.changes:
        if change.tick < cut:
            safe = node.covered(change.tick, cut)
            if safe or chance.random() < share:
                _apply(content, change, None if safe else chance)
    return bytes(content)


def _apply(content: bytearray, change: Change, chance: Random | None) -> None:
    """Do it; where somebody draws, some of its sectors may be missing, or its end."""
    size = change.offset + len(change.data or b"")
    if change.data is None:
        del content[size:]
    content.extend(bytes(max(0, size - len(content))))
    if change.data is None:
        return
    whole = chance is None or chance.random() < 0.5
    for at in range(0, len(change.data), SECTOR_BYTES):
        if whole or (chance is not None and chance.random() < 0.5):
            piece = change.data[at : at + SECTOR_BYTES]
            content[change.offset + at : change.offset + at + len(piece)] = piece
