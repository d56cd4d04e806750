"""Room: what one sees while a command waits: bytes of a file going in, events being delivered, sessions looked at.

Bars are for terminals, on stderr; elsewhere the log's own warnings say why it takes long (telling.py).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from math import inf
from os import fstat
from stat import S_ISREG
from time import monotonic, sleep

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from eventlog.cli.showing import counted, lag
from eventlog.errors import EventLogError
from eventlog.log import EventLog
from eventlog.status import BackendStatus, Status

_LOOK_EVERY_S = 0.2
_DRAW_EVERY_S = 0.1


class StillPending(EventLogError):
    """Not all of the journal could be delivered in the time there was."""


@contextmanager
def bytes_read(file: BufferedReader) -> Iterator[Callable[[], None]]:
    """Show how much of a file was read; what is given is to be called now and then."""
    total = _file_bytes(file)
    bar = _bar(DownloadColumn(), TimeRemainingColumn())
    with bar:
        task = bar.add_task("reading", total=total)
        due = 0.0

        def look() -> None:
            nonlocal due
            if total is not None and monotonic() >= due:
                bar.update(task, completed=file.tell())
                due = monotonic() + _DRAW_EVERY_S

        yield look
        bar.update(task, total=total or 1, completed=total or 1)


def _file_bytes(file: BufferedReader) -> int | None:
    found = fstat(file.fileno())
    return found.st_size if S_ISREG(found.st_mode) else None


@contextmanager
def sessions_done(log: EventLog) -> Iterator[Callable[[str], None]]:
    """Show how many of the sessions, in each backend, were looked at; what is given is called with what to say."""
    with _bar(MofNCompleteColumn(), TextColumn("{task.fields[state]}", markup=False), TimeRemainingColumn()) as bar:
        task = bar.add_task("compacting", total=None, state="")
        if not bar.disable:
            bar.update(task, total=len(log.sessions()) * len(log.status().backends))
        yield lambda state: bar.update(task, advance=1, state=state)


@contextmanager
def sessions_moved() -> Iterator[Callable[[str], None]]:
    """Show how many sessions were moved; what is given is called with each."""
    with _bar(MofNCompleteColumn()) as bar:
        task = bar.add_task("moving", total=None)
        yield lambda _: bar.update(task, advance=1)


def wait_until_delivered(log: EventLog, timeout_s: float | None) -> int:
    """Return when every event in the journal, of whatever process, is in every backend: how many were pending.

    `StillPending` when the time is up first, or when all that remains is dead letters.
    """
    deadline = inf if timeout_s is None else monotonic() + timeout_s
    with _bar(TextColumn("{task.fields[state]}", markup=False)) as bar:
        task = bar.add_task("delivering", total=slowest_of(log.status()).lag_events, state="")
        while not _delivered(log, min(_LOOK_EVERY_S, deadline - monotonic())):
            _draw(bar, task, slowest := slowest_of(status := log.status()))
            if monotonic() >= deadline:
                log.close(timeout=0)
                raise _still_pending(slowest, status.journal, timeout_s)
    _refuse_dead_letters(log.status())
    return int(bar.tasks[task].total or 0)


def _delivered(log: EventLog, seconds: float) -> bool:
    """Look for so long; events of a writer that lives are its own to deliver, and are waited for too."""
    until = monotonic() + seconds
    log.flush(max(0.0, seconds))
    if all(backend.lag_events <= backend.dead_letters for backend in log.status().backends.values()):
        return True
    sleep(max(0.0, until - monotonic()))
    return False


def _draw(bar: Progress, task: TaskID, slowest: BackendStatus) -> None:
    total = max(slowest.lag_events, int(bar.tasks[task].total or 0))
    state = "" if slowest.state == "ok" else f", the backend is {slowest.state}"
    left = f"{counted(slowest.lag_events, 'event')} left"
    bar.update(task, total=total, completed=total - slowest.lag_events, state=left + state)


def _refuse_dead_letters(status: Status) -> None:
    for name, backend in status.backends.items():
        if backend.dead_letters:
            dead = counted(backend.dead_letters, "event")
            raise StillPending(f"expected all delivered, found {dead} that {name} refused: eventlog dead-letters list")


def slowest_of(status: Status) -> BackendStatus:
    """Give the backend that lacks most."""
    return max(status.backends.values(), key=lambda backend: backend.lag_events)


def _still_pending(slowest: BackendStatus, journal: str, timeout_s: float | None) -> StillPending:
    why = f"; its last error: {slowest.last_error}" if slowest.last_error else ""
    return StillPending(
        f"expected all delivered to {slowest.identity} within {timeout_s} s, found {lag(slowest)}{why}; "
        f"it is kept in {journal}"
    )


def _bar(*columns: ProgressColumn) -> Progress:
    to = Console(file=sys.stderr, highlight=False)
    name = TextColumn("{task.description:<10}", markup=False)
    return Progress(name, BarColumn(), *columns, console=to, disable=not to.is_terminal, transient=True)
