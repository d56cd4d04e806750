"""`eventlog dead-letters`: what a server refuses for good, for a person to decide."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import redis

import eventlog
from eventlog.events import EventId
from tests.cli.fleet import eventually
from tests.cli.running import Eventlog
from tests.cli.terminal import on_terminal
from tests.servers.redis_server import MakeRedis

BIG = {"role": "user", "content": "secret " * 200_000}
SMALL = {"role": "user", "content": "small"}
LIMIT = "proto-max-bulk-len"


@pytest.fixture
def url(own_redis: MakeRedis) -> str:
    """Give a server that takes no value over 1 MiB."""
    return own_redis(f"--{LIMIT}", "1mb").url


@pytest.fixture
def ids(url: str) -> list[str]:
    """Give the ids of two dead letters, of the sessions a and b."""
    with eventlog.open(url) as log:
        refused = [log.history(session).add_many([SMALL, BIG])[1] for session in "ab"]
        eventually(lambda: log.status().backends["redis"].dead_letters == 2)
    return [str(event_id) for event_id in refused]


def test_the_list_tells_all_but_the_text(run: Eventlog, url: str, ids: list[str]) -> None:
    """For a person and as JSON."""
    shown = run("dead-letters", "list", "--url", url)
    assert [line.split()[:3] for line in shown.stdout.splitlines()] == [
        ["id", "backend", "session"],
        [ids[0], "redis", "a"],
        [ids[1], "redis", "b"],
    ]
    assert "1.3 MiB  redis:" in shown.stdout
    letters = run.json("dead-letters", "list", "--url", url)
    assert [(letter["id"], letter["session"], letter["kind"]) for letter in letters] == [
        (ids[0], "a", "message"),
        (ids[1], "b", "message"),
    ]
    assert all(letter["size_bytes"] > 1_400_000 and letter["age_s"] < 60 for letter in letters)
    assert EventId.parse(ids[0]).time.isoformat()[:19] == letters[0]["time"][:19]
    assert "secret" not in shown.stdout + shown.stderr + json.dumps(letters)


def test_an_id_is_whole_on_a_narrow_terminal(run: Eventlog, url: str, ids: list[str]) -> None:
    """It is there to be copied."""
    with on_terminal(run.folder, "dead-letters", "list", "--url", url, columns=60) as terminal:
        assert terminal.end() == 0
        assert all(event_id in terminal.shown for event_id in ids)


def test_one_is_shown_with_its_message(run: Eventlog, url: str, ids: list[str]) -> None:
    """Only that one."""
    shown = run("dead-letters", "show", ids[1], "--url", url).stdout
    assert shown.splitlines()[2].split() == ["session", "b"]
    assert shown.endswith(f"user  {BIG['content']}\n")
    (letter,) = run.json("dead-letters", "show", ids[0], "--url", url)
    assert (letter["session"], letter["message"]) == ("a", BIG)


def test_a_retry_tells_what_became_of_it(run: Eventlog, url: str, ids: list[str]) -> None:
    """Refused again, or delivered where the server takes it now."""
    done = run("dead-letters", "retry", "--all", "--url", url)
    assert (done.returncode, done.stdout) == (1, "delivered 0, refused again 2, still waiting 0\n")
    assert "secret" not in done.stderr
    with redis.Redis.from_url(url) as client:
        client.config_set(LIMIT, 8 << 20)
    assert run.json("dead-letters", "retry", ids[0], "--url", url) == [{"delivered": 1, "rejected": 0, "waiting": 0}]
    assert [letter["id"] for letter in run.json("dead-letters", "list", "--url", url)] == ids[1:]
    with eventlog.open(url, journal=run.folder / "another", deliver=False, strict_reads=True) as log:
        assert log.history("a").messages() == [SMALL, BIG]
        assert log.history("b").messages() == [SMALL]


def test_what_is_dropped_is_gone(run: Eventlog, url: str, ids: list[str]) -> None:
    """Only when it was meant, and the others stay."""
    assert run("dead-letters", "drop", ids[0], "--url", url).returncode == 2
    with on_terminal(run.folder, "dead-letters", "drop", ids[0], "--url", url) as terminal:
        terminal.wait_for("Drop 1 dead letter, for good? ")
        terminal.type("n")
        assert terminal.end() == 1
    assert len(run.json("dead-letters", "list", "--url", url)) == 2
    assert run("dead-letters", "drop", ids[0], "--yes", "--url", url).stdout == "dropped 1 dead letter\n"
    assert run.json("messages", "a", "--url", url) == [SMALL]
    assert [letter["id"] for letter in run.json("dead-letters", "list", "--url", url)] == ids[1:]


def test_an_unknown_id_changes_nothing(run: Eventlog, url: str, ids: list[str]) -> None:
    """Not even for the others that were named with it."""
    unknown = str(EventId(bytes(EventId.parse(ids[0]))[:-1] + b"\0"))
    done = run("dead-letters", "drop", ids[0], unknown, "--yes", "--url", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"expected a dead letter {unknown} of redis, found none" in done.stderr
    assert len(run.json("dead-letters", "list", "--url", url)) == 2


def test_a_drain_ends_where_only_dead_letters_remain(run: Eventlog, url: str, ids: list[str]) -> None:
    """It fails, and says which command helps; so does the status."""
    assert len(ids) == 2
    done = run("drain", "--url", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("found 2 events that redis refused: eventlog dead-letters list\n")
    assert "redis refused 2 events for good: see eventlog dead-letters list" in run("status", "--url", url).stdout


def test_without_any_there_is_nothing_to_list(run: Eventlog, tmp_path: Path) -> None:
    """No words where machines read."""
    url = f"sqlite:///{tmp_path}/talks.db"
    assert run("dead-letters", "list", "--url", url).stdout == "no dead letters\n"
    assert run.json("dead-letters", "list", "--url", url) == []
