"""`eventlog drain --follow`: one process delivers for all of the host, and the others go on when it dies."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from time import sleep, time

import pytest

import eventlog
from eventlog.adapters.memory import MemoryBackend
from eventlog.errors import BackendError
from eventlog.log import open_sidecar
from eventlog.ports import Batch
from tests.cli.fleet import Sidecar, Writer, as_objects, eventually, in_store, newest_time
from tests.cli.running import Eventlog
from tests.servers.redis_server import MakeRedis

SOON_S = 2.0
StartWriter = Callable[..., Writer]
StartSidecar = Callable[..., Sidecar]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Give the place that all processes of this host share."""
    return tmp_path / "shared"


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    """End what a test started, whatever happens."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def start_writer(redis_url: str, journal: Path, processes: ExitStack) -> StartWriter:
    """Give a maker of writers."""

    def start(session: str, *, deliver: bool) -> Writer:
        writer = Writer(redis_url, journal, session, deliver=deliver)
        processes.callback(writer.kill)
        return writer

    return start


@pytest.fixture
def start_sidecar(redis_url: str, journal: Path, processes: ExitStack) -> StartSidecar:
    """Give a maker of sidecars."""

    def start(*more: str, url: str = redis_url) -> Sidecar:
        sidecar = Sidecar(url, journal, *more)
        processes.callback(sidecar.process.kill)
        return sidecar

    return start


@pytest.mark.slow
@pytest.mark.crash
def test_writers_take_back_when_the_sidecar_is_killed(
    run: Eventlog, redis_url: str, journal: Path, start_writer: StartWriter, start_sidecar: StartSidecar
) -> None:
    """Within two seconds; a writer that does not deliver waits for the next sidecar; nothing is lost or doubled."""
    writers = {"a": start_writer("a", deliver=True), "b": start_writer("b", deliver=False)}
    first = start_sidecar()
    first.wait_for("serving=2")
    first.end(signal.SIGKILL)
    killed_at = time()
    eventually(lambda: newest_time(redis_url, journal, "a") > killed_at, SOON_S)
    assert newest_time(redis_url, journal, "b") <= killed_at

    second = start_sidecar()
    second.wait_for("serving=2")
    eventually(lambda: newest_time(redis_url, journal, "b") > killed_at)
    assert second.end(signal.SIGTERM) == 0
    ended_at = time()
    second.wait_for("handed back folders=2")
    eventually(lambda: newest_time(redis_url, journal, "a") > ended_at, SOON_S)

    added = {session: writer.stop() for session, writer in writers.items()}
    assert run("drain", "--url", redis_url, "--journal", journal).returncode == 0
    for session, number in added.items():
        assert [message["n"] for message in in_store(redis_url, journal, session)] == list(range(number))


@pytest.mark.slow
@pytest.mark.crash
def test_a_second_sidecar_waits_and_takes_over_when_the_first_is_killed(
    redis_url: str, journal: Path, start_writer: StartWriter, start_sidecar: StartSidecar
) -> None:
    """Two do not fight; the second needs at most two seconds."""
    writer = start_writer("a", deliver=False)
    first = start_sidecar()
    first.wait_for("took over folders=1 serving=1")
    second = start_sidecar()
    second.wait_for("waits, for another sidecar serves")
    first.end(signal.SIGKILL)
    killed_at = time()
    eventually(lambda: newest_time(redis_url, journal, "a") > killed_at, SOON_S)
    second.wait_for("serves journal=")
    added = writer.stop()
    eventually(lambda: [message["n"] for message in in_store(redis_url, journal, "a")] == list(range(added)))
    second.wait_for("finished folders=1 serving=0")
    assert second.end(signal.SIGINT) == 0
    assert not any("took over" in line for line in first.lines[2:])


@pytest.mark.slow
def test_each_change_of_a_backend_is_one_line_of_json(
    own_redis: MakeRedis, journal: Path, start_sidecar: StartSidecar
) -> None:
    """With --log-json every line is one, what the log itself reports too; none holds what was added."""
    server = own_redis(durable=True)
    with eventlog.open(server.url, journal=journal, deliver=False) as log:
        log.history("s").add("secret")
        sidecar = start_sidecar("--log-json", url=server.url)
        sidecar.wait_for("serving=1")
        server.kill()
        log.history("s").add("secret")
        sidecar.wait_for("state changed backend=redis state=down lag_events=")
        server.restart()
        sidecar.wait_for("state changed backend=redis state=ok")
        assert sidecar.end(signal.SIGTERM) == 0
        sidecar.wait_for("handed back")
    said = as_objects(sidecar.lines)
    assert {tuple(each) for each in said} == {("time", "level", "logger", "message")}
    assert {each["logger"] for each in said} == {"eventlog.sidecar", "eventlog.delivery"}
    assert "secret" not in "".join(sidecar.lines)


def test_a_sidecar_says_which_backend_it_lacks(redis_url: str, journal: Path, start_sidecar: StartSidecar) -> None:
    """A writer that does not deliver, and has a backend more, would wait for ever."""
    with eventlog.open(redis_url, "redis://127.0.0.1:1", journal=journal, deliver=False) as log:
        log.history("s").add("x")
        sidecar = start_sidecar()
        sidecar.wait_for("nobody delivers some folders: name this backend with --url too lacking=redis:127.0.0.1:1/0")
        assert sidecar.end(signal.SIGTERM) == 0


class _Gate(MemoryBackend):
    """A store whose appends wait until it is opened."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.opened, self.reached = Event(), Event()

    def append(self, batch: Batch) -> dict[str, BackendError]:
        """Wait, then store."""
        self.reached.set()
        self.opened.wait()
        return super().append(batch)


def test_a_delivery_that_ends_after_the_hand_over_moves_no_cursor_back(journal: Path) -> None:
    """What the sidecar has delivered meanwhile is not pending again."""
    slow = _Gate("one")
    with eventlog.open(slow, journal=journal) as log:
        history = log.history("s")
        history.add(1)
        slow.reached.wait()
        with open_sidecar(MemoryBackend("one"), journal=journal) as sidecar:
            eventually(lambda: log.status().backends["memory"].lag_events == 0)
            history.add(2)
            eventually(lambda: log.status().backends["memory"].lag_events == 0)
            assert sidecar.serving
            slow.opened.set()
            sleep(0.1)  # for what must not happen
            assert log.status().backends["memory"].lag_events == 0


@pytest.mark.parametrize("words", [("--timeout", "1"), ("--json",)])
def test_following_has_no_end_to_wait_for(run: Eventlog, words: tuple[str, ...]) -> None:
    """So neither a time nor a summary can be asked for."""
    done = run("drain", "--follow", *words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_a_sidecar_that_cannot_have_the_journal_is_misuse(run: Eventlog, tmp_path: Path) -> None:
    """One line says why."""
    (tmp_path / "open").mkdir(mode=0o755)
    done = run("drain", "--follow", "--journal", tmp_path / "open")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
