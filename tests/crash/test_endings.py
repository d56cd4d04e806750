"""However a program forks, runs and ends: no promise is broken (verdict.py), and nothing hangs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import eventlog
from tests.crash.campaign import ROOT
from tests.crash.place import Place
from tests.crash.scripts import ENDINGS, SCRIPTS
from tests.crash.verdict import Ack, compare, read_acks, read_store

pytestmark = [pytest.mark.crash, pytest.mark.timeout(90)]
HANGS_S = 40.0
ENDS_S = 5.0
STARTS_S = 1.5
CODES = {"raises": 1, "is_terminated": -15, "is_interrupted": -2}


def run(name: str, place: Path, url: str) -> float:
    """Run a script to its end and give the seconds that it took; fail if it did not end as its name says."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.scripts", name, str(place), url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )
    assert done.returncode == CODES.get(name, 0), done.stderr
    assert "Traceback" not in done.stderr or name in CODES, done.stderr
    return time.monotonic() - began


def acks(place: Path) -> list[Ack]:
    """Read what was acknowledged, by all processes of a script."""
    return read_acks(sorted(place.glob("*.acks")))


def holds(place: Path, url: str) -> None:
    """Have the next process deliver what was left, and fail if a promise was broken."""
    with eventlog.open(url, journal=place / "journal") as log:
        assert log.flush(30)
    assert acks(place)
    assert compare(acks(place), read_store(url)) == {}


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_promise_is_broken_over_sqlite(name: str, tmp_path: Path) -> None:
    """The store is read raw after the next process has delivered what the script left."""
    url = f"sqlite:///{tmp_path}/store.db"
    run(name, tmp_path, url)
    holds(tmp_path, url)


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_promise_is_broken_over_redis(name: str, tmp_path: Path, redis_url: str) -> None:
    """A real server: connections, too, meet forks and ends."""
    run(name, tmp_path, redis_url)
    holds(tmp_path, redis_url)


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.__name__)
def test_a_program_ends_soon_although_its_store_is_away(ending: Callable[[Place], None], tmp_path: Path) -> None:
    """Within the time that an exit may take to deliver; what it leaves goes to the store when that is back."""
    url, store = f"sqlite:///{tmp_path}/store.db", tmp_path / "store.db"
    store.mkdir()  # SQLite cannot open a folder
    seconds = run(ending.__name__, tmp_path, url)
    assert seconds < ENDS_S + STARTS_S
    store.rmdir()
    holds(tmp_path, url)
