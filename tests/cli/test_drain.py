"""`eventlog drain`: what is pending goes out, or it says what does not."""

from __future__ import annotations

import eventlog
from tests.cli.running import Eventlog
from tests.servers.redis_server import MakeRedis


def _leave_pending(url: str, number: int) -> None:
    with eventlog.open(url, deliver=False) as log:
        log.history("s").add_many(range(number))


def test_what_is_pending_is_delivered(run: Eventlog, redis_url: str) -> None:
    """Everything that ended writers left behind, all of them."""
    _leave_pending(redis_url, 3)
    _leave_pending(redis_url, 4)
    done = run("drain", "--url", redis_url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "delivered 7 events; nothing is pending\n", "")
    (status,) = run.json("status", "--url", redis_url)
    assert status["backends"]["redis"]["lag_events"] == 0
    assert run.json("messages", "s", "--url", redis_url) == [0, 1, 2, 0, 1, 2, 3]


def test_it_gives_up_when_the_time_is_up_and_loses_nothing(run: Eventlog, own_redis: MakeRedis) -> None:
    """Exit code 1 while the server is away, 0 once it is back."""
    server = own_redis(durable=True)
    server.kill()
    _leave_pending(server.url, 5)
    done = run("drain", "--url", server.url, "--timeout", "0.3")
    assert done.returncode == 1
    assert "found 5 events" in done.stderr.splitlines()[-1]
    server.restart()
    assert run("drain", "--url", server.url).returncode == 0
    assert run.json("messages", "s", "--url", server.url) == [0, 1, 2, 3, 4]


def test_a_backend_that_events_wait_for_must_be_named(run: Eventlog, redis_url: str) -> None:
    """The error names it."""
    journal = run.folder / "j"
    with eventlog.open(redis_url, journal=journal, deliver=False) as log:
        log.history("s").add("x")
    done = run("drain", "--url", "sqlite:///other.db", "--journal", journal)
    assert done.returncode == 2
    assert f"expected the backend redis:{redis_url.removeprefix('redis://')}" in done.stderr
