"""Programs that end in all the ways programs end; each is run by name in a process of its own.

    python -m tests.crash.scripts NAME PLACE

Each adds messages 0, 1, 2, ... to sessions and prints how many were acknowledged; the test counts them in the store.
"""

from __future__ import annotations

import asyncio
import atexit
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import eventlog
from eventlog.adapters.sqlite import SQLiteBackend
from eventlog.log import EventLog

COUNT = 200


def open_log(place: Path) -> EventLog:
    """Open the log that all of a script's processes share."""
    return eventlog.open(f"sqlite:///{place}/store.db", journal=place / "journal")


def fill(log: EventLog, session: str, count: int = COUNT) -> None:
    """Add numbered messages and tell that they were acknowledged."""
    chat = log.history(session)
    for number in range(count):
        chat.add(number)
    tell(session, count)


def tell(session: str, count: int) -> None:
    """Print what was acknowledged, whole, from any process."""
    os.write(1, f"{session} {count}\n".encode())


def forked(place: Path) -> None:
    """os.fork in the middle, with all threads running; parent and children go on."""
    log = open_log(place)
    fill(log, "before")
    children = []
    for number in range(4):
        pid = os.fork()
        if pid == 0:
            fill(log, f"child-{number}")
            sys.exit()
        children.append(pid)
        fill(log, f"parent-{number}")
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    assert log.flush(20)


def forked_and_killed(place: Path) -> None:
    """Children that end without any farewell: the parent delivers what they left."""
    log = open_log(place)
    log.history("warm").add("up")
    for number in range(3):
        pid = os.fork()
        if pid == 0:
            fill(log, f"child-{number}")
            os._exit(0)
        os.waitpid(pid, 0)
    deadline = time.monotonic() + 20
    while len(log._backends["sqlite"].read("child-2", limit=COUNT)) < COUNT:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _worker(place: Path, name: str) -> None:
    fill(open_log(place), name)


def spawned(place: Path) -> None:
    """multiprocessing, by spawn and by fork."""
    log = open_log(place)
    fill(log, "parent")
    makers = {
        "spawn": multiprocessing.get_context("spawn").Process,
        "fork": multiprocessing.get_context("fork").Process,
    }
    for method, make in makers.items():
        workers = [make(target=_worker, args=(place, f"{method}-{number}")) for number in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            assert worker.exitcode == 0
    assert log.flush(20)


def preloaded(place: Path) -> None:
    """As gunicorn with preload: the master opens and reads, the workers write, the master ends last."""
    log = open_log(place)
    assert log.history("warm").messages() == []
    pids = []
    for number in range(3):
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit())
            fill(log, f"worker-{number}")
            signal.pause()
        pids.append(pid)
    time.sleep(1)
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    for pid in pids:
        os.waitpid(pid, 0)


def threaded(place: Path) -> None:
    """Sixteen threads, each with a session of its own."""
    log = open_log(place)
    threads = [threading.Thread(target=fill, args=(log, f"thread-{number}")) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def tasks(place: Path) -> None:
    """Sixty-four tasks in one event loop."""

    async def task(log: EventLog, name: str) -> None:
        chat = log.history(name)
        for number in range(20):
            await chat.aadd(number)
            assert len(await chat.amessages(last=3)) == min(3, number + 1)
        tell(name, 20)

    async def main() -> None:
        async with open_log(place) as log:
            await asyncio.gather(*(task(log, f"task-{number}") for number in range(64)))

    asyncio.run(main())


def exits(place: Path) -> None:
    """sys.exit in the middle of it."""
    fill(open_log(place), "s")
    sys.exit()


def raises(place: Path) -> None:
    """End by an exception that nobody catches."""
    fill(open_log(place), "s")
    raise RuntimeError("nobody catches this")


def returns(place: Path) -> None:
    """Just end."""
    fill(open_log(place), "s")


def terminated(place: Path) -> None:
    """SIGTERM with the default action."""
    fill(open_log(place), "s")
    os.kill(os.getpid(), signal.SIGTERM)


def terminated_with_handler(place: Path) -> None:
    """SIGTERM with a handler that exits, as servers have."""
    log = open_log(place)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    fill(log, "s")
    os.kill(os.getpid(), signal.SIGTERM)


def exits_from_a_thread(place: Path) -> None:
    """os._exit under the feet of all threads."""
    log = open_log(place)
    fill(log, "s")
    os._exit(0)


def adds_at_exit(place: Path) -> None:
    """Exit handlers that add, one before the log's own and one after it; what they are told is kept is kept."""
    atexit.register(lambda: _fill_if_open("after"))
    log = open_log(place)
    atexit.register(lambda: _fill_if_open("before"))

    def _fill_if_open(session: str) -> None:
        with suppress(eventlog.EventLogError):
            fill(log, session, 20)

    fill(log, "s")


def meets_a_fault_of_ours(place: Path) -> None:
    """An exception that nobody foresaw in the delivery thread: told, and tried again."""
    store, faults = SQLiteBackend(place / "store.db"), [RuntimeError("no adapter raises this")]
    append = store.append
    store.append = lambda batch: _raise(faults.pop()) if faults else append(batch)  # type: ignore[method-assign]
    log = eventlog.open(store, journal=place / "journal")
    fill(log, "s")
    assert log.flush(20)
    assert not faults


def _raise(error: Exception) -> Any:
    raise error


def buffers(place: Path) -> None:
    """For a control: acknowledge, keep it in memory, and end without the farewell that would have saved it."""
    log, kept = open_log(place), list(range(COUNT))
    log.history("s").add_many(kept[: COUNT // 2])
    atexit.register(lambda: log.history("s").add_many(kept[COUNT // 2 :]))
    tell("s", COUNT)
    os._exit(0)


SCRIPTS: dict[str, Callable[[Path], None]] = {
    script.__name__: script
    for script in (
        forked,
        forked_and_killed,
        spawned,
        preloaded,
        threaded,
        tasks,
        exits,
        raises,
        returns,
        terminated,
        terminated_with_handler,
        exits_from_a_thread,
        adds_at_exit,
        meets_a_fault_of_ours,
    )
}


if __name__ == "__main__":
    {**SCRIPTS, "buffers": buffers}[sys.argv[1]](Path(sys.argv[2]))
