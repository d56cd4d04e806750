"""Room: a program that forks while it is busy: `python -m tests.servers.family URL CHILDREN`.

Each child adds what it has to say and delivers it; so does the parent, before, meanwhile and after. It ends well when
all of them have.
"""

from __future__ import annotations

import os
import sys
from threading import Event, Thread

import eventlog

_FLUSH_S = 15.0


def main(url: str, children: int) -> None:
    """Fork, with a thread that adds and one that reads under way."""
    log = eventlog.open(url)
    ended = Event()
    busy = [Thread(target=_add, args=(log, ended)), Thread(target=_read, args=(log, ended))]
    for thread in busy:
        thread.start()
    ends = [_child_ends_well(log, number) for number in range(children)]
    ended.set()
    for thread in busy:
        thread.join()
    assert all(ends), "expected every child to end well"
    assert log.flush(_FLUSH_S), "expected the parent to deliver"
    log.close()


def _add(log: eventlog.EventLog, ended: Event) -> None:
    number = 0
    while not ended.wait(0.001):
        log.history("parent").add(number)
        number += 1


def _read(log: eventlog.EventLog, ended: Event) -> None:
    while not ended.wait(0.001):
        log.history("parent").messages(last=5)


def _child_ends_well(log: eventlog.EventLog, number: int) -> bool:
    child = os.fork()
    if child == 0:
        log.history("children").add(number)
        ok = log.flush(_FLUSH_S) and number in log.history("children").messages()
        os._exit(0 if ok and log.history("children").messages().complete else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
