"""Room: the sessions that are looked at, each followed once for all who look at it.

Rules:
* At most `VIEWS_MAX` outlines are kept; the one that was looked at longest ago goes first.
* However many look, a session is read again no more often than every `LOOK_S`, and for at most a fifth of the time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import Any, NamedTuple
from uuid import uuid4

from eventlog.errors import BackendUnavailable
from eventlog.log import EventLog
from eventlog.projections.timeline import TimelineEntry
from eventlog.replaying import Replay
from eventlog.web import payload

VIEWS_MAX = 16
LOOK_S = 0.3
_SHARE = 5


class Version(NamedTuple):
    """What differs when there is something new to show."""

    events: int
    visible: int
    inserted: int
    source: str


class View:
    """One session."""

    def __init__(self, replay: Replay, clock_s: Callable[[], float] = monotonic) -> None:
        """Look at nothing yet."""
        self._replay, self._clock_s = replay, clock_s
        self._lock = Lock()
        self._name = uuid4().hex
        self._fresh_until_s = float("-inf")
        self._seen = Version(0, 0, 0, "")

    def version(self) -> Version:
        """Look, if the last look is a while ago."""
        with self._lock:
            return self._version()

    def _version(self) -> Version:
        replay, started_s = self._replay, self._clock_s()
        if started_s >= self._fresh_until_s:
            replay.look()
            visible = replay.summary().visible
            self._seen = Version(len(replay), visible, replay.inserted, replay.source)
            ended_s = self._clock_s()
            self._fresh_until_s = ended_s + max(LOOK_S, _SHARE * (ended_s - started_s))
        return self._seen

    def outline(self, since: int, stamp: str) -> dict[str, Any]:
        """Tell of the events since the number that somebody has already, if `stamp` says that those still stand."""
        with self._lock:
            version = self._version()
            now = f"{self._name}.{version.inserted}"
            since = since if stamp == now and since <= version.events else 0
            found = payload.outline(self._replay.lives, self._replay.summary(), since)
            return {**found, "stamp": now, "source": version.source, "complete": self._replay.complete}

    def entries(self, start: int, stop: int) -> list[TimelineEntry]:
        """Give a few entries, as far as they can be read; a backend that went away since the last look is passed by."""
        with self._lock:
            self._version()
            try:
                return self._replay.entries(start, stop, partial=True)
            except BackendUnavailable:
                self._replay.look()
                return self._replay.entries(start, stop, partial=True)


class Views:
    """All of them."""

    def __init__(self, log: EventLog) -> None:
        """Begin with none."""
        self._log, self._lock = log, Lock()
        self._views: OrderedDict[str, View] = OrderedDict()

    def of(self, session: str) -> View:
        """Give the view of a session; `ValueError` for what is no session's id."""
        with self._lock:
            view = self._views.pop(session, None) or View(self._log.history(session).replay())
            self._views[session] = view
            while len(self._views) > VIEWS_MAX:
                self._views.popitem(last=False)
            return view
