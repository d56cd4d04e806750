"""Where a script of scripts.py works: a folder, a store, and a log over both."""

from __future__ import annotations

import os
from pathlib import Path

import eventlog
from tests.crash.author import Author


class Place:
    """The log of one process, and its authors."""

    def __init__(self, path: str, url: str) -> None:
        self.path, self.url = Path(path), url
        self.log = self.opened()

    def opened(self) -> eventlog.EventLog:
        """Open a log of this place."""
        return eventlog.open(self.url, journal=self.path / "journal")

    def author(self, name: str, log: eventlog.EventLog | None = None) -> Author:
        """Give an author of that name, of this process."""
        return Author(log or self.log, f"{name}-{os.getpid()}", self.path / f"{name}-{os.getpid()}.acks")

    def fill(self, name: str, calls: int = 150) -> None:
        """Add as an author of that name."""
        self.author(name).write(calls, pauses=False)
