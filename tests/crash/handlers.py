"""Programs whose signal handlers use the log in the middle of whatever the main thread does with it.

    python -m tests.crash.handlers adds|closes ACK PLACE

Each asserts what it claims and prints how often its handler ran.
"""

from __future__ import annotations

import random
import signal
import sys
from pathlib import Path

import eventlog
from eventlog.errors import AckTimeout, Closed, JournalError

MESSAGES = {"journal": 20_000, "fsync": 600, "backend": 300}
CLOSINGS = 12
SECONDS_MAX = {"journal": 0.02, "fsync": 0.05, "backend": 0.05}


def adds(ack: str, place: Path) -> int:
    """Add, read and add again from a handler, from the first add on; what was refused is in no history."""
    log = eventlog.open(f"sqlite:///{place}/store.db", journal=place / "journal", ack=ack)
    taken: list[int] = []
    refused: list[int] = []
    ran = 0

    def handle(*_: object) -> None:
        nonlocal ran
        ran += 1
        try:
            log.history("handler").add(ran)
            taken.append(ran)
        except JournalError:
            refused.append(ran)
        log.history("handler").messages(last=3)
        if len(log_here) < MESSAGES[ack]:
            signal.setitimer(signal.ITIMER_REAL, 0.001)

    log_here: list[int] = []
    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005)
    for number in range(MESSAGES[ack]):
        log.history("main").add(number)
        log_here.append(number)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert log.flush(20)
    assert log.history("main").messages() == log_here
    assert log.history("handler").messages() == taken
    assert ran == len(taken) + len(refused)
    log.close()
    return ran


def closes(ack: str, place: Path) -> int:
    """Close from a handler at any instant; what was acknowledged is kept, the add in the middle may be."""
    draw = random.Random(20)  # noqa: S311 (nobody must not guess it)
    for turn in range(CLOSINGS):
        log = eventlog.open(f"sqlite:///{place}/store.db", journal=place / "journal", ack=ack)
        signal.signal(signal.SIGALRM, lambda *_, log=log: log.close())
        signal.setitimer(signal.ITIMER_REAL, draw.uniform(0.0005, SECONDS_MAX[ack]))
        taken = _add_until_closed(log, f"turn-{turn}")
        with eventlog.open(f"sqlite:///{place}/store.db", journal=place / "journal") as later:
            assert later.flush(20)
            found = list(later.history(f"turn-{turn}").messages())
        assert found in (list(range(taken)), list(range(taken + 1))), (taken, found[-3:])
    return CLOSINGS


def _add_until_closed(log: eventlog.EventLog, session: str) -> int:
    taken = 0
    try:
        while True:
            log.history(session).add(taken)
            taken += 1
    except (Closed, AckTimeout):
        return taken


if __name__ == "__main__":
    print({"adds": adds, "closes": closes}[sys.argv[1]](sys.argv[2], Path(sys.argv[3])))  # noqa: T201 (for the test)
