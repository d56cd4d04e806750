"""Row 8: programs that fork, preload, multiprocess and end in every way; each in a process of its own.

The control's program keeps its adds in memory until it ends in good order, which it does not.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import eventlog
from tests.chaos.promises import Figures, Trial, kept
from tests.crash.scripts import SCRIPTS, buffers

ROOT = Path(__file__).parents[2]
HANGS_S = 5.0
PATIENCE_S = 60.0


def endings(trial: Trial) -> Figures:
    """Each script n times."""
    total: Figures = {"programs": 0, "slowest_end_s": 0.0}
    for number in range(trial.n):
        for name in SCRIPTS:
            found = ended(name, trial.place / f"{name}-{number}")
            slowest = max(total["slowest_end_s"], found.pop("end_s"))
            total = {key: total.get(key, 0) + found.get(key, 0) for key in {*total, *found}}
            total["slowest_end_s"] = slowest
            total["programs"] += 1
    return kept(total, "lost", "doubled", "disordered", "hangs", "failed", "silent")


def forgets(trial: Trial) -> Figures:
    """The control."""
    return kept(ended(buffers.__name__, trial.place / "buffers"), "lost")


def ended(name: str, place: Path) -> Figures:
    """Run a script to its end, deliver what it left, and compare the store with what it said was acknowledged."""
    place.mkdir()
    acknowledged, end_s, failed = run_script(name, place)
    figures = {"end_s": end_s, "hangs": int(end_s > HANGS_S), "failed": int(failed), "silent": int(not acknowledged)}
    return figures | _compared(place, acknowledged)


def run_script(name: str, place: Path) -> tuple[dict[str, int], float, bool]:
    """Give what was acknowledged, the seconds from the last word to the end, and whether an assertion failed."""
    with (place / "errors").open("w+b") as errors:
        command = [sys.executable, "-m", "tests.crash.scripts", name, str(place)]
        program = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors)
        told, last = _listened(program)
        program.wait(PATIENCE_S)
        errors.seek(0)
        failed = b"AssertionError" in errors.read()
    return told, round(time.monotonic() - last, 2), failed


def _listened(program: subprocess.Popen[bytes]) -> tuple[dict[str, int], float]:
    assert program.stdout is not None
    told, last = {}, time.monotonic()
    with program.stdout as lines:
        for line in lines:
            session, count = line.decode().rsplit(" ", 1)
            told[session], last = int(count), time.monotonic()
    return told, last


def _compared(place: Path, acknowledged: dict[str, int]) -> dict[str, int]:
    total = {"acknowledged": sum(acknowledged.values()), "lost": 0, "doubled": 0, "disordered": 0}
    with eventlog.open(f"sqlite:///{place}/store.db", journal=place / "journal") as log:
        assert log.flush(PATIENCE_S)
        for session, count in acknowledged.items():
            found = list(log.history(session).messages())
            stored = log._backends["sqlite"].read(session, limit=10 * count)
            total["lost"] += count - len({*found} & {*range(count)})
            total["doubled"] += len(stored) - count if len(stored) > count else 0
            total["disordered"] += found != sorted(found)
    return total
