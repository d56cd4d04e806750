"""Laws of reading through to what langchain-community's Redis class wrote, with that class and a real server."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from eventlog.adapters.langchain import RedisChatMessageHistory
from eventlog.errors import JournalFull
from eventlog.events import EPOCH, MS, EventId
from eventlog.history import ChatHistory
from tests.adapters.langchain_help import SAMPLES, WAIT_S
from tests.adapters.old_help import old_class
from tests.servers.redis_server import MakeRedis

KEY = "message_store:s"


@pytest.fixture
def old(redis_url: str) -> Any:
    """Give an empty history of the old class."""
    return old_class("redis", "RedisChatMessageHistory")("s", redis_url)


def new(redis_url: str, **options: Any) -> RedisChatMessageHistory:
    """Give the same one, one import later."""
    return RedisChatMessageHistory("s", redis_url, **options)


def texts(messages: list[BaseMessage]) -> list[Any]:
    """Give what is said."""
    return [message.content for message in messages]


def delivered(history: RedisChatMessageHistory) -> None:
    """Wait until all is in the server."""
    assert history.log.flush(WAIT_S), history.log.status()


async def test_old_messages_are_there_from_the_first_read(redis_url: str, old: Any) -> None:
    """Every kind of message is as the old class reads it, sync and async, and its bytes are untouched."""
    old.add_messages(SAMPLES[:-1])
    kept = old.redis_client.lrange(KEY, 0, -1)
    expected = old.messages
    history = new(redis_url)
    history.add_ai_message("new")
    for _ in range(2):
        assert history.messages == [*expected, AIMessage("new")]
        assert await history.aget_messages() == [*expected, AIMessage("new")]
        delivered(history)
    assert old.redis_client.lrange(KEY, 0, -1) == kept
    assert len(history.log.history(KEY).timeline()) == len(SAMPLES)


async def test_first_read_may_be_async(redis_url: str, old: Any) -> None:
    """An event loop imports as well as a thread does."""
    old.add_user_message("hi")
    history = new(redis_url)
    assert await history.aget_messages() == [HumanMessage("hi")]
    delivered(history)
    assert new(redis_url, legacy=False).messages == [HumanMessage("hi")]


def test_two_hosts_import_the_same(redis_url: str, old: Any, tmp_path: Path) -> None:
    """Each has a journal of its own; in the store there is one of each."""
    old.add_messages([HumanMessage("a"), HumanMessage("b"), HumanMessage("a")])
    hosts = [new(redis_url, journal=tmp_path / name) for name in ("one", "two")]
    assert [texts(host.messages) for host in hosts] == [["a", "b", "a"]] * 2
    for host in hosts:
        delivered(host)
    assert [texts(host.messages) for host in hosts] == [["a", "b", "a"]] * 2
    assert old.redis_client.zcard(f"eventlog:{{{KEY}}}:e") == 3


def test_old_and_new_programs_side_by_side(redis_url: str, old: Any) -> None:
    """What an old one appends appears before what was added by new ones; its clear hides only the old messages."""
    old.add_user_message("a")
    history = new(redis_url)
    history.add_ai_message("new")
    assert texts(history.messages) == ["a", "new"]
    old.add_user_message("b")
    assert texts(history.messages) == ["a", "b", "new"]
    old.clear()
    assert texts(history.messages) == ["new"]
    old.add_messages([HumanMessage("c"), HumanMessage("d")])
    assert texts(history.messages) == ["c", "d", "new"]
    delivered(history)
    assert texts(history.messages) == ["c", "d", "new"]
    assert [entry.text for entry in history.log.history(KEY).timeline() if entry.kind == "message"] == ["c", "d", "new"]


def test_clear_removes_the_old_messages_too(redis_url: str, old: Any) -> None:
    """Nothing of them is shown any more, and once it is delivered nothing is left."""
    old.add_user_message("a")
    history = new(redis_url)
    assert texts(history.messages) == ["a"]
    history.clear()
    assert history.messages == []
    delivered(history)
    assert history.messages == []
    assert not old.redis_client.exists(KEY)
    old.add_user_message("b")
    assert texts(history.messages) == ["b"]


def test_clear_comes_before_any_read(redis_url: str, old: Any) -> None:
    """Old messages that nobody looked at are hidden at once as well."""
    old.add_user_message("a")
    history = new(redis_url)
    history.clear()
    assert history.messages == []
    delivered(history)
    assert history.messages == old.messages == []


async def test_clear_that_retains_keeps_the_old_data_and_hides_it(redis_url: str, old: Any) -> None:
    """It records how many it covered, so that what comes after is shown."""
    old.add_messages([HumanMessage("a"), HumanMessage("b")])
    history = new(redis_url, retain=timedelta(days=1))
    assert texts(history.messages) == ["a", "b"]
    await history.aclear()
    delivered(history)
    assert history.messages == []
    assert texts(old.messages) == ["a", "b"]
    old.add_user_message("c")
    assert texts(history.messages) == ["c"]
    delivered(history)
    assert texts(new(redis_url).messages) == ["c"]


def test_clear_that_retains_is_kept_as_long_as_it_hides(
    redis_url: str, old: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compaction never brings back what was cleared."""
    old.add_user_message("a")
    history = new(redis_url, retain=timedelta(days=1))
    history.clear()
    delivered(history)
    later_ms = history.log.now_ms() + 400 * 24 * 3600 * 1000
    monkeypatch.setattr(history.log, "now_ms", lambda: later_ms)
    history.log.compact()
    assert history.messages == []


def test_what_is_left_of_the_old_lifetime_is_honoured(redis_url: str) -> None:
    """The list's own deadline is that of what was imported; a new message renews it, as an old one did."""
    old = old_class("redis", "RedisChatMessageHistory")("s", redis_url, ttl=1000)
    old.add_user_message("a")
    deadline_ms = old.redis_client.execute_command("PEXPIRETIME", KEY)
    history = new(redis_url, ttl=5000)
    assert texts(history.messages) == ["a"]
    then = [EPOCH + (deadline_ms + offset_ms) * MS for offset_ms in (-1, 0)]
    assert [len(history.log.history(KEY).messages(as_of=at)) for at in then] == [1, 0]


def test_list_that_expired_leaves_a_session_that_goes_on(redis_url: str) -> None:
    """The old messages live as long as the session does."""
    old = old_class("redis", "RedisChatMessageHistory")("s", redis_url, ttl=1000)
    old.add_user_message("a")
    history = new(redis_url, ttl=5000)
    old.redis_client.pexpire(KEY, 150)
    assert texts(history.messages) == ["a"]
    history.add_user_message("new")
    deadline = time.monotonic() + WAIT_S
    while old.redis_client.exists(KEY):
        assert time.monotonic() < deadline
    assert texts(history.messages) == ["a", "new"]


def test_legacy_false_looks_at_nothing_old(redis_url: str, old: Any) -> None:
    """Neither to show nor to remove it."""
    old.add_user_message("a")
    history = new(redis_url, legacy=False)
    assert history.messages == []
    history.clear()
    delivered(history)
    assert texts(old.messages) == ["a"]


def test_what_no_version_wrote_hides_nothing_else(redis_url: str, old: Any) -> None:
    """The old class could read nothing of such a list; its raw bytes are kept."""
    old.add_user_message("a")
    strange = [b"{", b"\xff", json.dumps({"type": "of tomorrow", "data": {"content": "x"}}).encode()]
    for element in strange:
        old.redis_client.lpush(KEY, element)
    old.add_user_message("b")
    history = new(redis_url)
    for _ in range(2):
        assert texts(history.messages) == ["a", "b"]
        delivered(history)
    assert len(history.log.history(KEY).messages()) == 5


def test_key_of_another_kind_is_left_alone(redis_url: str) -> None:
    """Whatever somebody keeps under the name, it is no old history."""
    client = redis.Redis.from_url(redis_url)
    client.set(KEY, "mine")
    history = new(redis_url)
    history.add_user_message("hi")
    assert texts(history.messages) == ["hi"]
    history.clear()
    delivered(history)
    assert client.get(KEY) == b"mine"


def test_a_journal_that_is_full_hides_nothing(redis_url: str, old: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be imported now is shown all the same."""

    def full(*_: object) -> None:
        raise JournalFull("full")

    old.add_user_message("a")
    history = new(redis_url)
    with monkeypatch.context() as patched:
        patched.setattr(ChatHistory, "keep", full)
        assert texts(history.messages) == ["a"]
    assert texts(history.messages) == ["a"]


def test_adds_ask_the_server_nothing_old(own_redis: MakeRedis) -> None:
    """An add is a journal write, and no command of its own looks at the list."""
    url = f"redis://127.0.0.1:{own_redis().port}/0"
    history = new(url)
    for _ in range(10):
        new(url).add_user_message("hi")
    delivered(history)
    told = redis.Redis.from_url(url).info("commandstats")
    assert not {"cmdstat_llen", "cmdstat_lindex", "cmdstat_lrange"} & told.keys()


def test_read_of_what_was_imported_is_one_round_trip(redis_url: str, old: Any) -> None:
    """The old list is asked for its length, and not read again."""
    old.add_messages([HumanMessage("a"), HumanMessage("b")])
    history = new(redis_url)
    assert texts(history.messages) == ["a", "b"]
    delivered(history)
    before = old.redis_client.info("commandstats")["cmdstat_lrange"]["calls"]
    for _ in range(5):
        assert texts(history.messages) == ["a", "b"]
    assert old.redis_client.info("commandstats")["cmdstat_lrange"]["calls"] == before


def test_outage_is_as_before(dead_url: str) -> None:
    """A server that is away is no error, neither to a read nor to a clear that keeps."""
    history = new(dead_url, retain=timedelta(days=1))
    assert history.messages == []
    history.clear()
    history.add_user_message("hi")
    assert texts(history.messages) == ["hi"]


def test_many_old_messages_are_imported_whole(redis_url: str, old: Any) -> None:
    """More than one frame and one batch hold."""
    elements = [json.dumps({"type": "human", "data": {"content": f"{n} " + "x" * 400}}) for n in range(9000)]
    old.redis_client.lpush(KEY, *elements)
    history = new(redis_url)
    expected = [f"{n} " + "x" * 400 for n in range(9000)]
    assert texts(history.messages) == expected
    delivered(history)
    assert texts(history.messages) == expected
    assert EventId(bytes(history.log.history(KEY).timeline()[0].id)).ms == 0
