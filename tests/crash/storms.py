"""The scripts that do one thing again and again, to meet every instant: forks, interrupts, closes."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import eventlog
from tests.crash.author import Author
from tests.crash.place import Place

FORKS, CHILD_S = 120, 5.0
INTERRUPTED_S = 2.0
PAUSE_S = (0.0002, 0.002)
CLOSES = 25
MANY = 1 << 40


@contextmanager
def _adding(authors: list[Author]) -> Iterator[None]:
    """Have threads add meanwhile."""
    ended = threading.Event()

    def add(author: Author) -> None:
        while not ended.wait(0.001):
            author.call()

    threads = [threading.Thread(target=add, args=(author,)) for author in authors]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def forks_like_a_storm(place: Place) -> None:
    """Children are born at every instant of the parent's threads; each adds once, and none hangs."""
    with _adding([place.author(f"thread-{number}") for number in range(3)]):
        for number in range(FORKS):
            pid = os.fork()
            if pid == 0:
                place.fill(f"child-{number}", 1)
                os._exit(0)
            _wait_within(CHILD_S, pid)


def _wait_within(seconds: float, pid: int) -> None:
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found and not status:
            return
        if found or time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            raise RuntimeError(f"expected a child to end well within {seconds} s, found status {status}")
        time.sleep(0.0005)


class Interrupt(BaseException):
    """What the handler of a time-out raises."""


def is_interrupted_at_any_instant(place: Place) -> None:
    """A handler raises in the middle of adds, again and again; the program catches it and goes on."""
    author = place.author("main")
    author.call()
    chance, deadline = random.Random(1), time.monotonic() + INTERRUPTED_S  # noqa: S311 (no secret)

    def interrupt(*_: object) -> None:
        if author.adding:
            raise Interrupt

    signal.signal(signal.SIGALRM, interrupt)
    while time.monotonic() < deadline:
        _add_until_interrupted(author, chance.uniform(*PAUSE_S))
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    author.write(50)
    if not place.log.flush(10):
        raise RuntimeError("expected delivery to go on after interrupts, found it stuck")


def _add_until_interrupted(author: Author, seconds: float) -> None:
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
        author.write(MANY, pauses=False)
    except Interrupt:
        return


def closes_amid_adds(place: Place) -> None:
    """Logs are closed while threads add to them, and the next one is opened."""
    for number in range(CLOSES):
        log = place.opened()
        authors = [place.author(f"of-{number}-{thread}", log) for thread in range(3)]
        threads = [threading.Thread(target=_add_until_closed, args=(author,)) for author in authors]
        for thread in threads:
            thread.start()
        time.sleep(0.01)
        log.close()
        for thread in threads:
            thread.join()


def _add_until_closed(author: Author) -> None:
    try:
        while True:
            author.call()
    except eventlog.EventLogError:
        return
