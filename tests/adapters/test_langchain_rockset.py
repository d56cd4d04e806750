"""Laws of the drop-in for LangChain's Rockset history: the old class's face, the log's promises, none of its faults."""

from __future__ import annotations

import inspect
import warnings
from datetime import timedelta
from itertools import count
from typing import Any

import msgspec
import pytest
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import AIMessage, HumanMessage
from rockset.exceptions import NotFoundException

import eventlog
from eventlog.adapters import rockset
from eventlog.adapters.langchain import RocksetChatMessageHistory
from eventlog.errors import AckTimeout
from tests.adapters.langchain_help import SAMPLES, WAIT_S, run
from tests.contract.suite import PASSWORD
from tests.core.tools import eventually
from tests.rockset.conftest import client_of
from tests.servers.faults import SILENCE, WHEN, Fault
from tests.servers.rockset import RocksetServer

_numbers = count()


@pytest.fixture
def client(rockset_server: RocksetServer) -> Any:
    """Give a client as users make it."""
    return client_of(rockset_server, PASSWORD)


@pytest.fixture
def name() -> str:
    """Name a collection that is not there yet."""
    return f"drop-in-{next(_numbers)}"


@pytest.fixture
def history(client: Any, name: str) -> RocksetChatMessageHistory:
    """Give an empty history."""
    return RocksetChatMessageHistory("s", client, name)


@pytest.fixture
def old() -> Any:
    """Give the class that ours stands in for."""
    with warnings.catch_warnings(action="ignore"):
        module = pytest.importorskip("langchain_community.chat_message_histories.rocksetdb")
    return module.RocksetChatMessageHistory


def delivered(history: RocksetChatMessageHistory) -> RocksetChatMessageHistory:
    """Wait until all is in the server."""
    assert history.log.flush(WAIT_S)
    return history


def test_signature_is_that_of_the_old_class(old: Any) -> None:
    """Whatever the old class was called with is understood, and what is ours has a name."""
    same = [(one.name, one.kind) for one in inspect.signature(old).parameters.values()]
    new = list(inspect.signature(RocksetChatMessageHistory).parameters.values())
    assert [(one.name, one.kind) for one in new[: len(same)]] == same
    defaults = {
        one.name: one.default for one in inspect.signature(old).parameters.values() if not callable(one.default)
    }
    assert {one.name: one.default for one in new if one.name in defaults} == defaults
    assert all(one.kind is one.KEYWORD_ONLY for one in new[len(same) :])


def test_public_names_of_the_old_class_are_all_there(
    client: Any, name: str, old: Any, history: RocksetChatMessageHistory
) -> None:
    """A program that reaches for a name finds it, and with it what it meant."""
    theirs = old("s", client, f"{name}-theirs")
    assert {name for name in dir(theirs) if not name.startswith("_")} <= set(dir(history))
    assert isinstance(history, BaseChatMessageHistory)
    for attribute in ("session_id", "client", "workspace", "messages_key", "sync", "rockset", "ADD_TIMEOUT_MS"):
        assert getattr(history, attribute) == getattr(theirs, attribute)
    assert history.location == f'"commons"."{name}"'


@pytest.mark.parametrize("wrong", [None, "client", object()])
def test_what_the_old_class_refuses_is_refused_with_the_same_error(old: Any, wrong: Any) -> None:
    """Any other client."""
    for cls in (old, RocksetChatMessageHistory):
        with pytest.raises(ValueError, match="should be an instance of rockset"):
            cls("s", wrong, "c")


@pytest.mark.parametrize("is_delivered", [True, False])
async def test_every_kind_of_message_comes_back_equal(
    history: RocksetChatMessageHistory, *, is_delivered: bool
) -> None:
    """From the journal and from the server, one by one and together, sync and async."""
    history.add_message(SAMPLES[0])
    history.add_messages(SAMPLES[1:5])
    await history.aadd_messages(SAMPLES[5:])
    if is_delivered:
        delivered(history)
    assert history.messages == SAMPLES == await history.aget_messages()


async def test_a_callers_message_is_not_changed(client: Any, name: str) -> None:
    """Ids are given to copies: with `sync`, or with a method that was asked for."""
    message = HumanMessage("hi", additional_kwargs={"a": 1})
    sync = RocksetChatMessageHistory("sync", client, name, sync=True)
    own = RocksetChatMessageHistory("own", client, name, message_uuid_method=lambda: 7)
    plain = RocksetChatMessageHistory("plain", client, name)
    for history in (sync, own, plain):
        history.add_message(message)
        history.add_messages([message])
        await history.aadd_messages([message])
    assert message == HumanMessage("hi", additional_kwargs={"a": 1})
    assert plain.messages == [message] * 3
    assert [one.additional_kwargs for one in own.messages] == [{"a": 1, "id": 7}] * 3
    ids = [one.additional_kwargs["id"] for one in sync.messages]
    assert len(set(ids)) == 3
    given = HumanMessage("x", additional_kwargs={"id": "mine"})
    sync.add_message(given)
    assert sync.messages[-1] == given


def test_a_workspace_other_than_commons_works(client: Any, rockset_server: RocksetServer, name: str, old: Any) -> None:
    """In the old class it does not."""
    with pytest.raises(NotFoundException):
        old("s", client, f"{name}-theirs", workspace="mine")
    for _ in range(2):
        RocksetChatMessageHistory("s", client, name, workspace="mine").add_user_message("hi")
    assert len(delivered(RocksetChatMessageHistory("s", client, name, workspace="mine")).messages) == 2
    assert ("mine", name) in rockset_server.collections


def test_a_slow_ingest_never_wipes_a_history(client: Any, rockset_server: RocksetServer, name: str, old: Any) -> None:
    """A second handle on a session finds what the first has written, seen by queries or not."""
    collection = rockset_server.make_collection(name)
    theirs = rockset_server.make_collection(f"{name}-theirs")
    for held in (collection, theirs):
        held.held = True
    for cls, where in ((old, f"{name}-theirs"), (RocksetChatMessageHistory, name)):
        cls("s", client, where).add_user_message("first")
        cls("s", client, where).add_user_message("second")
    ours = RocksetChatMessageHistory("s", client, name)
    assert [message.content for message in ours.messages] == ["first", "second"]
    collection.held = theirs.held = False
    assert [message.content for message in delivered(ours).messages] == ["first", "second"]
    assert [message.content for message in old("s", client, f"{name}-theirs").messages] == ["second"], "they lost one"


def test_sync_returns_when_queries_see_it(
    client: Any, rockset_server: RocksetServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If that takes too long, it is told with the id; the message is kept, once, and need not be added again."""
    monkeypatch.setattr(rockset, "VISIBLE_TIMEOUT_S", 0.05)
    collection = rockset_server.make_collection(name)
    history = RocksetChatMessageHistory("s", client, name, sync=True)
    history.add_user_message("one")
    assert len(collection.seen()) == 1
    collection.held = True
    impatient = msgspec.structs.replace(history.log._settings, max_block_s=0.2)
    monkeypatch.setattr(history.log, "_settings", impatient)
    with pytest.raises(TimeoutError) as caught:
        history.add_user_message("two")
    assert isinstance(caught.value, AckTimeout)
    collection.held = False
    assert [message.content for message in delivered(history).messages] == ["one", "two"]
    eventually(lambda: len(collection.seen()) == 2)


def test_a_lost_reply_doubles_nothing(rockset_server: RocksetServer, history: RocksetChatMessageHistory) -> None:
    """Nor does an error after the write was applied."""
    history.add_user_message("first")
    delivered(history)
    for fault in (SILENCE, Fault(500)):
        for when in WHEN:
            rockset_server.orders.give(fault, call="add", when=when)
            history.add_messages([HumanMessage("hi"), AIMessage("hello")])
            delivered(history)
    assert [message.content for message in history.messages] == ["first"] + ["hi", "hello"] * 4


async def test_a_cleared_history_is_empty_and_deleted(
    rockset_server: RocksetServer, history: RocksetChatMessageHistory
) -> None:
    """Here, for the next one, and in the server."""
    history.add_user_message("first")
    delivered(history)
    history.clear()
    assert history.messages == []
    history.add_user_message("again")
    await history.aclear()
    delivered(history)
    collection = rockset_server.collections["commons", history.collection]
    assert {row["kind"] for row in collection.seen().rows({})} == {"clear"}


def test_collections_and_workspaces_of_one_client_are_apart(client: Any, name: str) -> None:
    """One session id in two of them is two histories; in one they share a log."""
    one = RocksetChatMessageHistory("s", client, name)
    two = RocksetChatMessageHistory("s", client, name, "other")
    one.add_user_message("hi")
    assert two.messages == []
    assert two.log is not one.log
    assert RocksetChatMessageHistory("t", client, name, messages_key="m").log is one.log


def test_a_server_that_is_away_stops_nobody(client: Any, rockset_server: RocksetServer, name: str) -> None:
    """Making, adding and reading go on; the read says that it may lack something."""
    rockset_server.stop()
    try:
        history = RocksetChatMessageHistory("s", client, name, retain=timedelta(days=1))
        history.add_user_message("meanwhile")
        found = history.messages
        assert found == [HumanMessage("meanwhile")]
        assert isinstance(found, eventlog.Messages)
        assert not found.complete
    finally:
        rockset_server.start()
    assert delivered(history).messages == [HumanMessage("meanwhile")]


def test_missing_rockset_names_the_command_that_installs_it_and_breaks_nothing_else() -> None:
    """Who uses another drop-in need not have it."""
    code = """
        import sys
        sys.modules["rockset"] = None
        from eventlog import ConfigurationError
        from eventlog.adapters.langchain import RedisChatMessageHistory
        try:
            from eventlog.adapters.langchain import RocksetChatMessageHistory
        except ConfigurationError as error:
            print(error)
    """
    assert "pip install 'chat-eventlog[rockset]'" in run(code).stdout
