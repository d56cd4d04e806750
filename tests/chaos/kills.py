"""Row 1: SIGKILL at named points and at any instant, two writers at a time, over SQLite and over a real Redis.

The control's writers write down their acknowledgement before they add.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.chaos.promises import Figures, Trial, kept
from tests.servers.redis_server import make_redis

ROOT = Path(__file__).parents[2]
KILLS_A_JOURNAL_MAX = 400
SUMMED = ("hits", "faults", "acknowledged", "lost", "doubled", "disordered", "undrained")


def kills(trial: Trial) -> Figures:
    """Half of them over each store, each campaign over a journal and a store of its own."""
    chance = trial.chance
    total: Figures = {"kills": 0, **dict.fromkeys(SUMMED, 0)}
    while total["kills"] < trial.n:
        count = min(KILLS_A_JOURNAL_MAX, trial.n - total["kills"])
        _gather(total, _over_sqlite(trial.place, -(-count // 2), chance.getrandbits(31)))
        _gather(total, _over_redis(trial.place, count // 2, chance.getrandbits(31)))
    return kept(total, "lost", "doubled", "disordered", "faults", "undrained")


def hasty(trial: Trial) -> Figures:
    """The control."""
    place = trial.place / "hasty"
    place.mkdir()
    return kept(_killed(place, f"sqlite:///{place}/store.db", trial.n, trial.seed, "sabotaged"), "lost")


def _gather(total: Figures, report: dict[str, Any]) -> None:
    for name in ("kills", *SUMMED):
        total[name] += report[name]


def _over_sqlite(place: Path, count: int, seed: int) -> dict[str, Any]:
    fresh = place / f"sqlite-{seed}"
    fresh.mkdir()
    return _killed(fresh, f"sqlite:///{fresh}/store.db", count, seed)


def _over_redis(place: Path, count: int, seed: int) -> dict[str, Any]:
    if not count:
        return dict.fromkeys(("kills", *SUMMED), 0)
    fresh = place / f"redis-{seed}"
    fresh.mkdir()
    with make_redis() as server:
        return _killed(fresh, server.url, count, seed)


def _killed(place: Path, url: str, count: int, seed: int, *more: str) -> dict[str, Any]:
    """Run a zygote in a process of its own and give its report."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.zygote", str(place), url, str(count), str(seed), *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60 + 5 * count,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report | {"undrained": 1 - report["drained"]}
