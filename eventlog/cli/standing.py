"""Room: how a log stands, for an operator: what `status()` tells, who delivers, and what is to be done about it.

Rules:
* Advice names what is wrong, what becomes of it, and the command that helps. Where there is nothing to do, there is
  none.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from eventlog.cli.showing import counted, lag, size
from eventlog.directory import Folder
from eventlog.follower import segment_numbers
from eventlog.locks import is_locked
from eventlog.log import EventLog
from eventlog.place import backend_key
from eventlog.status import BackendStatus, Status

FULL_SOON = 0.8


class Standing(msgspec.Struct, frozen=True):
    """A status, and what else an operator can act on."""

    status: Status
    max_journal_bytes: int
    sidecar: bool
    """Whether a sidecar serves the journal."""
    undelivered: dict[str, int]
    """For each backend: the writers' folders that hold events for it and that no process delivers."""
    others: dict[str, list[str]]
    """The journals beside this one that hold something, with the identities of the backends that it is for."""

    @property
    def fill(self) -> float:
        """How full the journal is: 1 is full."""
        return self.status.journal_bytes / self.max_journal_bytes


def look(log: EventLog, max_journal_bytes: int) -> Standing:
    """See how a log stands."""
    status = log.status()
    root = Path(status.journal)
    left = [folder for folder in _folders(root) if not folder.served]
    undelivered = {name: _holding(left, backend_key(each.identity)) for name, each in status.backends.items()}
    others = {str(path): _identities(path) for path in _others(root)} if status.other_journals else {}
    return Standing(status, max_journal_bytes, is_locked(root / "sidecar.lock"), undelivered, others)


def _others(root: Path) -> list[Path]:
    return sorted({path.parents[1] for path in root.parent.glob("*/*/*.seg")} - {root})


def _identities(root: Path) -> list[str]:
    return sorted({identity for folder in _folders(root) for identity in folder.backends().values()})


def _folders(root: Path) -> Iterator[Folder]:
    return (Folder(path.parent) for path in root.glob("*/backends") if not path.parent.name.startswith("."))


def _holding(folders: list[Folder], key: str) -> int:
    return sum(
        key in folder.backends() and bool(segment_numbers(folder.path)) and _lacks(folder, key) for folder in folders
    )


def _lacks(folder: Folder, key: str) -> bool:
    return folder.position(key)[:2] < folder.end()[:2]


def in_words(name: str, standing: Standing) -> str:
    """Tell how it goes with a backend."""
    backend = standing.status.backends[name]
    if backend.state != "ok":
        return {"retrying": "did not take the last batch; it is tried again", "down": "down"}[backend.state]
    if standing.undelivered[name]:
        return "nobody delivers"
    if backend.lag_events > backend.dead_letters:
        return "delivering"
    return "refused some" if backend.dead_letters else "has everything"


def who_delivers(standing: Standing) -> str:
    """Tell which process delivers."""
    return "a sidecar serves" if standing.sidecar else "no sidecar; each writer for itself"


def advice(standing: Standing) -> list[str]:
    """Tell what to do, the worst first; nothing where all is well."""
    backends = standing.status.backends
    return [
        *_about_room(standing),
        *(text for name, backend in backends.items() for text in _about_backend(name, backend, standing)),
        *_about_damage(standing.status),
        *_about_others(standing.others),
    ]


def _about_room(standing: Standing) -> Iterator[str]:
    if standing.fill >= FULL_SOON:
        yield (
            f"the journal is {standing.fill:.0%} full: at 100% adds wait and then fail, and nothing is dropped; "
            "bring back the backend that has most pending, or open with a larger max_journal_bytes"
        )


def _about_backend(name: str, backend: BackendStatus, standing: Standing) -> Iterator[str]:
    if backend.state == "down":
        yield f"{name} is down: bring it back; {lag(backend)} waits in the journal and is delivered then"
    if standing.undelivered[name]:
        folders = counted(standing.undelivered[name], "folder")
        yield f"nobody delivers {folders} to {name}: run eventlog drain, or start eventlog drain --follow"
    if backend.dead_letters:
        letters = counted(backend.dead_letters, "event")
        yield f"{name} refused {letters} for good: see eventlog dead-letters list"


def _about_damage(status: Status) -> Iterator[str]:
    if status.damaged_frames or status.torn_tails:
        yield (
            f"damage in the journal: {counted(status.damaged_frames, 'frame')}, "
            f"{counted(status.torn_tails, 'torn tail')}; check the disk, the rest is delivered"
        )


def _about_others(others: dict[str, list[str]]) -> Iterator[str]:
    for journal, identities in others.items():
        yield f"another journal holds events for {', '.join(identities)}: eventlog drain --journal {journal} --url …"


def room(standing: Standing) -> str:
    """Tell how much of the journal's bound is in use."""
    status = standing.status
    used = f"{size(status.journal_bytes)} of {size(standing.max_journal_bytes)} ({standing.fill:.0%})"
    return f"{used} in {counted(status.segments, 'segment')}"
