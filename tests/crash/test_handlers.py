"""Signal handlers that use the log: nothing hangs, nothing acknowledged is lost, what is refused is not kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HANGS_S = 40.0


@pytest.mark.parametrize("ack", ["journal", "fsync", "backend"])
@pytest.mark.parametrize("name", ["adds", "closes"])
def test_a_handler_may_use_the_log_at_any_instant(name: str, ack: str, tmp_path: Path) -> None:
    """In the middle of an append, of the first one too, of a sync, of a read."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.handlers", name, ack, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) >= 10
