"""Room: which backends the events of dead writers are for, changed by a person: a host was renamed, a store is gone.

Rules:
* Only folders of dead writers change, under their delivery lock; a living writer says which backends it has itself.
* A new binding begins at the old one's cursor: what was delivered under the old name is not delivered again.
* A folder that has the new one already keeps that one's cursor: it has what is below, whatever the old one had.
* Forgetting gives up what was pending for that backend, and nothing of any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from eventlog.aside import Aside
from eventlog.directory import Directory, Folder
from eventlog.errors import ConfigurationError
from eventlog.place import backend_key


def rebind(directory: Directory, aside: Aside, old: str, new: str) -> int:
    """Let what waits for the backend `old` go to `new`, identities both; give the number of folders changed."""
    folders = _folders_for(directory, old)
    for folder in folders:
        with _held(folder):
            backends = folder.backends()
            del backends[backend_key(old)]
            for suffix in () if backend_key(new) in backends else (".cursor", ".state"):
                source = folder.path / f"{backend_key(old)}{suffix}"
                if source.exists():
                    source.replace(folder.path / f"{backend_key(new)}{suffix}")
            _write(folder, {**backends, backend_key(new): new})
    aside.rename(backend_key(old), backend_key(new))
    return len(folders)


def forget(directory: Directory, aside: Aside, identity: str) -> int:
    """Give up what waits for a backend; give the folders changed."""
    folders = _folders_for(directory, identity)
    for folder in folders:
        with _held(folder):
            backends = folder.backends()
            del backends[backend_key(identity)]
            _write(folder, backends)
    aside.forget(backend_key(identity))
    return len(folders)


def _folders_for(directory: Directory, identity: str) -> list[Folder]:
    folders = [folder for folder in directory.folders() if backend_key(identity) in folder.backends()]
    living = [folder.path.name for folder in folders if folder.alive]
    if living:
        raise ConfigurationError(f"expected no living writer for {identity}, found {', '.join(living)}; stop it first")
    return folders


@contextmanager
def _held(folder: Folder) -> Iterator[None]:
    if not folder.delivery_lock.acquire():
        raise ConfigurationError(
            f"expected {folder.path} to be free, found a process that delivers it; stop that first"
        )
    try:
        yield
    finally:
        folder.delivery_lock.close()


def _write(folder: Folder, backends: dict[str, str]) -> None:
    fresh = folder.path / "backends.new"
    fresh.write_bytes(msgspec.json.encode(backends))
    fresh.chmod(0o600)
    fresh.replace(folder.path / "backends")
