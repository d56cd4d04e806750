"""Room: the demo's writers, as the one who starts, measures, kills and ends them sees them."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import IO, Self

import msgspec

from eventlog.demo.writer import Measured, Task
from eventlog.errors import EventLogError
from eventlog.events import EventId

WRITERS = 3
SESSIONS = 300
SHARED_EVERY = 10
ADDS_PER_S = 2000
START_TIMEOUT_S = 15.0
_SEED = 7


class WriterFailed(EventLogError):
    """A writer ended though nobody told it to; the message ends with what it said."""


class WriterProcess:
    """One writer; it ends when its stdin does, so it never outlives who started it."""

    def __init__(self, task: Task) -> None:
        """Start it."""
        self.task = task
        self._expected = True
        self._said = Path(task.acks).with_suffix(".log")
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "eventlog.demo.writer"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                start_new_session=True,
            )
        assert self._process.stdin and self._process.stdout  # noqa: S101, PT018 (both are pipes)
        self._stdin: IO[bytes] = self._process.stdin
        self._stdin.write(msgspec.json.encode(task) + b"\n")
        self._stdin.flush()
        self._lock, self._measured, self._started = Lock(), Measured(), Event()
        self._listener = Thread(target=self._listen, args=(self._process.stdout,), daemon=True)
        self._listener.start()

    def _listen(self, stdout: IO[bytes]) -> None:
        for line in stdout:
            with suppress(msgspec.MsgspecError):  # the last line of one that was killed
                news = msgspec.json.decode(line, type=Measured)
                with self._lock:
                    self._measured = merged([self._measured, news])
                self._started.set()
        self._started.set()

    def wait_until_it_writes(self) -> None:
        """Return when it has told of its first adds; `WriterFailed` if it does not."""
        self._started.wait(START_TIMEOUT_S)
        if not self.take().adds:
            raise self._failed()

    def take(self) -> Measured:
        """Give what it measured since the last time; `WriterFailed` if it is gone."""
        if self._expected and self.ended:
            raise self._failed()
        with self._lock:
            measured, self._measured = self._measured, Measured()
        return measured

    def _failed(self) -> WriterFailed:
        said = self._said.read_text()[-2000:]
        return WriterFailed(f"expected {self.task.name} to write, found it silent; it said: {said}")

    def kill(self) -> None:
        """SIGKILL."""
        self._expected = False
        self._process.kill()
        self._process.wait()

    def tell_to_end(self) -> None:
        """Close its stdin: it ends when it has delivered, or after a few seconds."""
        self._expected = False
        with suppress(OSError):
            self._stdin.close()

    @property
    def ended(self) -> bool:
        """Tell whether it is gone."""
        return self._process.poll() is not None

    @property
    def folder(self) -> Path:
        """Its folder in the journal, known from the first event that it was given an id for."""
        with Path(self.task.acks).open() as acks:
            event_id = EventId(bytes.fromhex(acks.readline().split()[0]))
        return Path(self.task.journal) / event_id.writer.hex()


class Company:
    """All the writers, of one journal."""

    def __init__(self, url: str, folder: Path) -> None:
        """Give each its task; `with` starts them."""
        self.journal = folder / "journal"
        self.tasks = [_task(number, url, self.journal, folder) for number in range(WRITERS)]
        self.writers: list[WriterProcess] = []

    def __enter__(self) -> Self:
        """Start them all."""
        for task in self.tasks:
            self.writers.append(WriterProcess(task))
        return self

    def wait_until_all_write(self) -> None:
        """Return when the last has begun, too."""
        for writer in self.writers:
            writer.wait_until_it_writes()
        self.take()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leave none alive."""
        for writer in self.writers:
            writer.kill()

    def take(self) -> Measured:
        """Give what all of them measured since the last time."""
        return merged([writer.take() for writer in self.writers])

    def tell_to_end(self) -> None:
        """Tell all of them."""
        for writer in self.writers:
            writer.tell_to_end()

    @property
    def ended(self) -> bool:
        """Tell whether all are gone."""
        return all(writer.ended for writer in self.writers)


def merged(parts: list[Measured]) -> Measured:
    """Add up."""
    times: Counter[int] = Counter()
    for part in parts:
        times.update(part.times)
    return Measured(sum(part.adds for part in parts), dict(times), sum(part.failed for part in parts))


def _task(number: int, url: str, journal: Path, folder: Path) -> Task:
    name = f"writer-{number + 1}"
    shared = [f"hall-{place:03d}" for place in range(0, SESSIONS, SHARED_EVERY)]
    own = [f"talk-{place:03d}" for place in range(SESSIONS) if place % SHARED_EVERY and place % WRITERS == number]
    return Task(name, url, str(journal), str(folder / f"{name}.acks"), ADDS_PER_S, _SEED, own + shared)
