"""Runs the command in a process of its own, in an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import eventlog

TIMEOUT_S = 50.0
_CHECKOUT = Path(eventlog.__file__).parents[1]
COMMAND = (sys.executable, "-m", "eventlog")


class Eventlog:
    """The command, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: str | Path, stdin: bytes = b"", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end, with more variables in its environment."""
        done = subprocess.run(
            [*COMMAND, *map(str, words)],
            input=stdin,
            capture_output=True,
            check=False,
            cwd=self.folder,
            env=environment(**variables),
            timeout=TIMEOUT_S,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def json(self, *words: str | Path) -> list[Any]:
        """Run it with --json; give the values of its lines."""
        done = self(*words, "--json")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


def environment(**variables: str) -> dict[str, str]:
    """Give the variables that the command runs with: its output is UTF-8 and no terminal's."""
    return {**os.environ, "PYTHONPATH": str(_CHECKOUT), "PYTHONUTF8": "1", **variables}


def as_lines(conversations: Iterable[tuple[str, list[Any]]]) -> bytes:
    """Write conversations as `eventlog load` reads them."""
    return b"".join(
        json.dumps({"session": session, "messages": messages}).encode() + b"\n" for session, messages in conversations
    )
