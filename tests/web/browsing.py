"""A real browser that looks at a real server: what it shows, and all that it asked for and complained about."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, Playwright

from tests.cli.running import COMMAND, environment
from tests.servers.missing import missing_server

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 20_000
SCREENSHOTS = Path(os.environ.get("EVENTLOG_SCREENSHOTS", "build/screenshots"))


def launched(playwright: Playwright) -> Browser:
    """Start the machine's chromium, or end the test where there is none."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        missing_server("expected chromium on the path, found none; on Debian: apt-get install chromium")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path=program, args=arguments)


class Site:
    """A running `eventlog serve`."""

    def __init__(self, address: str) -> None:
        self.address = address.partition("?")[0]
        self.whole_address = address

    def session(self, session: str) -> str:
        """Give the address of a session's page."""
        return f"{self.address}session?{urlencode({'id': session})}"


@contextmanager
def served(*words: str | Path, folder: Path) -> Iterator[Site]:
    """Run `eventlog serve` on a port of its own."""
    command = [*COMMAND, "serve", "--port", "0", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=folder, env=environment(), text=True) as process:
        try:
            assert process.stdout is not None
            yield Site(process.stdout.readline().strip())
        finally:
            process.kill()


class Watched:
    """A page, and what it did behind its reader's back."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        page.on("request", lambda request: self.requests.append(request.url))

    def go(self, address: str) -> None:
        """Open an address and wait until it shows something."""
        self.page.goto(address)
        self.page.wait_for_selector("body[data-ready]")

    def press(self, *keys: str) -> None:
        """Press keys."""
        for key in keys:
            self.page.keyboard.press(key)

    def wait(self, condition: str, argument: Any = None) -> None:
        """Wait until something holds in the page."""
        self.page.wait_for_function(condition, arg=argument)

    def texts(self, *, gone: bool = False) -> list[str]:
        """Give what is shown as visible, or as gone, when all of it is there."""
        self.wait("() => !document.querySelector('.placeholder')")
        rows = ".said.gone .text" if gone else ".said:not(.gone) .text"
        found: list[str] = self.page.eval_on_selector_all(rows, "rows => rows.map(row => row.textContent)")
        return found

    def wait_for_texts(self, expected: list[str]) -> None:
        """Wait until just that is shown as visible."""
        self.wait(
            "expected => { const rows = document.querySelectorAll('.said:not(.gone) .text');"
            " return JSON.stringify([...rows].map(row => row.textContent)) === JSON.stringify(expected); }",
            expected,
        )

    @property
    def moment(self) -> int:
        """The moment that is shown."""
        return int(self.page.get_attribute("body", "data-moment") or -1)

    def keep(self, name: str) -> None:
        """Keep a picture."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{re.sub(r'[^a-z0-9-]+', '-', name)}.png")

    def assert_well_behaved(self, origin: str) -> None:
        """No error, no warning, nothing asked of anybody else."""
        assert self.complaints == []
        assert [url for url in self.requests if not url.startswith((origin, "data:", "blob:"))] == []
