"""What the tests of the page get: a browser, a log over a real Redis, the site that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

import eventlog
from eventlog.log import EventLog
from tests.cli.running import Eventlog
from tests.web.browsing import Site, Watched, launched, served

Look = Callable[..., Watched]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give a browser; it ends with the module, for its loop is in the way of tests that have one."""
    with sync_playwright() as playwright:
        found = launched(playwright)
        yield found
        found.close()


@pytest.fixture
def run(tmp_path: Path) -> Eventlog:
    """Give the command, to be run in an empty folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    return Eventlog(folder)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Give the place of the journal that the test and the site share."""
    return tmp_path / "shared"


@pytest.fixture
def log(redis_url: str, journal: Path) -> Iterator[EventLog]:
    """Give a log over an empty Redis."""
    with eventlog.open(redis_url, journal=journal) as opened:
        yield opened


@pytest.fixture
def site(log: EventLog, redis_url: str, journal: Path, tmp_path: Path) -> Iterator[Site]:
    """Give the site of that log."""
    del log
    with served("--url", redis_url, "--journal", journal, folder=tmp_path) as running:
        yield running


@pytest.fixture
def look(browser: Browser) -> Iterator[Look]:
    """Give a maker of pages: a window of a size, light or dark."""
    with ExitStack() as windows:

        def opened(width: int = 1200, height: int = 800, scheme: Any = "light", **options: Any) -> Watched:
            viewport: Any = {"width": width, "height": height}
            context = browser.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce", **options)
            windows.callback(context.close)
            return Watched(context.new_page())

        yield opened
