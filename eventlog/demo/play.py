"""Room: the course of the demo: what is done when, and what is seen meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from time import monotonic, sleep

import eventlog
from eventlog.demo.company import Company, WriterProcess
from eventlog.demo.screen import Note, Screen, Second
from eventlog.demo.server import RedisServer
from eventlog.demo.writer import Measured, p99_us
from eventlog.errors import EventLogError
from eventlog.log import EventLog
from eventlog.status import BackendStatus

SERVER_KILLED, WRITER_KILLED, SERVER_BACK = 0.4, 0.55, 0.7
"""When, as parts of the whole time."""
ROW_EVERY_S = 1.0
LOOK_EVERY_S = 0.1
CAUGHT_UP_EVENTS = 2000
END_TIMEOUT_S = 60.0
_DOOMED = 1


class Stuck(EventLogError):
    """What had to come did not."""


class Play:
    """One run. `log` is the writers' log, opened to look at and not to deliver."""

    def __init__(self, server: RedisServer, company: Company, log: EventLog, screen: Screen) -> None:
        """Begin now."""
        self._server, self._company, self._log, self._screen = server, company, log, screen
        self._began = self._row_began = monotonic()
        self._row_due = self._began + ROW_EVERY_S
        self._watched: list[Callable[[BackendStatus], bool]] = []
        """What is waited for beside the course of things; each is dropped when it says that it came."""

    def play(self, seconds: float) -> None:
        """Do it all; in the end the server has all that was acknowledged, or `Stuck`."""
        self._until(seconds * SERVER_KILLED)
        self._kill_server()
        self._until(seconds * WRITER_KILLED)
        self._kill_writer(self._company.writers[_DOOMED])
        self._until(seconds * SERVER_BACK)
        self._bring_server_back()
        self._until(seconds)
        self._end_writers()
        self._drain()

    # what is done

    def _kill_server(self) -> None:
        self._server.kill()
        self._note("the server is killed with SIGKILL; the writers go on", alarm=True)

    def _kill_writer(self, writer: WriterProcess) -> None:
        writer.kill()
        self._note(f"{writer.task.name} is killed with SIGKILL, its backlog stays", alarm=True)
        self._watched.append(lambda _: self._adopted(writer))

    def _bring_server_back(self) -> None:
        waiting = self._status().lag_events
        self._server.restart()
        back_s = self._now()
        self._note(f"the server is back on its port; {waiting:,} events wait")
        self._watched.append(lambda backend: self._caught_up(backend, back_s))

    def _end_writers(self) -> None:
        self._note("the writers are told to end")
        self._company.tell_to_end()
        self._until_true(lambda: self._company.ended, "the writers to end")

    def _drain(self) -> None:
        with eventlog.open(self._server.url, journal=self._company.journal):
            self._until_true(lambda: not (self._status().lag_events or self._watched), "all to be delivered")
        self._note("nothing is pending any more")

    # what is seen

    def _now(self) -> float:
        return monotonic() - self._began

    def _status(self) -> BackendStatus:
        return next(iter(self._log.status().backends.values()))

    def _until(self, at_s: float) -> None:
        while (left := at_s - self._now()) > 0:
            self._look_after(left)

    def _until_true(self, came: Callable[[], bool], what: str) -> None:
        deadline = monotonic() + END_TIMEOUT_S
        while not came():
            if monotonic() > deadline:
                raise Stuck(f"expected {what} within {END_TIMEOUT_S:.0f} s, found it not so")
            self._look_after(LOOK_EVERY_S)

    def _look_after(self, seconds: float) -> None:
        sleep(max(0.0, min(seconds, LOOK_EVERY_S, self._row_due - monotonic())))
        backend = self._status()
        if monotonic() >= self._row_due:
            self._row(backend)
            self._row_due += ROW_EVERY_S
        self._watched = [came for came in self._watched if not came(backend)]

    def _row(self, backend: BackendStatus) -> None:
        now = monotonic()
        measured, took_s = self._company.take(), now - self._row_began
        self._row_began = now
        self._screen.show(_second(self._now(), measured, took_s, backend))

    def _note(self, text: str, *, alarm: bool = False) -> None:
        self._screen.show(Note(self._now(), text, alarm))

    def _caught_up(self, backend: BackendStatus, back_s: float) -> bool:
        if backend.lag_events > CAUGHT_UP_EVENTS:
            return False
        self._note(f"the backlog is delivered, {self._now() - back_s:.1f} s after the server's return")
        return True

    def _adopted(self, writer: WriterProcess) -> bool:
        if writer.folder.exists():
            return False
        who = "the next process" if self._company.ended else "a sibling"
        self._note(f"{who} has delivered what {writer.task.name} left")
        return True


def _second(at_s: float, measured: Measured, took_s: float, backend: BackendStatus) -> Second:
    return Second(
        at_s=at_s,
        adds_per_s=measured.adds / took_s,
        p99_us=p99_us(Counter(measured.times)),
        pending=backend.lag_events,
        state=backend.state,
    )
