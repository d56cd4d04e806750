"""Nothing acknowledged is lost, doubled or reordered, whatever dies and whenever.

$EVENTLOG_KILLS sets the number of kills (200 in CI, 40 elsewhere); $EVENTLOG_SEED repeats a run. Both are reported.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

KILLS = int(os.environ.get("EVENTLOG_KILLS") or (200 if os.environ.get("CI") else 40))
ROOT = Path(__file__).parents[2]


def killed(place: Path, url: str, kills: int, *more: str) -> dict[str, Any]:
    """Run a zygote in a process of its own and give its report."""
    seed = os.environ.get("EVENTLOG_SEED") or str(random.SystemRandom().getrandbits(31))
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.zygote", str(place), url, str(kills), seed, *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(report)  # noqa: T201 (the seed)
    return report


def holds(report: dict[str, Any]) -> None:
    """Fail with the whole report, seed included, unless every promise was kept."""
    kept = {"faults": 0, "drained": 1, "lost": 0, "doubled": 0, "disordered": 0}
    assert {name: report[name] for name in kept} == kept, report
    assert report["acknowledged"] > report["kills"], report
    assert report["hits"] >= report["kills"] // 8, report


def test_kills_lose_double_and_reorder_nothing_in_sqlite(tmp_path: Path) -> None:
    """At named points and at any instant, two writers at a time, over one journal."""
    holds(killed(tmp_path, f"sqlite:///{tmp_path}/store.db", KILLS // 2))


def test_kills_lose_double_and_reorder_nothing_in_redis(tmp_path: Path, redis_url: str) -> None:
    """The same, over a real server."""
    holds(killed(tmp_path, redis_url, KILLS // 2))


def test_an_acknowledgement_before_the_write_is_caught(tmp_path: Path) -> None:
    """The control: writers that acknowledge too early must be found to lose."""
    report = killed(tmp_path, f"sqlite:///{tmp_path}/store.db", 40, "sabotaged")
    assert report["lost"] > 0, report
