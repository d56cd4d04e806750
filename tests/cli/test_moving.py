"""`eventlog import`, `copy`, `verify`, `dump` and `load`: nothing is lost, nothing doubled, however often."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from langchain_core.messages import HumanMessage

import eventlog
from eventlog.adapters.langchain import RedisChatMessageHistory
from eventlog.compacting import read_all
from eventlog.log import EventLog
from tests.adapters.langchain_help import SAMPLES
from tests.adapters.old_help import old_class
from tests.cli.running import Eventlog
from tests.servers.cassandra_fixtures import Keyspace

LAYOUT = ("--layout", "langchain-community")
URL = "sqlite:///moved.db"


def old_history(url: str, session: str = "s", **options: Any) -> Any:
    """Give a history of the old class."""
    return old_class("redis", "RedisChatMessageHistory")(session, url, **options)


def stored(log: EventLog) -> dict[str, list[bytes]]:
    """Give every record of a log's first backend."""
    backend = next(iter(log._backends.values()))
    return {session: read_all(backend, session) for session in backend.sessions()}


def moved(folder: Path) -> EventLog:
    """Open where things were moved to."""
    return eventlog.open(f"sqlite:///{folder}/moved.db", deliver=False)


def test_lists_are_imported_once_however_often(run: Eventlog, redis_url: str) -> None:
    """Where they were or elsewhere; the drop-in finds nothing left to import."""
    for session in ("a", "b"):
        old_history(redis_url, session).add_messages(SAMPLES[:-1])
    expected = old_history(redis_url, "a").messages
    for number in range(2):
        [found] = run.json("import", "--from", redis_url, "--to", redis_url, *LAYOUT, "--verify")
        assert (found["sessions"], found["messages"]) == (2, 0 if number else 2 * len(expected))
        assert found["already_there"] == (2 * len(expected) if number else 0)
    assert RedisChatMessageHistory("a", redis_url, legacy=False).messages == expected
    assert RedisChatMessageHistory("a", redis_url).messages == expected
    assert redis.Redis.from_url(redis_url).zcard("eventlog:{message_store:a}:e") == len(expected)


def test_dry_run_writes_nothing(run: Eventlog, redis_url: str) -> None:
    """It counts."""
    old_history(redis_url).add_user_message("hi")
    done = run("import", "--from", redis_url, "--to", URL, *LAYOUT, "--dry-run")
    assert done.stdout.startswith("would import 1 session, 1 message in ")
    with moved(run.folder) as log:
        assert log.sessions() == []


def test_list_that_grew_is_imported_further(run: Eventlog, redis_url: str) -> None:
    """Only what is new, at its place."""
    old = old_history(redis_url)
    old.add_messages([HumanMessage(str(number)) for number in range(2500)])
    assert run.json("import", "--from", redis_url, "--to", URL, *LAYOUT)[0]["messages"] == 2500
    old.add_user_message("late")
    assert run.json("import", "--from", redis_url, "--to", URL, *LAYOUT, "--verify")[0]["messages"] == 1
    with moved(run.folder) as log:
        found = [message["data"]["content"] for message in log.history("message_store:s").messages()]
    assert found == [*map(str, range(2500)), "late"]


def test_strange_elements_are_shown_and_kept(run: Eventlog, redis_url: str) -> None:
    """With their bytes; the rest is imported."""
    client = redis.Redis.from_url(redis_url)
    client.lpush("message_store:s", b"\xff", "{", json.dumps({"type": "human", "data": {"content": "hi"}}))
    *strange, report = run.json("import", "--from", redis_url, "--to", URL, *LAYOUT, "--verify")
    assert [base64.b64decode(one["quarantined"]) for one in strange] == [b"\xff", b"{"]
    assert (report["messages"], report["quarantined"]) == (3, 2)


def test_verify_tells_what_differs(run: Eventlog, redis_url: str) -> None:
    """After an import, and between two stores."""
    old_history(redis_url).add_user_message("hi")
    run.json("import", "--from", redis_url, "--to", URL, *LAYOUT)
    run.json("import", "--from", redis_url, "--to", redis_url, *LAYOUT)
    assert run("verify", redis_url, URL).returncode == 0
    with eventlog.open(redis_url) as log:
        log.history("message_store:s").add("more")
    done = run("verify", redis_url, URL)
    assert done.returncode == 1
    assert "different: message_store:s" in done.stdout
    assert run.json("copy", "--from", redis_url, "--to", URL)[0]["messages"] == 2
    assert run("verify", redis_url, URL).returncode == 0


def test_sessions_are_chosen(run: Eventlog, redis_url: str) -> None:
    """By their prefix, or by name."""
    for session in ("a1", "a2", "b"):
        old_history(redis_url, session).add_user_message("hi")
    words = ("import", "--from", redis_url, "--to", URL, *LAYOUT)
    assert run.json(*words, "--sessions", "message_store:a")[0]["sessions"] == 2
    assert run.json(*words, "--session", "message_store:b")[0]["sessions"] == 1
    assert run("import", "--from", redis_url, "--to", URL, "--layout", "other").returncode == 2
    assert run("import", "--from", "memory:", "--to", URL, *LAYOUT).returncode == 2


def test_dump_and_load_lose_nothing(run: Eventlog, redis_url: str) -> None:
    """Ids, TTLs, clears and what was imported are the same bytes again; loading twice changes nothing."""
    old_history(redis_url).add_user_message("hi")
    run.json("import", "--from", redis_url, "--to", redis_url, *LAYOUT)
    with eventlog.open(redis_url) as log:
        log.history("s", ttl=1000).add_many([{"role": "user", "content": "ü"}, b"\x00", None])
        log.history("s", ttl=1000, expiry="sliding").add("sliding")
        log.history("t").add("hidden")
        log.history("t").clear()
        log.history("many").add_many(range(2500))
        assert log.flush(20)
        expected = stored(log)
    dumped = run("dump", "--url", redis_url)
    assert dumped.returncode == 0, dumped.stderr
    (run.folder / "all.jsonl").write_text(dumped.stdout)
    for _ in range(2):
        assert run("load", "all.jsonl", "--to", URL).returncode == 0
        with moved(run.folder) as log:
            assert stored(log) == expected
    assert run("verify", redis_url, URL).returncode == 0


def test_going_back_and_forth_is_one_command_each(run: Eventlog, redis_url: str) -> None:
    """The old class reads what it wrote and what was added since, byte for byte as it writes; nothing is doubled."""
    old = old_history(redis_url)
    old.add_messages(SAMPLES[:3])
    first = old.redis_client.lrange(old.key, 0, -1)
    history = RedisChatMessageHistory("s", redis_url)
    history.add_messages(SAMPLES[3:-1])
    expected = history.messages
    assert history.log.flush(20)
    words = ("export", "--from", redis_url, "--to", redis_url, *LAYOUT)
    for _ in range(2):
        assert run.json(*words)[0]["messages"] == len(expected)
        assert [message.type for message in old.messages] == [message.type for message in expected]
        assert old.redis_client.lrange(old.key, -3, -1) == first
    again = old_history(redis_url, "again")
    again.add_messages(expected)
    assert again.redis_client.lrange(again.key, 0, -1) == old.redis_client.lrange(old.key, 0, -1)
    assert history.messages == expected
    history.add_user_message("forth")
    old.add_user_message("back")
    assert [message.content for message in history.messages][-2:] == ["back", "forth"]


def test_exported_list_has_its_sessions_deadline(run: Eventlog, redis_url: str) -> None:
    """The old class would have set it."""
    history = RedisChatMessageHistory("s", redis_url, ttl=1000)
    history.add_user_message("hi")
    assert history.log.flush(20)
    run.json("export", "--from", redis_url, "--to", redis_url, *LAYOUT)
    assert 900 < redis.Redis.from_url(redis_url).ttl("message_store:s") <= 1000


@pytest.mark.parametrize("line", [{"session": "s"}, {"session": "s", "records": ["AAAA"]}])
def test_line_that_is_no_dump_is_refused(run: Eventlog, line: dict[str, Any]) -> None:
    """Before anything of it is kept."""
    done = run("load", "-", "--to", URL, stdin=json.dumps(line).encode())
    assert done.returncode == 1
    assert "line 1" in done.stderr


def test_rows_are_imported(run: Eventlog, cassandra: Keyspace) -> None:
    """By their times, from the table beside ours."""
    old = old_class("cassandra", "CassandraChatMessageHistory")("s", cassandra.session, cassandra.name)
    old.add_messages(SAMPLES[:3])
    source = f"{cassandra.url}?table=message_store_events"
    words = ("import", "--from", source, "--to", URL, *LAYOUT, "--session", "s", "--verify")
    assert run.json(*words)[0]["messages"] == 3
    assert run.json(*words)[0]["messages"] == 0
    with moved(run.folder) as log:
        assert len(log.history("s").messages()) == 3


def test_lifetimes_are_kept(run: Eventlog, redis_url: str) -> None:
    """A list's deadline is that of its messages, wherever they are."""
    old_history(redis_url, ttl=1000).add_user_message("hi")
    run.json("import", "--from", redis_url, "--to", URL, *LAYOUT)
    with moved(run.folder) as log:
        now_ms = log.now_ms()
        assert len(log.history("message_store:s").messages()) == 1
        log.now_ms = lambda: now_ms + timedelta(seconds=1001) // timedelta(milliseconds=1)
        assert log.history("message_store:s").messages() == []
