"""Room: how far the cut of an erased session has got.

A backend that has the cut has removed what is below it: that is what its delivery does.
"""

from __future__ import annotations

from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

from eventlog.aside import Aside
from eventlog.directory import Folder
from eventlog.events import EventId
from eventlog.log import EventLog
from eventlog.place import backend_key
from eventlog.status import BackendStatus, Status

_LOOK_EVERY_S = 0.05


class Arrivals(NamedTuple):
    """Which backends are done, by name, and which are not."""

    done: list[str]
    missing: dict[str, BackendStatus]


def wait_for_cut(log: EventLog, cut: EventId, timeout_s: float) -> Arrivals:
    """Wait until every backend has the cut, or those that lack it are down; tell which have."""
    deadline = monotonic() + timeout_s
    while True:
        found = _arrivals(log.status(), cut)
        if all(backend.state == "down" for backend in found.missing.values()) or monotonic() >= deadline:
            return found
        sleep(_LOOK_EVERY_S)


def _arrivals(status: Status, cut: EventId) -> Arrivals:
    root = Path(status.journal)
    folder, aside = Folder(root / cut.writer.hex()), Aside(root)
    try:
        missing = {
            name: backend
            for name, backend in status.backends.items()
            if _lacks(folder, backend_key(backend.identity)) or aside.holds(backend_key(backend.identity), cut)
        }
    finally:
        aside.close()
    return Arrivals([name for name in status.backends if name not in missing], missing)


def _lacks(folder: Folder, key: str) -> bool:
    return folder.position(key)[:2] < folder.end()[:2]
