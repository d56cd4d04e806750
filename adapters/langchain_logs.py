"""Room: the logs behind the drop-in classes. One `EventLog` a process, backend and journal, however many histories.

Invariants:
* What names a place (a URL, a client; the journal, $EVENTLOG_JOURNAL) finds its stand by a dict lookup.
* A URL or client that was not seen before renews what the backend of its identity connects with, for the histories of
  before too. A client is not kept alive by what it was looked up with.
* A log that somebody closed is opened anew at the next use. A fork is the log's own affair; only the lock is ours.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from threading import RLock
from typing import Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

from eventlog.log import EventLog
from eventlog.log import open as open_log
from eventlog.ports import Backend

Journal = str | os.PathLike[str] | None
Make = Callable[[], Backend]


@runtime_checkable
class Renewable(Protocol):
    """A backend that can change what it connects with."""

    def renew(self, newer: Any) -> None:
        """Connect as `newer` does, a backend of the same identity."""


class Stand:
    """A log that is opened again when it was closed."""

    def __init__(self, make: Make, journal: Journal) -> None:
        """Open the log on the backend that `make` gives."""
        self._make, self._journal = make, journal
        self._open()

    def _open(self) -> None:
        self.backend = self._make()
        self.log = open_log(self.backend, journal=self._journal, ack=os.environ.get("EVENTLOG_ACK") or "journal")

    def renew(self, make: Make) -> None:
        """Connect as the backend that `make` gives, where that can be."""
        self._make = make
        if isinstance(self.backend, Renewable):
            self.backend.renew(make())

    def reopen(self, closed: EventLog) -> None:
        """Open the log anew, unless another thread just did."""
        with _lock:
            if self.log is closed:
                self._open()


_Place = tuple[Journal, str | None]
_Part = tuple[Hashable, _Place]
_lock = RLock()
_by_identity: dict[tuple[str, _Place], Stand] = {}
_by_url: dict[tuple[str, _Place], Stand] = {}
_by_client: WeakKeyDictionary[Any, dict[_Part, Stand]] = WeakKeyDictionary()


def stand_of_url(url: str, journal: Journal, make: Callable[[str], Backend]) -> Stand:
    """Give the stand of a URL; `make` gives its backend."""
    place = (journal, os.environ.get("EVENTLOG_JOURNAL"))
    stand = _by_url.get((url, place))
    if stand is None:
        stand = _by_url[url, place] = _stand(lambda: make(url), place)
    return stand


def stand_of_client(client: Any, journal: Journal, make: Callable[[Any], Backend], part: Hashable = None) -> Stand:
    """Give the stand of a client, or of a `part` of what it reaches; `make` gives a backend on it."""
    place = (journal, os.environ.get("EVENTLOG_JOURNAL"))
    stands = _by_client.setdefault(client, {})
    stand = stands.get((part, place))
    if stand is None:
        stand = stands[part, place] = _stand(lambda: make(client), place)
    return stand


def _stand(make: Make, place: _Place) -> Stand:
    with _lock:
        key = make().identity, place
        stand = _by_identity.get(key)
        if stand is None:
            stand = _by_identity[key] = Stand(make, place[0])
        else:
            stand.renew(make)
        return stand


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603 (in a forked child, a thread that it does not have may hold the old one)
    _lock = RLock()


os.register_at_fork(after_in_child=_renew_lock)
