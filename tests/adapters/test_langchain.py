"""Laws of the drop-in for LangChain's Redis history: the old class's face, the log's promises."""

from __future__ import annotations

import asyncio
import inspect
import threading
import warnings
from datetime import timedelta
from typing import Any, cast

import pytest
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.history import RunnableWithMessageHistory

import eventlog
from eventlog.adapters.langchain import RedisChatMessageHistory
from eventlog.errors import ConfigurationError, MessageNotSerializable
from tests.adapters.langchain_help import SAMPLES, delivered, run


@pytest.fixture
def old() -> Any:
    """Give the class that ours stands in for."""
    with warnings.catch_warnings(action="ignore"):
        module = pytest.importorskip("langchain_community.chat_message_histories.redis")
    return module.RedisChatMessageHistory


def test_signature_is_that_of_the_old_class(old: Any) -> None:
    """Whatever the old class was called with is understood, and what is ours has a name."""
    same = [(one.name, one.kind, one.default) for one in inspect.signature(old).parameters.values()]
    new = list(inspect.signature(RedisChatMessageHistory).parameters.values())
    assert [(one.name, one.kind, one.default) for one in new[: len(same)]] == same
    assert all(one.kind is one.KEYWORD_ONLY for one in new[len(same) :])


def test_public_names_of_the_old_class_are_all_there(history: RedisChatMessageHistory, old: Any) -> None:
    """A program that reaches for a name finds it, and with it what it meant."""
    assert {name for name in dir(old) if not name.startswith("_")} <= set(dir(history))
    assert isinstance(history, BaseChatMessageHistory)
    assert (history.session_id, history.key_prefix, history.ttl) == ("s", "message_store:", None)
    assert history.key == "message_store:s"
    assert history.redis_client.ping()
    assert history.redis_client is history.redis_client


def test_messages_cannot_be_assigned(history: RedisChatMessageHistory) -> None:
    """As before."""
    with pytest.raises(NotImplementedError):
        history.messages = []


def test_history_reads_as_text(history: RedisChatMessageHistory) -> None:
    """`str` gives the conversation."""
    history.add_user_message("hi")
    history.add_ai_message("hello")
    history.add_user_message(HumanMessage("how", name="ann"))
    history.add_ai_message(AIMessage("so", id="1"))
    assert str(history) == "Human: hi\nAI: hello\nHuman: how\nAI: so"
    assert history.messages[2:] == [HumanMessage("how", name="ann"), AIMessage("so", id="1")]


def test_attributes_set_anew_are_gone_by(redis_url: str) -> None:
    """A program that renames a history in place reads and writes under the new name."""
    history = RedisChatMessageHistory("one", redis_url)
    history.add_user_message("in one")
    history.session_id = "two"
    assert history.messages == []
    history.key_prefix, history.ttl = "other:", 60
    history.add_user_message("in two")
    assert RedisChatMessageHistory("two", redis_url, "other:").messages == [HumanMessage("in two")]
    assert RedisChatMessageHistory("one", redis_url).messages == [HumanMessage("in one")]


@pytest.mark.parametrize("wrong", [{"ttl": -1}, {"ack": "soon"}, {"retain": timedelta(-1)}, {"session_id": "\ud800"}])
def test_wrong_argument_is_found_when_the_history_is_made(redis_url: str, wrong: dict[str, Any]) -> None:
    """Not at the first message."""
    with pytest.raises(ValueError, match="expected"):
        RedisChatMessageHistory(**{"session_id": "s", "url": redis_url, **wrong})


def test_unknown_url_is_an_error_that_names_the_known(redis_url: str) -> None:
    """A scheme that nobody serves is no server that is down."""
    with pytest.raises(ConfigurationError, match="redis:"):
        RedisChatMessageHistory("s", redis_url.replace("redis:", "rodis:"))


def test_nothing_warns(redis_url: str) -> None:
    """Neither the import nor a history nor a class on top of it, though the base class is deprecated."""
    code = f"""
        from eventlog.adapters.langchain import RedisChatMessageHistory
        class Mine(RedisChatMessageHistory):
            pass
        for cls in (RedisChatMessageHistory, Mine):
            cls("s", "{redis_url}").add_user_message("hi")
        print(Mine("s", "{redis_url}"))
    """
    done = run(code, "-W", "error")
    assert (done.stdout, done.stderr) == ("Human: hi\nHuman: hi\n", "")


def test_log_itself_does_not_import_langchain() -> None:
    """Who does not use it does not pay for it, and need not have it."""
    assert run("import eventlog, sys; print('langchain_core' in sys.modules)").stdout == "False\n"


def test_missing_langchain_names_the_command_that_installs_it() -> None:
    """An error of ours, not an ImportError from somewhere within."""
    code = """
        import sys
        sys.modules["langchain_core"] = None
        from eventlog import ConfigurationError
        try:
            import eventlog.adapters.langchain
        except ConfigurationError as error:
            print(error)
    """
    assert "pip install 'chat-eventlog[langchain]'" in run(code).stdout


def test_history_works_where_the_base_class_is_gone(dead_url: str) -> None:
    """It is announced to go with the next major version of langchain-core."""
    code = f"""
        import sys
        sys.modules["langchain_core.chat_history"] = None
        from eventlog.adapters.langchain import RedisChatMessageHistory
        history = RedisChatMessageHistory("s", "{dead_url}")
        history.add_user_message("hi")
        history.add_ai_message("hello")
        print(history)
        history.log.close(0)
    """
    assert run(code).stdout == "Human: hi\nAI: hello\n"


@pytest.mark.parametrize("is_delivered", [True, False])
async def test_every_kind_of_message_comes_back_equal(redis_url: str, *, is_delivered: bool) -> None:
    """From the journal and from the server, one by one and together, sync and async."""
    one, many, later = (RedisChatMessageHistory(name, redis_url) for name in ("one", "many", "later"))
    for message in SAMPLES:
        one.add_message(message)
    many.add_messages(SAMPLES)
    await later.aadd_messages(SAMPLES)
    if is_delivered:
        delivered(one)
    for history in (one, many, later):
        assert history.messages == SAMPLES
        assert await history.aget_messages() == SAMPLES


def test_messages_of_one_call_are_kept_together_or_not_at_all(history: RedisChatMessageHistory) -> None:
    """One that cannot be kept keeps its neighbours out, and the history goes on."""
    bad = ToolMessage("secret", tool_call_id="1", artifact=threading.Lock())
    with pytest.raises(MessageNotSerializable, match="lock") as found:
        history.add_messages([HumanMessage("hi"), bad])
    assert "secret" not in str(found.value)
    history.add_messages([])
    history.add_user_message("after")
    assert history.messages == [HumanMessage("after")]


def test_sessions_of_the_plain_api_and_of_langchain_are_one(history: RedisChatMessageHistory) -> None:
    """A history that began as dicts goes on as messages, and each side reads the other's."""
    chat = history.log.history("message_store:s")
    chat.add({"role": "user", "content": "hi"})
    history.add_ai_message("hello")
    chat.add("neither")
    assert [message.type for message in history.messages] == ["human", "ai", "chat"]
    assert chat.messages()[1] == {"type": "ai", "content": "hello"}


def test_read_tells_where_it_comes_from(history: RedisChatMessageHistory) -> None:
    """What the log's own reads tell is told here too."""
    found = cast("eventlog.Messages", history.messages)
    assert (found.source, found.complete) == ("redis", True)


def test_prefixes_keep_sessions_apart(redis_url: str) -> None:
    """One session id under two prefixes is two histories."""
    one, two = RedisChatMessageHistory("s", redis_url, "a:"), RedisChatMessageHistory("s", redis_url, "b:")
    one.add_user_message("hi")
    assert two.messages == []
    assert one.log is two.log
    assert one.log.sessions() == ["a:s"]


async def test_cleared_history_is_empty_and_deleted(history: RedisChatMessageHistory) -> None:
    """Here, for the next one, and in the server: nothing stays for replay."""
    history.add_user_message("hi")
    delivered(history)
    history.clear()
    assert history.messages == []
    history.add_user_message("again")
    await history.aclear()
    assert await history.aget_messages() == []
    delivered(history)
    assert not list(history.redis_client.scan_iter("*:e"))


def test_retain_keeps_what_was_cleared_for_replay(redis_url: str) -> None:
    """Who asks for it can look back."""
    history = RedisChatMessageHistory("s", redis_url, retain=timedelta(days=1))
    history.add_user_message("hi")
    before = delivered(history).log.history(history.key).add("and")
    history.clear()
    delivered(history)
    assert history.messages == []
    assert len(history.log.history(history.key).messages(as_of=before)) == 2


def test_ttl_slides_with_every_message(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole history lives until `ttl` after its last message, and goes at once."""
    history = RedisChatMessageHistory("s", redis_url, ttl=60)
    began_ms = history.log.now_ms()
    now_ms = [began_ms]
    monkeypatch.setattr(history.log, "now_ms", lambda: now_ms[0])
    history.add_user_message("one")
    now_ms[0] = began_ms + 50_000
    history.add_user_message("two")
    now_ms[0] = began_ms + 109_000
    assert len(history.messages) == 2
    now_ms[0] = began_ms + 110_001
    assert history.messages == []
    history.add_user_message("three")
    assert history.messages == [HumanMessage("three")]


def test_server_lets_go_of_a_history_with_a_ttl(redis_url: str) -> None:
    """Its key has a deadline there; without a ttl, or with zero, it has none."""
    histories = [RedisChatMessageHistory(f"ttl-{ttl}", redis_url, ttl=ttl) for ttl in (600, 0, None)]
    for history in histories:
        history.add_user_message("hi")
    client = delivered(histories[0]).redis_client
    assert [client.ttl(key) for key in client.scan_iter("*:e")] == [-1, -1]
    [expiring] = client.scan_iter("*:x")
    assert b"ttl-600" in expiring
    assert 600 < client.ttl(expiring) <= 1200


def chain(url: str) -> RunnableWithMessageHistory:
    """Give a chain that answers with the number of messages it was given."""

    def answer(given: Any) -> AIMessage:
        return AIMessage(f"{len(given)} so far", id="fixed")

    return RunnableWithMessageHistory(
        RunnableLambda(answer),
        lambda session_id: RedisChatMessageHistory(session_id, url),
    )


@pytest.mark.filterwarnings("ignore:.*deprecated")
async def test_langchain_runs_on_the_history(redis_url: str) -> None:
    """A chain with memory remembers, sync and async, each session for itself."""
    runnable = chain(redis_url)
    config: Any = {"configurable": {"session_id": "a"}}
    assert runnable.invoke([HumanMessage("hi")], config).content == "1 so far"
    assert (await runnable.ainvoke([HumanMessage("more")], config)).content == "3 so far"
    assert runnable.invoke([HumanMessage("hi")], {"configurable": {"session_id": "b"}}).content == "1 so far"
    found = RedisChatMessageHistory("a", redis_url).messages
    assert [message.content for message in found] == ["hi", "1 so far", "more", "3 so far"]


@pytest.mark.filterwarnings("ignore:.*deprecated")
async def test_streamed_answers_are_remembered(redis_url: str) -> None:
    """What a model streams is one message afterwards, sync and async."""
    model = GenericFakeChatModel(messages=iter([AIMessage("good day to you"), AIMessage("and to you")]))
    runnable = RunnableWithMessageHistory(model, lambda session_id: RedisChatMessageHistory(session_id, redis_url))
    config: Any = {"configurable": {"session_id": "a"}}
    pieces = list(runnable.stream([HumanMessage("hi")], config))
    later = [piece async for piece in runnable.astream([HumanMessage("so")], config)]
    assert len(pieces) > 1
    assert len(later) > 1
    found = delivered(RedisChatMessageHistory("a", redis_url)).messages
    assert [message.content for message in found] == ["hi", "good day to you", "so", "and to you"]
    assert isinstance(found[1], (AIMessage, AIMessageChunk))


async def test_event_loop_reads_and_writes_without_threads(history: RedisChatMessageHistory) -> None:
    """Once the journal is begun, no method borrows a thread from the pool that all programs share."""
    await history.aadd_messages([HumanMessage("first")])

    def no_thread(*_: object) -> None:
        raise AssertionError("expected no thread")

    asyncio.get_running_loop().run_in_executor = no_thread  # type: ignore[method-assign,assignment]
    await history.aadd_messages([HumanMessage("hi")])
    assert len(await history.aget_messages()) == 2
    await history.aclear()
    assert await history.aget_messages() == []
