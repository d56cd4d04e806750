"""Room: what waits for a backend that is gone, found without opening a log over it: for --rebind and --forget.

Rules:
* A backend is named by its identity, as errors and `eventlog status` tell it, or by a URL.
* Without a journal's directory, all journals at the place of journals are looked through: the one that holds events
  for a backend need not be named for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from eventlog import binding
from eventlog.adapters import from_url
from eventlog.aside import Aside
from eventlog.directory import Directory, Folder
from eventlog.errors import ConfigurationError
from eventlog.files import Files
from eventlog.place import backend_key, default_place

_PAIR = re.compile(r"(?P<old>[a-z][\w+.-]*:.+?)=(?P<new>[a-z][\w+.-]*:.+)", re.DOTALL)


class Waiting(NamedTuple):
    """What waits for one backend in one journal."""

    journal: Path
    identity: str
    folders: int
    events: int


def pair(text: str) -> tuple[str, str]:
    """Read OLD=NEW and give both identities; `ConfigurationError` if it is none."""
    found = _PAIR.fullmatch(text)
    if found is None:
        raise ConfigurationError("expected OLD=NEW, two identities such as redis:old-host:6379/0, found something else")
    old, new = identity_of(found["old"]), identity_of(found["new"])
    if old == new:
        raise ConfigurationError(f"expected two backends, found {old} twice")
    return old, new


def identity_of(text: str) -> str:
    """Give the identity that a text is, or that a URL names."""
    if "://" not in text:
        return text
    backend = from_url(text)
    backend.close()
    return backend.identity


def find(identity: str, journal: Path | None) -> list[Waiting]:
    """Give what waits for a backend, a journal each; `ConfigurationError` where there is nothing."""
    places = _journals(journal)
    found = [waiting for place in places if (waiting := _waiting(place, identity)) is not None]
    if not found:
        known = sorted({each for place in places for each in _identities(place)})
        looked = str(journal) if journal is not None else f"the journals in {default_place(identity).parent}"
        names = ", ".join(known) or "no backend"
        raise ConfigurationError(f"expected events for {identity} in {looked}, found them for {names}")
    return found


def rebind(waiting: Waiting, new: str) -> None:
    """Let what waits go to another backend; `ConfigurationError` while a process still writes or delivers it."""
    with _at(waiting.journal) as (directory, aside):
        binding.rebind(directory, aside, waiting.identity, new)


def forget(waiting: Waiting) -> None:
    """Give up what waits; `ConfigurationError` while a process still writes or delivers it."""
    with _at(waiting.journal) as (directory, aside):
        binding.forget(directory, aside, waiting.identity)


def _journals(journal: Path | None) -> list[Path]:
    if journal is not None:
        if not _is_journal(journal):
            raise ConfigurationError(f"expected a journal, found none at {journal}")
        return [journal.absolute()]
    root = default_place("").parent
    return sorted(path for path in root.iterdir() if _is_journal(path)) if root.is_dir() else []


def _is_journal(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and os.access(path / "lock", os.R_OK)


@contextmanager
def _at(journal: Path) -> Iterator[tuple[Directory, Aside]]:
    aside = Aside(journal)
    try:
        yield Directory(journal, Files()), aside
    finally:
        aside.close()


def _waiting(journal: Path, identity: str) -> Waiting | None:
    key = backend_key(identity)
    with _at(journal) as (directory, aside):
        folders = [folder for folder in directory.folders() if key in folder.backends()]
        events = sum(aside.counts(key)) + sum(_events(folder, key) for folder in folders)
    return Waiting(journal, identity, len(folders), events) if folders or events else None


def _events(folder: Folder, key: str) -> int:
    return max(0, folder.end().ordinal - folder.position(key).ordinal)


def _identities(journal: Path) -> set[str]:
    with _at(journal) as (directory, _):
        return {identity for folder in directory.folders() for identity in folder.backends().values()}
