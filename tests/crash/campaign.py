"""A campaign: many processes over one journal, most of which are killed; then what is left is delivered, and judged.

Writers come and go one by one, a few at a time, so that the living meet what the dead left in every state. One of them
survives all others and is killed last. Then a process is born that only drains; what it leaves must be nothing: no
folder, no event that is not in the stores, and no word of a fault in anybody's log.

Everything that is drawn comes from the seed. What the machine's scheduler makes of it does not.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec

from tests.crash.points import ALL_POINTS
from tests.crash.tasks import Task
from tests.crash.verdict import Life, Verdict, compare, read_acks, read_store

ROOT = Path(__file__).parents[2]
AT_ONCE = 5
POLL_S = 0.002
LIFE_S = (0.0, 0.35)
LONGEST_LIFE_S = 20.0
BEHIND_MS_MAX = 3_600_000
FOR_EVER = 1 << 40


class Zygote:
    """The harness's side of zygote.py."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.crash.zygote"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def _ask(self, value: object) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the zygote has no pipes")
        stdin.write(msgspec.json.encode(value) + b"\n")
        stdin.flush()
        return msgspec.json.decode(stdout.readline())

    def bear(self, task: Task) -> int:
        """Make a child and give its process id."""
        pid: int = self._ask(task)
        return pid

    def ended(self) -> dict[int, int]:
        """Give the exit codes of those who ended since the last call."""
        return dict(self._ask(None))

    def close(self) -> None:
        """End it and its children."""
        self._process.communicate()


@contextmanager
def zygote() -> Iterator[Zygote]:
    """Give a zygote for a while."""
    one = Zygote()
    try:
        yield one
    finally:
        one.close()


class _Child(NamedTuple):
    task: Task
    born: float
    killed_at: float


class Campaign:
    """All that happens over one journal."""

    def __init__(self, place: Path, urls: Sequence[str], seed: str, zygote: Zygote) -> None:
        self._place, self._urls, self._seed, self._zygote = place, tuple(urls), seed, zygote
        self._chance = Random(seed)  # noqa: S311 (to be repeated)
        self._names = count()
        self._tasks: list[Task] = []
        self._living: dict[int, _Child] = {}
        self.lives: dict[str, Life] = {}
        self.codes: dict[str, int] = {}
        self.kills = 0

    # children

    def bear(self, *, life_s: float = LONGEST_LIFE_S, **what: Any) -> int:
        """Give life to a process, for `life_s` at the most."""
        name = f"p{next(self._names)}"
        task = Task(name, str(self._place), self._urls, seed=f"{self._seed}/{name}", **what)
        self._tasks.append(task)
        born = time.monotonic()
        pid = self._zygote.bear(task)
        self._living[pid] = _Child(task, born, born + life_s)
        return pid

    def look(self) -> None:
        """Kill those whose time has come, and bury the dead."""
        now = time.monotonic()
        for pid, child in self._living.items():
            if child.killed_at <= now:
                os.kill(pid, signal.SIGKILL)
        for pid, code in self._zygote.ended().items():
            child = self._living.pop(pid)
            self.lives[child.task.name] = Life(child.born, time.monotonic())
            self.codes[child.task.name] = code
            self.kills += code == -signal.SIGKILL

    def wait_until_fewer_than(self, number: int) -> None:
        """Wait until fewer processes than this live."""
        while len(self._living) >= number:
            self.look()
            time.sleep(POLL_S)

    # chapters

    def fight(self, points: Sequence[str | None], **what: Any) -> None:
        """Have a writer die at each of the points, or at any instant where that is None; a survivor dies last."""
        survivor = self.bear(calls=FOR_EVER, behind_ms=self._behind_ms(), **what)
        for point in points:
            self.wait_until_fewer_than(AT_ONCE + 1)
            self._send(point, **what)
        self.wait_until_fewer_than(2)
        if survivor in self._living:
            os.kill(survivor, signal.SIGKILL)
        self.wait_until_fewer_than(1)

    def _send(self, point: str | None, **what: Any) -> None:
        threads = self._chance.choice((1, 1, 1, 3))
        what = {"threads": threads, "behind_ms": self._behind_ms(), "calls": 1200 // threads, **what}
        if point is None:
            self.bear(life_s=self._chance.uniform(*LIFE_S), **what | {"calls": FOR_EVER})
        else:
            self.bear(point=point, nth=self._chance.randint(1, ALL_POINTS[point].nth_max), **what)

    def _behind_ms(self) -> int:
        return self._chance.choice((0, self._chance.randrange(BEHIND_MS_MAX)))

    def drain(self) -> int:
        """Have a new process deliver what is left, and give its exit code."""
        self.bear(work="drain", life_s=4 * LONGEST_LIFE_S)
        name = self._tasks[-1].name
        self.wait_until_fewer_than(1)
        return self.codes[name]

    # judgement

    def judge(self, url: str) -> Verdict:
        """Compare a store with what was acknowledged."""
        return compare(self.acks(), read_store(url), self.lives)

    def acks(self) -> list[Any]:
        """Read what all writers wrote down."""
        return read_acks([task.acks for task in self._tasks])

    def left_behind(self) -> list[str]:
        """Name the folders of writers that are still in the journal."""
        found = (self._place / "journal").iterdir()
        return [path.name for path in found if path.is_dir() and not path.name.startswith(".new-")]

    def faults(self) -> list[str]:
        """Give the logs in which somebody met a fault, or ended as nobody should."""
        ends = [f"{name} ended with {code}" for name, code in self.codes.items() if code not in {0, -signal.SIGKILL}]
        logs = [task.told.read_text() for task in self._tasks if task.told.exists()]
        return [*ends, *(log for log in logs if "Traceback" in log or "damage" in log)]

    def reached(self) -> set[str]:
        """Name the points at which somebody died."""
        return {task.point for task in self._tasks if task.point and task.struck.exists()}
