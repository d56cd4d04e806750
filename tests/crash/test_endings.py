"""A program ends soon; that what it acknowledged is kept is row 8 of the proof (tests/chaos)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.chaos.endings import run_script

ENDS_S = 5.5
ENDINGS = ("exits", "raises", "returns", "terminated", "terminated_with_handler", "exits_from_a_thread")


@pytest.mark.parametrize("name", ENDINGS)
def test_a_program_ends_soon_although_its_backend_is_away(name: str, tmp_path: Path) -> None:
    """Within the five seconds that an exit may take to deliver, and much sooner when nobody answers."""
    (tmp_path / "store.db").mkdir()  # SQLite cannot open a folder
    began = time.monotonic()
    acknowledged, _, failed = run_script(name, tmp_path)
    assert (acknowledged, failed) == ({"s": 200}, False)
    assert time.monotonic() - began < ENDS_S + 1.5
