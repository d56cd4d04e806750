"""A command on a terminal: what it shows, what is typed."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from tests.cli.running import COMMAND, TIMEOUT_S, environment

_ACTS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """One command, its output so far, its end."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self._process, self._master = process, master
        self.shown = ""

    def wait_for(self, text: str) -> None:
        """Read until `text` was shown."""
        deadline = monotonic() + TIMEOUT_S
        while text not in self.shown:
            assert self._read(deadline), f"expected {text!r}, found {self.shown!r}"

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._master, text.encode() + b"\n")

    def interrupt(self) -> None:
        """Do as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Read to the end; give the exit code."""
        while self._read(monotonic() + TIMEOUT_S):
            pass
        return self._process.wait(TIMEOUT_S)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - monotonic()))
        try:
            data = os.read(self._master, 65536) if ready else b""
        except OSError:  # the other side was closed
            data = b""
        self.shown += _ACTS.sub("", data.decode(errors="replace"))
        return bool(data)


@contextmanager
def on_terminal(folder: Path, *words: str | Path, columns: int = 100) -> Iterator[Terminal]:
    """Run the command on a terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *map(str, words)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=folder,
        env=environment(COLUMNS=str(columns), LINES="40", TERM="xterm"),
        start_new_session=True,
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)
