"""Room: the port that every store stands behind, the smallest contract that six different ones can keep.

Rules:
* A record is `id + body` (codec.py). Equal id means the same event: `append` is idempotent by id, in any order, with
  any doubles; of two bodies under one id the larger bytes win.
* `append` raises when the store as a whole cannot: all of the batch comes again. It returns the sessions that failed
  for a reason of their own (a key of another type, a shard that is down, an event that is refused): the rest is stored.
* Two errors cross the port: `BackendUnavailable` (try again) and `EventRejected` (never will).
* No credentials in `identity`, which is the same from a URL and from an object.
* A backend that may lose what it has says so: `is_cache`, and a `note` for the status. Reads prefer one that keeps.
* A backend is used by several threads at once. `after_fork` drops what was inherited without touching it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from eventlog.errors import BackendError

Batch = Mapping[str, Sequence[bytes]]
"""Session id -> its records."""


@runtime_checkable
class Backend(Protocol):
    """A store of events."""

    @property
    def scheme(self) -> str:
        """The short name that its URLs have: 'redis'."""
        ...

    @property
    def identity(self) -> str:
        """Which store this is, without credentials: 'redis:127.0.0.1:6379/0'."""
        ...

    @property
    def page_events(self) -> int:
        """How many events one read asks for at first, newest first."""
        ...

    def append(self, batch: Batch) -> dict[str, BackendError]:
        """Store every record; return the sessions that failed, each with its error. Raises a `BackendError`."""
        ...

    def read(self, session: str, *, before: bytes | None = None, limit: int) -> list[bytes]:
        """Give the newest `limit` records with an id smaller than `before`, in ascending order."""
        ...

    async def aread(self, session: str, *, before: bytes | None = None, limit: int) -> list[bytes]:
        """Do as `read`, with the client's own async API where it has one."""
        ...

    def sessions(self, prefix: str = "") -> Iterator[str]:
        """Give the ids of the sessions that hold any event, in any order, each once."""
        ...

    def cuts(self, sessions: Sequence[str]) -> dict[str, bytes]:
        """Give the newest clear (its record) of each session that has one, in one round trip; raises if one is away."""
        ...

    def remove(self, session: str, before: bytes) -> None:
        """Remove the session's events with an id smaller than `before`."""
        ...

    def discard(self, session: str, records: Sequence[bytes]) -> None:
        """Remove just the session's events with the ids of `records`; what is not there is not missed."""
        ...

    def after_fork(self) -> None:
        """Forget, in a child process, every connection of the parent without closing or unlocking it."""
        ...

    def close(self) -> None:
        """Let go of connections; closing twice is harmless."""
        ...


@runtime_checkable
class KeepsOld(Protocol):
    """A backend beside whose events an older layout may lie, under the same sessions."""

    def remove_old(self, session: str, before: bytes) -> None:
        """Remove what the older layout holds of a session, or what of it is older than an id where it has times."""
        ...


class Rider(Protocol):
    """What a read of the newest page asks of a backend beside the events, in the same round trip where it can."""

    def read(self, backend: Backend, session: str, limit: int) -> list[bytes]:
        """Do as the backend's `read`, and keep what else was found."""
        ...

    async def aread(self, backend: Backend, session: str, limit: int) -> list[bytes]:
        """Do as the backend's `aread`, and keep what else was found."""
        ...

    def met(self, records: Sequence[bytes], *, cut: bool) -> None:
        """Be told all records that the read went by, pending ones included, and whether one is a clear."""
        ...


def by_keeping(backends: Mapping[str, Backend]) -> list[tuple[str, Backend]]:
    """Give backends in the order in which reads prefer them: as they were named, with those that are caches last."""
    return sorted(backends.items(), key=lambda item: bool(getattr(item[1], "is_cache", False)))


def note_of(backend: Backend) -> str | None:
    """Give what whoever looks at the status should know of a backend, if it has such a `note`."""
    note: str | None = getattr(backend, "note", None)
    return note
