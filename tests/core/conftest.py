"""What the tests of the core get: a place for a journal and logs that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eventlog.log import EventLog
from eventlog.ports import Backend
from tests.core.tools import open_log


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give the place of a journal, which is not there yet."""
    return tmp_path / "here"


@pytest.fixture
def opened(place: Path) -> Iterator[Callable[..., EventLog]]:
    """Give a maker of logs over one directory; those still open are closed at once at the end."""
    logs: list[EventLog] = []

    def make(*stores: str | Backend, **options: Any) -> EventLog:
        logs.append(open_log(*stores, **{"journal": place, "max_block": 0.5, **options}))
        return logs[-1]

    yield make
    for log in logs:
        log.close(timeout=0)
