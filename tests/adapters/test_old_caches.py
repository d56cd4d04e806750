"""Laws of reading through to what langchain-community's Momento and Rockset classes wrote, with those classes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from momento import CacheClient, Configurations, CredentialProvider

from eventlog.adapters.langchain import MomentoChatMessageHistory, RocksetChatMessageHistory
from eventlog.adapters.langchain_history import LogChatMessageHistory
from tests.adapters.langchain_help import SAMPLES, WAIT_S
from tests.adapters.old_help import old_class
from tests.contract.suite import PASSWORD
from tests.rockset.conftest import client_of
from tests.servers.momento import HOST, MomentoServer
from tests.servers.rockset import RocksetServer

_numbers = count()
HOUR = timedelta(hours=1)

Make = Callable[..., LogChatMessageHistory]


@pytest.fixture(params=["momento", "rockset"])
def store(request: pytest.FixtureRequest) -> str:
    """Name the store."""
    return str(request.param)


@pytest.fixture
def ways(store: str, request: pytest.FixtureRequest) -> tuple[Any, Make]:
    """Give a history of the old class, and what makes the same one of ours."""
    name = f"old-{next(_numbers)}"
    if store == "momento":
        server: MomentoServer = request.getfixturevalue("momento_server")
        credentials = CredentialProvider(PASSWORD, HOST, HOST, HOST, server.port)
        cache = CacheClient(Configurations.Laptop.v1(), credentials, HOUR)
        old = old_class("momento", "MomentoChatMessageHistory")("s", cache, name)
        return old, lambda **options: MomentoChatMessageHistory("s", cache, name, **options)
    rockset: RocksetServer = request.getfixturevalue("rockset_server")
    client = client_of(rockset, PASSWORD)
    rockset.make_collection(name)
    old = old_class("rocksetdb", "RocksetChatMessageHistory")("s", client, name)
    return old, lambda **options: RocksetChatMessageHistory("s", client, name, **options)


def texts(messages: list[BaseMessage]) -> list[Any]:
    """Give what is said."""
    return [message.content for message in messages]


def delivered(history: LogChatMessageHistory) -> None:
    """Wait until all is in the server."""
    assert history.log.flush(WAIT_S), history.log.status()


async def test_old_messages_are_there_from_the_first_read(ways: tuple[Any, Make]) -> None:
    """Every kind of message is as the old class reads it, sync and async."""
    old, new = ways
    for message in SAMPLES[:16]:
        old.add_message(message)
    expected = old.messages
    history = new()
    history.add_ai_message("new")
    for _ in range(2):
        assert history.messages == [*expected, AIMessage("new")]
        assert await history.aget_messages() == [*expected, AIMessage("new")]
        delivered(history)
    assert old.messages == expected
    assert texts(new(legacy=False).messages) == texts([*expected, AIMessage("new")])


async def test_first_read_may_be_async(ways: tuple[Any, Make]) -> None:
    """An event loop imports as well as a thread does."""
    old, new = ways
    old.add_user_message("hi")
    assert await new().aget_messages() == [HumanMessage("hi")]


def test_old_and_new_programs_side_by_side(ways: tuple[Any, Make]) -> None:
    """What an old one appends appears before what was added by new ones."""
    old, new = ways
    old.add_user_message("a")
    history = new()
    history.add_ai_message("new")
    assert texts(history.messages) == ["a", "new"]
    old.add_user_message("b")
    assert texts(history.messages) == ["a", "b", "new"]
    delivered(history)
    assert texts(history.messages) == ["a", "b", "new"]


@pytest.mark.parametrize("store", ["rockset"])
def test_old_clear_hides_what_was_imported(ways: tuple[Any, Make]) -> None:
    """And no more."""
    old, new = ways
    old.add_user_message("a")
    history = new()
    history.add_ai_message("new")
    assert texts(history.messages) == ["a", "new"]
    old.clear()
    assert texts(history.messages) == ["new"]


def test_clear_removes_the_old_messages_too(ways: tuple[Any, Make]) -> None:
    """Hidden at once, gone when it is delivered; what an old program adds afterwards is new."""
    old, new = ways
    old.add_user_message("a")
    history = new()
    history.clear()
    assert history.messages == []
    delivered(history)
    assert history.messages == old.messages == []
    old.add_user_message("b")
    assert texts(history.messages) == ["b"]


def test_clear_that_retains_keeps_the_old_data_and_hides_it(ways: tuple[Any, Make]) -> None:
    """What comes after is shown."""
    old, new = ways
    old.add_user_message("a")
    history = new(retain=timedelta(days=1))
    history.clear()
    delivered(history)
    assert history.messages == []
    assert texts(old.messages) == ["a"]
    old.add_user_message("b")
    assert texts(history.messages) == ["b"]


def test_legacy_false_looks_at_nothing_old(ways: tuple[Any, Make]) -> None:
    """Neither to show nor to remove it."""
    old, new = ways
    old.add_user_message("a")
    history = new(legacy=False)
    assert history.messages == []
    history.clear()
    delivered(history)
    assert texts(old.messages) == ["a"]


@pytest.mark.parametrize("store", ["momento"])
def test_old_list_of_a_cache_goes_with_its_ttl(ways: tuple[Any, Make], momento_server: MomentoServer) -> None:
    """What remains of it is at most the history's own."""
    old, new = ways
    old.add_user_message("a")
    history = new()
    assert texts(history.messages) == ["a"]
    delivered(history)
    now_ms = history.log.now_ms()
    momento_server.advance(HOUR)
    history.log.now_ms = lambda: now_ms + 2 * 3600 * 1000
    assert history.messages == []
    assert old.messages == []
