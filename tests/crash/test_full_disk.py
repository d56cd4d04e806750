"""A disk that is really full."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.crash.full_disk import NAMESPACE
from tests.servers.missing import missing_server


def test_a_full_disk_refuses_adds_until_delivery_frees_it(tmp_path: Path) -> None:
    """Nothing acknowledged is lost or doubled, and adds go on when the backend is back."""
    mounts = ["sh", "-c", f"mkdir {tmp_path}/try && mount -t tmpfs -o size=1m none {tmp_path}/try"]
    if not shutil.which("unshare") or subprocess.run([*NAMESPACE, *mounts], check=False).returncode:
        missing_server("expected to mount a small tmpfs (unshare of util-linux, root or user namespaces), could not")
    words = [*NAMESPACE, sys.executable, "-m", "tests.crash.full_disk", str(tmp_path)]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 3000 + 2000
