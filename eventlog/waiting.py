"""Room: what one sees while a command waits: bytes of a file going in, events being delivered.

Bars are for terminals, on stderr; elsewhere the log's own warnings say why it takes long (telling.py).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from os import fstat
from stat import S_ISREG
from time import monotonic, sleep

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from eventlog.errors import EventLogError
from eventlog.log import EventLog
from eventlog.showing import lag
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


def wait_until_delivered(log: EventLog, timeout_s: float | None) -> None:
    """Return when every event in the journal, of whatever process, is in every backend; `StillPending` otherwise."""
    deadline = monotonic() + timeout_s if timeout_s is not None else None
    with _bar(
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} events {task.fields[state]}", markup=False)
    ) as bar:
        task = bar.add_task("delivering", total=_most(log.status()).lag_events, state="")
        while not _delivered(log, deadline):
            slowest = _most(status := log.status())
            total = max(slowest.lag_events, bar.tasks[task].total or 0)
            state = "" if slowest.state == "ok" else slowest.state
            bar.update(task, total=total, completed=total - slowest.lag_events, state=state)
            if deadline is not None and monotonic() >= deadline:
                log.close(timeout=0)
                raise _still_pending(status, timeout_s)


def _delivered(log: EventLog, deadline: float | None) -> bool:
    left = _LOOK_EVERY_S if deadline is None else min(_LOOK_EVERY_S, max(0.0, deadline - monotonic()))
    if not log.flush(left):
        return False
    if not _most(log.status()).lag_events:
        return True
    sleep(left)  # a living writer's events are its own to deliver
    return False


def _most(status: Status) -> BackendStatus:
    return max(status.backends.values(), key=lambda backend: backend.lag_events)


def _still_pending(status: Status, timeout_s: float | None) -> StillPending:
    slowest = _most(status)
    why = f"; its last error: {slowest.last_error}" if slowest.last_error else ""
    return StillPending(
        f"expected all delivered within {timeout_s} s, found {lag(slowest)}, for {slowest.identity}{why}; "
        f"nothing is lost, it stays in {status.journal}"
    )


def _bar(*columns: TextColumn | DownloadColumn | TimeRemainingColumn) -> Progress:
    console = Console(file=sys.stderr, highlight=False)
    shown = console.is_terminal
    return Progress(
        TextColumn("{task.description:<10}", markup=False),
        BarColumn(),
        *columns,
        console=console,
        disable=not shown,
        transient=True,
    )
