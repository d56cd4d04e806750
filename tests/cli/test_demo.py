"""The demo, and the check that it ends with: one that cannot fail would show nothing."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections import Counter
from io import StringIO
from pathlib import Path
from threading import Event, Timer

import pytest
from rich.console import Console

import eventlog
from eventlog.demo.check import Verdict, check
from eventlog.demo.sabotage import Sabotage, spoil
from eventlog.demo.screen import Note, Screen, Second
from eventlog.demo.server import ServerMissing, server_program
from eventlog.demo.talk import conversation
from eventlog.demo.writer import Task, Writer, p99_us, time_class
from tests.cli.running import COMMAND, Eventlog, environment
from tests.servers.missing import missing_server

PER_S = 1000


@pytest.fixture
def _server() -> None:
    try:
        server_program()
    except ServerMissing as error:
        missing_server(str(error))


@pytest.fixture
def task(redis_url: str, tmp_path: Path) -> Task:
    """Give what a writer wrote, all of it acknowledged and delivered."""
    task = Task("writer-1", redis_url, str(tmp_path / "j"), str(tmp_path / "acks"), PER_S, 1, ["a", "b"])
    ended = Event()
    with eventlog.open(task.url, journal=task.journal) as log:
        Timer(0.3, ended.set).start()
        Writer(task, log).write(ended)
        assert log.flush(10)
    return task


def test_the_check_counts_what_is_there(task: Task) -> None:
    """All acknowledged, all stored, nothing wrong."""
    verdict = check(task.url, [task])
    assert verdict.acknowledged == verdict.stored > PER_S * 0.2
    assert verdict.passed


@pytest.mark.parametrize(
    ("how", "stored", "found"), [("lost", -1, (1, 0, 0)), ("doubled", 1, (0, 1, 0)), ("swapped", 0, (2, 0, 1))]
)
def test_the_check_finds_damage(task: Task, how: str, stored: int, found: tuple[int, int, int]) -> None:
    """Each kind of it, in the server itself."""
    spoil(task.url, Sabotage(how))
    verdict = check(task.url, [task])
    assert not verdict.passed
    assert verdict == Verdict(verdict.acknowledged, verdict.acknowledged + stored, *found)


def test_the_check_misses_what_was_never_stored(task: Task) -> None:
    """An acknowledgement without an add is a loss."""
    line = Path(task.acks).read_text().splitlines()[-1]
    with Path(task.acks).open("a") as acks:
        acks.write("f" + line[1:] + "\n")
    assert check(task.url, [task]).lost == 1


def test_a_check_of_nothing_does_not_pass() -> None:
    """Where nothing was acknowledged, nothing was shown."""
    assert not Verdict(0, 0, 0, 0, 0).passed


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.usefixtures("_server")
def test_the_demo_loses_nothing_and_leaves_nothing(run: Eventlog, tmp_path: Path) -> None:
    """It kills the server and a writer, and everything is in the server in the end."""
    done = run("demo", "--seconds", "3", TMPDIR=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "the server is killed with SIGKILL" in done.stdout
    assert "writer-2 is killed with SIGKILL" in done.stdout
    assert re.search("(a sibling|the next process) has delivered what writer-2 left", done.stdout)
    assert "\nlost 0, doubled 0, out of order 0\n" in done.stdout
    assert not list(tmp_path.glob("eventlog-*"))


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.usefixtures("_server")
def test_the_demo_fails_when_something_is_lost(run: Eventlog) -> None:
    """One message that it takes out of the server itself."""
    done = run("demo", "--seconds", "3", "--sabotage", "lost")
    assert done.returncode == 1
    assert "\nlost 1, doubled 0, out of order 0\n" in done.stdout


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.usefixtures("_server")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_tidies_up_when_it_is_told_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    """Its folders are gone, and so is the server."""
    with subprocess.Popen(
        [*COMMAND, "demo"], stdout=subprocess.PIPE, env=environment(TMPDIR=str(tmp_path), PYTHONUNBUFFERED="1")
    ) as process:
        assert process.stdout
        shown = b""
        while b"1.0 s" not in shown:
            shown += process.stdout.readline()
        process.send_signal(number)
        assert process.wait(20) == 130
    assert not list(tmp_path.glob("eventlog-*"))
    port = re.search(rb"redis://127.0.0.1:(\d+)", shown)
    assert port
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(port[1])), timeout=5)


def test_the_terminal_shows_what_fits_and_all_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table never grows beyond the screen while it is drawn."""
    to = Console(file=StringIO(), force_terminal=True, width=70, height=10)
    drawn: list[int] = []
    with Screen(to) as screen:
        monkeypatch.setattr(
            screen._live, "update", lambda table, refresh: drawn.append(refresh + len(table.renderables))
        )
        for number in range(30):
            screen.show(Second(number, 6000, 90, 5000 * number, "down"))
            screen.show(Note(number, "something happens " * 9, alarm=True))
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", _file(to).getvalue()).splitlines()
    assert max(drawn) <= 10
    assert sum("6,000" in line for line in shown) == sum("something" in line for line in shown) == 30
    assert max(map(len, shown)) <= 70


def _file(console: Console) -> StringIO:
    assert isinstance(console.file, StringIO)
    return console.file


def test_a_conversation_is_the_same_for_the_same_seed() -> None:
    """And another one for another."""
    first, again, other = (conversation(seed) for seed in ("1/a", "1/a", "1/b"))
    assert [next(first) for _ in range(50)] == [next(again) for _ in range(50)] != [next(other) for _ in range(50)]


@pytest.mark.parametrize(("slow", "least_us"), [(0, 1.0), (1, 1.0), (2, 1000.0)])
def test_p99_leaves_out_one_in_a_hundred(slow: int, least_us: float) -> None:
    """Of a hundred adds, the slowest one does not count."""
    times = Counter({time_class(1000): 100 - slow, time_class(1_000_000): slow})
    assert least_us <= p99_us(times) <= least_us * 1.1
