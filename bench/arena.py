"""Room: what the rounds of a run share: a real server, a slow network before it, a disk for journals."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Self

from bench.players import referee
from eventlog.demo.server import HOST, RedisServer
from eventlog.place import file_system_of

ROUND_TRIP_S = 0.001
_ROOT = Path(__file__).parents[1]
_IN_MEMORY = frozenset({"tmpfs", "ramfs", "overlay", ""})


class SlowNetwork:
    """A proxy that delays each direction by half a round trip, in a process of its own."""

    def __init__(self, port: int) -> None:
        words = [sys.executable, "-m", "tests.servers.proxy", HOST, str(port), str(ROUND_TRIP_S / 2)]
        self._process = subprocess.Popen(  # noqa: S603 (a program of this checkout)
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT
        )
        assert self._process.stdout is not None
        self.url = f"redis://{HOST}:{int(self._process.stdout.readline())}/0"

    def stop(self) -> None:
        """End it."""
        self._process.communicate()


class Arena:
    """One server for all rounds, emptied before each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file_system = file_system_of(folder)
        self.server = RedisServer()

    def __enter__(self) -> Self:
        self.server.start()
        self.network = SlowNetwork(self.server.port)
        return self

    def __exit__(self, *error: object) -> None:
        self.network.stop()
        self.server.stop()

    def url(self, *, slow: bool) -> str:
        """Give the address, directly or through the slow network."""
        return self.network.url if slow else self.server.url

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """Empty the server and give a new folder for journals, removed at the end."""
        client = referee(self.server.url)
        client.flushall()
        client.close()
        journals = Path(tempfile.mkdtemp(prefix="eventlog-bench-", dir=self.folder))
        try:
            yield journals
        finally:
            shutil.rmtree(journals, ignore_errors=True)

    def versions(self) -> dict[str, str]:
        """Give what the server says of itself."""
        with referee(self.server.url) as client:
            info = client.info("server")
        return {"valkey": str(info.get("valkey_version") or info["redis_version"])}

    def round_trips(self) -> dict[str, float]:
        """Measure what one bare question costs from here, in ms: the yardstick for whoever asks once an add."""
        return {"direct": _ping_ms(self.server.url, 2000), "slow": _ping_ms(self.network.url, 200)}


def _ping_ms(url: str, times: int) -> float:
    with referee(url) as client:
        return round(median(_seconds(client.ping) for _ in range(times)) * 1e3, 3)


def _seconds(do: Callable[[], object]) -> float:
    began = perf_counter()
    do()
    return perf_counter() - began


def disk_folder() -> Path:
    """Give a folder on a disk: the temporary one unless that lies in memory."""
    places = [Path(tempfile.gettempdir()), Path("/var/tmp"), Path.cwd()]  # noqa: S108 (mkdtemp makes what is in it)
    fit = (place for place in places if os.access(place, os.W_OK) and file_system_of(place) not in _IN_MEMORY)
    return next(fit, places[0])
