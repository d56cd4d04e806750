"""Room: the sidecar at work: it delivers until it is told to stop, and tells each change in one line.

Rules:
* A line is words and then fields, key=value, a value with spaces in quotes: nothing of it is a message or a password.
* The first signal ends it cleanly: what others wrote is theirs to deliver again, within a second. The second kills it.
"""

from __future__ import annotations

import json
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from time import monotonic
from types import FrameType

from eventlog.log import Sidecar
from eventlog.status import BackendStatus

LOOK_EVERY_S = 0.1
STATUS_EVERY_S = 1.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)

logger = logging.getLogger("eventlog.sidecar")


@contextmanager
def until_signalled() -> Iterator[Event]:
    """Give what is set when SIGTERM or SIGINT comes."""
    stop = Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)

    before = {each: signal.signal(each, end) for each in _SIGNALS}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def follow(sidecar: Sidecar, stop: Event) -> None:
    """Deliver until `stop` is set, then hand back."""
    watch = _Watch(sidecar)
    while not stop.wait(LOOK_EVERY_S):
        watch.look()
    watch.look()
    sidecar.close()
    _say("stopped" if watch.served is None else "handed back", folders=len(watch.served or ()))


class _Watch:
    """What was told last, so that only changes are told."""

    def __init__(self, sidecar: Sidecar) -> None:
        self._sidecar = sidecar
        self._place = sidecar.status().journal
        self.served: frozenset[str] | None = None
        self._waits = False
        self._states: dict[str, str] = {}
        self._lacking: frozenset[str] = frozenset()
        self._due = 0.0

    def look(self) -> None:
        if not self._sidecar.serving:
            self._look_waiting()
            return
        self._look_served()
        if monotonic() >= self._due:
            self._due = monotonic() + STATUS_EVERY_S
            self._look_backends()
            self._look_lacking()

    def _look_waiting(self) -> None:
        if not self._waits:
            self._waits = True
            _say("waits, for another sidecar serves", journal=self._place)

    def _look_served(self) -> None:
        served = self._sidecar.served
        if self.served is None:
            _say("serves", journal=self._place, backends=",".join(self._sidecar.status().backends))
        before, self.served = self.served or frozenset(), served
        if served - before:
            _say("took over", folders=len(served - before), serving=len(served))
        if before - served:
            _say("finished", folders=len(before - served), serving=len(served))

    def _look_backends(self) -> None:
        for name, backend in self._sidecar.status().backends.items():
            state = backend.state if backend.state != "retrying" else self._states.get(name, "ok")
            if state != self._states.get(name, "ok"):
                _say_state(name, backend)
            self._states[name] = state

    def _look_lacking(self) -> None:
        lacking = self._sidecar.passed_over
        for identity in sorted(lacking - self._lacking):
            _say("nobody delivers some folders: name this backend with --url too", logging.WARNING, lacking=identity)
        self._lacking = lacking


def _say_state(name: str, backend: BackendStatus) -> None:
    fields = {"backend": name, "state": backend.state, "lag_events": backend.lag_events}
    if backend.last_error:
        fields["error"] = backend.last_error
    _say("state changed", logging.INFO if backend.state == "ok" else logging.WARNING, **fields)


def _say(words: str, level: int = logging.INFO, **fields: object) -> None:
    logger.log(level, "%s", " ".join([words, *(f"{name}={_value(value)}" for name, value in fields.items())]))


def _value(value: object) -> str:
    text = str(value)
    return text if text and not set(text) & set(' "=\\\n\t') else json.dumps(text, ensure_ascii=False)
