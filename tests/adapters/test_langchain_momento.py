"""Laws of the drop-in for LangChain's Momento history: the old class's face, the log's promises."""

from __future__ import annotations

import base64
import inspect
import json
import warnings
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import AIMessage, HumanMessage
from momento import CacheClient, CacheClientAsync, Configurations, CredentialProvider
from momento.errors import InvalidArgumentException
from momento.requests import CollectionTtl

import eventlog
from eventlog.adapters import momento_clients
from eventlog.adapters.langchain import MomentoChatMessageHistory
from tests.adapters.langchain_help import SAMPLES, WAIT_S, run
from tests.contract.suite import PASSWORD
from tests.servers.faults import SILENCE, WHEN, Fault
from tests.servers.momento import HOST, MomentoServer

_numbers = count()
DAY = timedelta(days=1)


@pytest.fixture
def credentials(momento_server: MomentoServer) -> CredentialProvider:
    """Give what a client of the server is made of."""
    return CredentialProvider(PASSWORD, HOST, HOST, HOST, momento_server.port)


@pytest.fixture
def client(credentials: CredentialProvider) -> CacheClient:
    """Give a client as users make it."""
    return CacheClient(Configurations.Laptop.v1(), credentials, DAY)


@pytest.fixture
def cache() -> str:
    """Name a cache that is not there yet."""
    return f"drop-in-{next(_numbers)}"


@pytest.fixture
def history(client: CacheClient, cache: str) -> MomentoChatMessageHistory:
    """Give an empty history."""
    return MomentoChatMessageHistory("s", client, cache)


@pytest.fixture
def old() -> Any:
    """Give the class that ours stands in for."""
    with warnings.catch_warnings(action="ignore"):
        module = pytest.importorskip("langchain_community.chat_message_histories.momento")
    return module.MomentoChatMessageHistory


def delivered(history: MomentoChatMessageHistory) -> MomentoChatMessageHistory:
    """Wait until all is in the server."""
    assert history.log.flush(WAIT_S)
    return history


@pytest.mark.parametrize("name", ["__init__", "from_client_params"])
def test_signatures_are_those_of_the_old_class(old: Any, name: str) -> None:
    """Whatever the old class was called with is understood, and what is ours has a name."""
    same = [(one.name, one.kind, one.default) for one in inspect.signature(getattr(old, name)).parameters.values()]
    new = list(inspect.signature(getattr(MomentoChatMessageHistory, name)).parameters.values())
    assert [(one.name, one.kind, one.default) for one in new[: len(same)]] == same
    assert all(one.kind is one.KEYWORD_ONLY for one in new[len(same) :])


def test_public_names_of_the_old_class_are_all_there(
    client: CacheClient, cache: str, old: Any, history: MomentoChatMessageHistory
) -> None:
    """A program that reaches for a name finds it, and with it what it meant."""
    theirs = old("s", client, cache)
    assert {name for name in dir(theirs) if not name.startswith("_")} <= set(dir(history))
    assert isinstance(history, BaseChatMessageHistory)
    for name, value in vars(theirs).items():
        assert getattr(history, name) == value, name
    assert MomentoChatMessageHistory("s", client, cache, ttl=DAY).ttl == CollectionTtl.of(DAY)


@pytest.mark.parametrize("wrong", [None, "client", CacheClientAsync])
def test_what_the_old_class_refuses_is_refused_with_the_same_error(old: Any, wrong: Any) -> None:
    """Any client but the sync one."""
    for cls in (old, MomentoChatMessageHistory):
        with pytest.raises(TypeError, match="CacheClient"):
            cls("s", wrong, "cache")


def test_a_ttl_that_is_none_is_refused_with_the_same_error(old: Any, client: CacheClient, cache: str) -> None:
    """The SDK's own."""
    for cls in (old, MomentoChatMessageHistory):
        with pytest.raises(InvalidArgumentException):
            cls("s", client, cache, ttl=timedelta(0))


def test_a_missing_key_and_one_that_is_none_are_refused_with_the_same_errors(
    old: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a client is made; the key is not repeated."""
    for name in ("MOMENTO_API_KEY", "MOMENTO_AUTH_TOKEN", "MOMENTO_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for cls in (old, MomentoChatMessageHistory):
        with pytest.raises(ValueError, match="api_key"):
            cls.from_client_params("s", "cache", DAY)
        with warnings.catch_warnings(action="ignore"), pytest.raises(InvalidArgumentException) as caught:
            cls.from_client_params("s", "cache", DAY, api_key="nonsense!")
        assert "nonsense!" not in str(caught.value)


@pytest.mark.parametrize("wrong", [{"ack": "soon"}, {"retain": -DAY}, {"session_id": "\ud800"}])
def test_a_wrong_argument_is_found_when_the_history_is_made(
    client: CacheClient, cache: str, wrong: dict[str, Any]
) -> None:
    """Not at the first message."""
    with pytest.raises(ValueError, match="expected"):
        MomentoChatMessageHistory(**{"session_id": "s", "cache_client": client, "cache_name": cache, **wrong})


def test_an_explicit_key_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not so in the old class, where an old variable that somebody forgot decided."""
    keys = {name: _key(name) for name in ("given", "forgotten", "set")}
    monkeypatch.setenv("MOMENTO_AUTH_TOKEN", keys["forgotten"])
    monkeypatch.setenv("MOMENTO_API_KEY", keys["set"])
    make = MomentoChatMessageHistory.from_client_params
    for history in (make("s", "cache", DAY, api_key=keys["given"]), make("s", "cache", DAY, auth_token=keys["given"])):
        assert history.log.status().backends["momento"].identity == "momento:cache.given/cache"
    found = MomentoChatMessageHistory.from_client_params("s", "cache", DAY, ack="journal")
    assert found.log.status().backends["momento"].identity == "momento:cache.forgotten/cache"


def _key(endpoint: str) -> str:
    return base64.b64encode(json.dumps({"endpoint": endpoint, "api_key": "secret"}).encode()).decode()


def test_a_history_of_client_parameters_works(
    momento_server: MomentoServer, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an endpoint of one's own, and a client that is made once, not once a history."""
    monkeypatch.setenv("MOMENTO_ENDPOINT", f"127.0.0.1:{momento_server.port}")
    made = [MomentoChatMessageHistory.from_client_params("s", cache, DAY, api_key=PASSWORD) for _ in range(3)]
    made[0].add_user_message("hi")
    assert delivered(made[1]).messages == [HumanMessage("hi")]
    assert made[0].cache_client is made[2].cache_client
    assert made[0].log is made[2].log


@pytest.mark.parametrize("is_delivered", [True, False])
async def test_every_kind_of_message_comes_back_equal(
    history: MomentoChatMessageHistory, *, is_delivered: bool
) -> None:
    """From the journal and from the server, one by one and together, sync and async; and none is changed."""
    before = [message.model_copy(deep=True) for message in SAMPLES]
    history.add_message(SAMPLES[0])
    history.add_messages(SAMPLES[1:5])
    await history.aadd_messages(SAMPLES[5:])
    if is_delivered:
        delivered(history)
    assert history.messages == SAMPLES == await history.aget_messages()
    assert before == SAMPLES


def test_histories_of_one_client_in_several_caches_are_apart(client: CacheClient, cache: str) -> None:
    """One session id in two caches is two histories; in one cache they share a log."""
    one = MomentoChatMessageHistory("s", client, cache)
    two = MomentoChatMessageHistory("s", client, f"{cache}-b")
    one.add_user_message("hi")
    assert two.messages == []
    assert two.log is not one.log
    assert MomentoChatMessageHistory("t", client, cache, key_prefix="p:").log is one.log
    assert MomentoChatMessageHistory("t", client, cache, ensure_cache_exists=False).log is one.log


def test_a_cache_that_is_missing_is_made_unless_told_otherwise(
    momento_server: MomentoServer, client: CacheClient, cache: str
) -> None:
    """Making a history asks nobody; the first delivery makes the cache."""
    momento_server.calls.clear()
    strict = MomentoChatMessageHistory("s", client, cache, ensure_cache_exists=False)
    strict.add_user_message("hi")
    assert not strict.log.flush(0.3)
    assert cache not in momento_server.caches
    assert "no such cache" in (strict.log.status().backends["momento"].last_error or "")
    MomentoChatMessageHistory("s", client, cache)
    assert delivered(strict).messages == [HumanMessage("hi")]
    assert cache in momento_server.caches


async def test_a_cleared_history_is_empty_and_deleted(
    momento_server: MomentoServer, cache: str, history: MomentoChatMessageHistory
) -> None:
    """Here, for the next one, and in the server."""
    history.add_user_message("first")
    delivered(history)
    history.clear()
    assert history.messages == []
    history.add_user_message("again")
    await history.aclear()
    delivered(history)
    held = momento_server.caches[cache].sorted_set(f"eventlog:0:{history.key}".encode())
    assert held is not None
    left = b" ".join(value for _, value in held.by_rank(None, None, descending=False))
    assert b"again" not in left
    assert b"first" not in left


def test_the_ttl_slides_and_without_one_the_clients_own_counts(
    client: CacheClient, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole history lives until then after its last message, and goes at once."""
    for name, ttl, lives in (("short", timedelta(minutes=1), timedelta(minutes=1)), ("default", None, DAY)):
        history = MomentoChatMessageHistory(name, client, cache, ttl=ttl)
        began_ms = history.log.now_ms()
        now_ms = [began_ms]
        with monkeypatch.context() as patch:
            patch.setattr(history.log, "now_ms", lambda: now_ms[0])  # noqa: B023 (within the round)
            history.add_user_message("one")
            now_ms[0] += int(lives.total_seconds() * 900)
            history.add_user_message("two")
            now_ms[0] += int(lives.total_seconds() * 900)
            assert len(history.messages) == 2
            now_ms[0] += int(lives.total_seconds() * 101)
            assert history.messages == []


def test_a_lost_reply_doubles_nothing(
    momento_server: MomentoServer, history: MomentoChatMessageHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does an error after the write was applied; in the old class each of them was a message twice, or lost."""
    monkeypatch.setattr(momento_clients, "WRITE_TIMEOUT_S", 0.3)
    history.add_user_message("first")
    delivered(history)
    for fault in (SILENCE, Fault("UNAVAILABLE"), Fault("INTERNAL")):
        for when in WHEN:
            momento_server.orders.give(fault, call="SortedSetPut", when=when)
            history.add_messages([HumanMessage("hi"), AIMessage("hello")])
            assert len(delivered(history).messages) % 2 == 1
    momento_server.orders.clear()
    assert [message.content for message in history.messages] == ["first"] + ["hi", "hello"] * 6


def test_a_server_that_is_away_stops_nobody(client: CacheClient, cache: str, momento_server: MomentoServer) -> None:
    """Making, adding and reading go on; the read says that it may lack something."""
    history = MomentoChatMessageHistory("s", client, cache)
    history.add_user_message("before")
    delivered(history)
    momento_server.stop()
    try:
        new = MomentoChatMessageHistory("s", client, cache)
        new.add_user_message("meanwhile")
        found = new.messages
        assert found[-1] == HumanMessage("meanwhile")
        assert isinstance(found, eventlog.Messages)
        assert not found.complete
    finally:
        momento_server.start()
    assert [message.content for message in delivered(new).messages] == ["before", "meanwhile"]


def test_attributes_set_anew_are_gone_by(history: MomentoChatMessageHistory) -> None:
    """A program that renames a history in place, or gives it another ttl, means it."""
    history.add_user_message("one")
    history.key = "other"
    assert history.messages == []
    history.key = "message_store:s"
    history.ttl = CollectionTtl.of(timedelta(seconds=5))
    assert history.messages == [HumanMessage("one")]


def test_missing_momento_names_the_command_that_installs_it_and_breaks_nothing_else() -> None:
    """Who uses another drop-in need not have it."""
    code = """
        import sys
        sys.modules["momento"] = None
        from eventlog import ConfigurationError
        from eventlog.adapters.langchain import RedisChatMessageHistory
        try:
            from eventlog.adapters.langchain import MomentoChatMessageHistory
        except ConfigurationError as error:
            print(error)
    """
    assert "pip install 'chat-eventlog[momento]'" in run(code).stdout
