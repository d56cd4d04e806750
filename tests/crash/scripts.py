"""Programs that fork, run and end in the ways programs do; each is run by name in a process of its own.

    python -m tests.crash.scripts NAME PLACE URL

Each adds through authors (author.py), who write down what was acknowledged; the test compares that with the store.
Where a script ends by itself in the middle of something, that something is an add.
"""

from __future__ import annotations

import asyncio
import atexit
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import NoReturn

import eventlog
from tests.crash.place import Place
from tests.crash.storms import closes_amid_adds, forks_like_a_storm, is_interrupted_at_any_instant
from tests.crash.tasks import SESSIONS

MANY = 1 << 40
SOON_S = 0.15


def _child(work: Callable[[], object]) -> int:
    """Fork; the child works and ends as programs do."""
    pid = os.fork()
    if pid == 0:
        work()
        sys.exit()
    return pid


def _wait(*pids: int) -> None:
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    if any(codes):
        raise RuntimeError(f"expected children to end well, found {codes}")


def _signal_soon(number: signal.Signals) -> None:
    """Send this process a signal while it is in the middle of adding."""
    timer = threading.Timer(SOON_S, os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()


# forks


def forks(place: Place) -> None:
    """os.fork in the middle, with all threads running; parent and children go on."""
    place.fill("before")
    pids = []
    for number in range(4):
        pids.append(_child(partial(place.fill, f"child-{number}")))
        place.fill(f"parent-{number}")
    _wait(*pids)


def forks_grandchildren(place: Place) -> None:
    """A child that forks before its own first add, and one that forks after it."""
    place.fill("parent")
    _wait(_child(lambda: _wait(_child(lambda: place.fill("grandchild")))))

    def child() -> None:
        place.fill("child")
        _wait(_child(lambda: place.fill("grandchild-2")))

    _wait(_child(child))


def forks_from_a_thread(place: Place) -> None:
    """The thread that forks is not the main one."""
    place.fill("before")
    thread = threading.Thread(target=lambda: _wait(_child(lambda: place.fill("child"))))
    thread.start()
    place.fill("meanwhile")
    thread.join()


def forks_children_that_end_without_farewell(place: Place) -> None:
    """os._exit: neither atexit nor close."""
    place.fill("parent")

    def child(number: int) -> None:
        place.fill(f"child-{number}")
        os._exit(0)

    _wait(*(_child(partial(child, number)) for number in range(3)))


def reads_then_forks_then_closes(place: Place) -> None:
    """The parent has the store open, and closes while its child goes on."""
    place.fill("parent")
    place.log.flush(10)
    place.log.history(SESSIONS[0]).messages()
    (closed, close), (seen, see) = os.pipe(), os.pipe()

    def child() -> None:
        place.fill("child-before")
        place.log.flush(10)
        os.write(see, b"x")
        os.read(closed, 1)
        place.fill("child-after")

    pid = _child(child)
    os.read(seen, 1)
    place.log.close()
    os.write(close, b"x")
    _wait(pid)


def uses_multiprocessing(place: Place) -> None:
    """Workers by spawn and by fork."""
    place.fill("parent")
    makers = {
        "spawn": multiprocessing.get_context("spawn").Process,
        "fork": multiprocessing.get_context("fork").Process,
    }
    for method, make in makers.items():
        names = [f"{method}-{number}" for number in range(2)]
        workers = [make(target=_worker, args=(str(place.path), place.url, name)) for name in names]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            if worker.exitcode:
                raise RuntimeError(f"expected a worker to end well, found {worker.exitcode}")


def _worker(path: str, url: str, name: str) -> None:
    Place(path, url).fill(name)


def serves_preloaded(place: Place) -> None:
    """As a server with --preload: the master opens and reads, the workers add until SIGTERM, the master ends last."""
    place.log.history(SESSIONS[0]).messages()
    ready, tell = os.pipe()

    def serve(name: str) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        place.fill(name)
        os.write(tell, b"x")
        place.fill(name, MANY)

    pids = [_child(partial(serve, f"worker-{number}")) for number in range(3)]
    for _ in pids:
        os.read(ready, 1)
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    _wait(*pids)


# threads and tasks


def uses_threads(place: Place) -> None:
    """Sixteen of them on one log."""
    threads = [threading.Thread(target=place.fill, args=(f"thread-{number}",)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def uses_tasks(place: Place) -> None:
    """Sixty-four tasks in one event loop, which add and read."""
    asyncio.run(_tasks(place))


async def _tasks(place: Place) -> None:
    async with place.log:
        await asyncio.gather(*(_task(place, number) for number in range(64)))


async def _task(place: Place, number: int) -> None:
    author = place.author(f"task-{number}")
    for _ in range(20):
        await author.acall()


# endings


def returns(place: Place) -> None:
    """Just end."""
    place.fill("main")


def exits(place: Place) -> None:
    """sys.exit."""
    place.fill("main")
    sys.exit()


def raises(place: Place) -> None:
    """An exception that nobody catches."""
    place.fill("main")
    raise RuntimeError("nobody catches this")


def exits_without_farewell(place: Place) -> None:
    """os._exit under the feet of all threads."""
    place.fill("main")
    os._exit(0)


def exits_while_daemon_threads_add(place: Place) -> None:
    """They add until the interpreter is gone."""
    for number in range(4):
        threading.Thread(target=_add_until_closed, args=(place, f"daemon-{number}"), daemon=True).start()
    place.fill("main")


def _add_until_closed(place: Place, name: str) -> None:
    try:
        place.fill(name, MANY)
    except eventlog.EventLogError:
        return


def adds_at_exit(place: Place) -> None:
    """A program's own atexit still adds."""
    atexit.register(place.fill, "at-exit")
    place.fill("main")


def is_terminated(place: Place) -> None:
    """SIGTERM, and nobody handles it."""
    _signal_soon(signal.SIGTERM)
    place.fill("main", MANY)


def exits_in_a_handler(place: Place) -> None:
    """SIGTERM raises SystemExit in the middle of an add, as in most servers."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    _signal_soon(signal.SIGTERM)
    place.fill("main", MANY)


def closes_in_a_handler(place: Place) -> None:
    """SIGTERM closes the log in the middle of an add, then exits."""

    def end(*_: object) -> NoReturn:
        place.log.close()
        sys.exit()

    signal.signal(signal.SIGTERM, end)
    _signal_soon(signal.SIGTERM)
    place.fill("main", MANY)


def adds_in_a_handler(place: Place) -> None:
    """Signals come in the middle of adds, and their handler adds too."""
    author, idle = place.author("handler"), [True]

    def handle(*_: object) -> None:
        if idle:
            idle.pop()
            author.call()
            idle.append(True)

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    place.fill("main", 3000)
    signal.setitimer(signal.ITIMER_REAL, 0)


def is_interrupted(place: Place) -> None:
    """Ctrl-C in the middle of an add."""
    _signal_soon(signal.SIGINT)
    place.fill("main", MANY)


FORKS = (
    forks,
    forks_grandchildren,
    forks_from_a_thread,
    forks_children_that_end_without_farewell,
    reads_then_forks_then_closes,
    uses_multiprocessing,
    serves_preloaded,
)
CONCURRENT = (uses_threads, uses_tasks)
ENDINGS = (
    returns,
    exits,
    raises,
    exits_without_farewell,
    exits_while_daemon_threads_add,
    adds_at_exit,
    is_terminated,
    exits_in_a_handler,
    closes_in_a_handler,
    adds_in_a_handler,
    is_interrupted,
)
STORMS = (forks_like_a_storm, is_interrupted_at_any_instant, closes_amid_adds)
SCRIPTS: dict[str, Callable[[Place], None]] = {
    script.__name__: script for script in (*FORKS, *CONCURRENT, *ENDINGS, *STORMS)
}


if __name__ == "__main__":
    SCRIPTS[sys.argv[1]](Place(*sys.argv[2:]))
