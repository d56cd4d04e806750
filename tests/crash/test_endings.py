"""However a program forks, runs and ends: nothing acknowledged is lost, nothing is doubled, nothing hangs."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

import eventlog
from tests.crash.scripts import SCRIPTS

ROOT = Path(__file__).parents[2]
HANGS_S = 25.0
ENDS_S = 5.5
ENDINGS = ("exits", "raises", "returns", "terminated", "terminated_with_handler", "exits_from_a_thread")


def ended(name: str, place: Path) -> dict[str, int]:
    """Run a script to its end and give what it says was acknowledged."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.scripts", name, str(place)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )
    assert "AssertionError" not in done.stderr, done.stderr
    told = [line.rsplit(" ", 1) for line in done.stdout.splitlines()]
    return {session: int(count) for session, count in told}


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_was_acknowledged_is_in_the_store_once_and_in_order(name: str, tmp_path: Path) -> None:
    """After the next process, if need be, has delivered what the script left."""
    acknowledged = ended(name, tmp_path)
    assert acknowledged
    with eventlog.open(f"sqlite:///{tmp_path}/store.db", journal=tmp_path / "journal") as log:
        assert log.flush(20)
        store = log._backends["sqlite"]
        for session, count in acknowledged.items():
            assert log.history(session).messages() == list(range(count))
            assert len(store.read(session, limit=10 * count)) == count


@pytest.mark.parametrize("name", ENDINGS)
def test_a_program_ends_soon_although_its_backend_is_away(name: str, tmp_path: Path) -> None:
    """Within the five seconds that an exit may take to deliver, and much sooner when nobody answers."""
    (tmp_path / "store.db").mkdir()  # SQLite cannot open a folder
    began = time.monotonic()
    assert ended(name, tmp_path) == {"s": 200}
    assert time.monotonic() - began < ENDS_S + 1.5
