"""What tests of the command share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import Eventlog


@pytest.fixture
def run(tmp_path: Path) -> Eventlog:
    """Give the command, to be run in an empty folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    return Eventlog(folder)
