"""`eventlog erase` and `eventlog compact`: what is removed, and what is still on its way."""

from __future__ import annotations

from datetime import timedelta
from time import sleep

import pytest

import eventlog
from tests.cli.running import Eventlog
from tests.cli.terminal import on_terminal
from tests.servers.redis_server import MakeRedis

RETAIN = timedelta(seconds=1)


@pytest.fixture
def url(run: Eventlog) -> str:
    """Give a backend with two sessions."""
    url = f"sqlite:///{run.folder}/talks.db"
    with eventlog.open(url) as log:
        for session in ("keep", "secret"):
            log.history(session).add_many(["hidden words", "more"])
    return url


def test_an_erased_session_is_in_no_file(run: Eventlog, url: str) -> None:
    """Neither in the database nor in the journal, and the others stay."""
    done = run("erase", "secret", "--yes", "--url", url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "erased 'secret' from the journal, sqlite\n", "")
    assert run.json("messages", "secret", "--url", url) == []
    assert run.json("messages", "keep", "--url", url) == ["hidden words", "more"]


def test_it_is_asked_whether_it_is_meant(run: Eventlog, url: str) -> None:
    """And said when the id may be a wrong one."""
    assert run("erase", "secret", "--url", url).returncode == 2
    with on_terminal(run.folder, "erase", "secert", "--url", url) as terminal:
        terminal.wait_for("It shows no message: is the id right? [y/N] ")
        terminal.type("")
        assert terminal.end() == 1
    assert run.json("messages", "secret", "--url", url) == ["hidden words", "more"]


def test_a_backend_that_is_away_is_told_and_done_when_it_is_back(run: Eventlog, url: str, own_redis: MakeRedis) -> None:
    """With its lag; the journal keeps what is still to be done."""
    server = own_redis(durable=True)
    with eventlog.open(url, server.url) as log:
        log.history("secret").add("again")
    server.kill()
    both = ("--url", url, "--url", server.url)
    done = run("erase", "secret", "--yes", "--json", *both)
    assert done.returncode == 1
    assert '"done":["sqlite"],"on_its_way":["redis"]}' in done.stdout
    assert "still on its way to redis, which lacks 1 event, " in done.stderr
    server.restart()
    assert run("drain", *both).returncode == 0
    assert run.json("messages", "secret", "--url", server.url) == []


def test_compaction_removes_what_is_due(run: Eventlog, url: str) -> None:
    """And counts it; what nothing hides stays."""
    with eventlog.open(url, retain=RETAIN) as log:
        log.history("secret").clear()
        sleep(RETAIN.total_seconds())  # so long what the clear hid is kept
    assert run.json("compact", "--url", url) == [{"sessions": 2, "removed": 2}]
    assert run("compact", "--url", url).stdout == "looked at 2 sessions, removed 0 events\n"
    assert run.json("messages", "keep", "--url", url) == ["hidden words", "more"]


def test_compaction_can_be_ended_at_any_time(run: Eventlog, own_redis: MakeRedis) -> None:
    """It says how far it got; the rest is for the next time."""
    server = own_redis()
    server.freeze()
    with on_terminal(run.folder, "compact", "--url", server.url) as terminal:
        terminal.wait_for("compacting")
        terminal.interrupt()
        assert terminal.end() == 130
        assert "ended early; looked at 0 sessions, removed 0 events" in terminal.shown
        assert "Traceback" not in terminal.shown


def test_a_compaction_without_its_backend_fails(run: Eventlog) -> None:
    """One line says why."""
    done = run("compact", "--url", "redis://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "ended early; looked at 0 sessions" in done.stderr
