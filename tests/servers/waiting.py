"""How a test waits: for a condition, never for a while."""

from __future__ import annotations

import time
from collections.abc import Callable

WAIT_S = 10.0


def until(holds: Callable[[], bool]) -> None:
    """Return when it holds; fail when it never does."""
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, f"waited {WAIT_S:g} s in vain"
        time.sleep(0.002)
