"""The command: `python -m bench.vendors [--quick] [--only VENDOR]`: Momento and Rockset, on servers of ours.

Room: the rows of the two backends whose services no test machine reaches. The servers are this repository's own
(tests/servers), in a process of their own, a fresh one for each round, the same for both sides.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

from rich.console import Console

from bench.arena import Arena, disk_folder
from bench.report import show
from bench.rounds import Contestant, Group, Results, play
from bench.rows import Number, Row
from bench.work_vendors import MOMENTO, PLACE, ROCKSET

_ROOT = Path(__file__).parents[1]
_HOST = "127.0.0.1"
_WIDTH = 130
_URLS = {
    "momento": f"momento://{PLACE}?endpoint={_HOST}:{{port}}",
    "rockset": f"rockset://{_HOST}:{{port}}/commons/{PLACE}?tls=false",
}
_ROUNDS = {"momento": MOMENTO, "rockset": ROCKSET}
_AT_LEAST = {"add": 20.0, "drain": 5.0, "read": 1.5}
_TITLES = {
    "add": "{}: the drop-in's add_message",
    "drain": "{}: until all of 200 sessions is in the server",
    "read": "{}: messages of 2,000",
}


class VendorArena(Arena):
    """A server of one vendor, a new one for each round."""

    def __init__(self, vendor: str, folder: Path) -> None:
        """Name it; nothing runs yet."""
        self.vendor, self.folder = vendor, folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is left: each round ends its own."""

    def url(self, *, slow: bool) -> str:
        """Give the address of this round's server."""
        assert not slow, "expected no slow network"
        return str(self.server.url)

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """Start a server and give a new folder for journals; both are gone at the end."""
        words = [sys.executable, "-m", f"tests.servers.{self.vendor}", PLACE]
        with subprocess.Popen(  # noqa: S603 (a program of this checkout)
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT
        ) as process:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            self.server: Any = SimpleNamespace(url=_URLS[self.vendor].format(port=port))
            journals = Path(tempfile.mkdtemp(prefix="eventlog-bench-", dir=self.folder))
            try:
                yield journals
            finally:
                shutil.rmtree(journals, ignore_errors=True)
                process.communicate()


def groups(vendor: str, *, quick: bool) -> list[Group]:
    """Give who takes turns with whom, and how long."""
    rounds, name = (2 if quick else 5), vendor.title()
    many = 1 if quick else 4
    sizes = {"add": (5_000 * many, 500 * many), "drain": (5_000 * many, 1_000), "read": (2_000, 2_000)}
    return [
        Group(
            f"{vendor} {work}",
            [
                Contestant(f"{name} {work}", getattr(_ROUNDS[vendor], f"our_{work}"), ours),
                Contestant(f"their {name} {work}", getattr(_ROUNDS[vendor], f"their_{work}"), theirs),
            ],
            rounds,
        )
        for work, (ours, theirs) in sizes.items()
    ]


def rows(vendor: str) -> list[Row]:
    """Give what is divided by what, and what is wanted of it."""
    name = vendor.title()
    return [
        Row(
            f"{vendor} {work}",
            _TITLES[work].format(name),
            Number(f"{name} {work}", "per_s"),
            Number(f"their {name} {work}", "per_s"),
            least,
            least * 2,
        )
        for work, least in _AT_LEAST.items()
    ]


def main(words: Sequence[str] | None = None) -> None:
    """Play the rounds and show the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.vendors", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short rounds")
    parser.add_argument("--only", action="append", choices=list(_URLS), help="one vendor (repeatable)")
    wanted = parser.parse_args(words)
    os.environ |= {"MOMENTO_API_KEY": "none", "ROCKSET_API_KEY": "none"}
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    for vendor in wanted.only or _URLS:
        results: Results = {}
        with VendorArena(vendor, disk_folder()) as arena, console.status("") as status:
            for group in groups(vendor, quick=wanted.quick):
                results |= play(group, arena, status.update)
        show(console, rows(vendor), results)


if __name__ == "__main__":
    main()
