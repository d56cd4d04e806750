"""Laws of the drop-in for LangChain's Redis history: the old class's face, the log's promises."""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any, cast

import pytest
import redis
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.history import RunnableWithMessageHistory

import eventlog
from eventlog.adapters import langchain_logs
from eventlog.adapters.langchain import RedisChatMessageHistory
from eventlog.demo_server import hold_port
from eventlog.errors import AckTimeout, ConfigurationError, MessageNotSerializable
from tests.adapters.test_langchain_messages import SAMPLES
from tests.servers.redis_server import MakeRedis

ROOT = Path(__file__).parents[2]
WAIT_S = 20


@pytest.fixture(autouse=True)
def _own_logs() -> Iterator[None]:
    """End the logs that a test opened; nobody else's test finds them."""
    yield
    for stand in langchain_logs._by_identity.values():
        stand.log.close(timeout=0)
    for registry in (langchain_logs._by_identity, langchain_logs._by_url, langchain_logs._by_client):
        cast("dict[Any, Any]", registry).clear()


@pytest.fixture
def history(redis_url: str) -> RedisChatMessageHistory:
    """Give an empty history on a running server."""
    return RedisChatMessageHistory("s", redis_url)


@pytest.fixture
def dead_url() -> Iterator[str]:
    """Give the URL of a server that is not there."""
    port, holder = hold_port()
    yield f"redis://127.0.0.1:{port}/0"
    holder.close()


def run(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own; it must end well."""
    done = subprocess.run(
        [sys.executable, *options, "-c", dedent(code)],
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=WAIT_S * 2,
    )
    assert done.returncode == 0, done.stderr
    return done


def delivered(history: RedisChatMessageHistory) -> RedisChatMessageHistory:
    """Wait until all is in the server."""
    assert history.log.flush(WAIT_S)
    return history


@pytest.fixture
def old() -> Any:
    """Give the class that ours stands in for."""
    with warnings.catch_warnings(action="ignore"):
        module = pytest.importorskip("langchain_community.chat_message_histories.redis")
    return module.RedisChatMessageHistory


# The face of the old class


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


# Imports and warnings


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


# Messages


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


# clear and ttl


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


# One log


def open_files() -> int:
    """Count the open files of this process, where that can be done."""
    return len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0


def test_one_log_stands_behind_many_histories(redis_url: str) -> None:
    """A history a request costs no connection, no thread, no file."""
    first = RedisChatMessageHistory("first", redis_url)
    first.add_user_message("hi")
    assert delivered(first).messages
    threads = threading.active_count()
    files = open_files()
    for number in range(1000):
        RedisChatMessageHistory(f"s{number}", redis_url, ttl=number).add_user_message("hi")
    assert threading.active_count() == threads
    assert open_files() <= files + 20
    assert RedisChatMessageHistory("s", redis_url).log is first.log
    assert len(langchain_logs._by_identity) == 1


def test_urls_and_clients_of_one_database_share_its_log(redis_url: str) -> None:
    """Whatever the spelling; another database or journal has another log."""
    log = RedisChatMessageHistory("s", redis_url).log
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    other = RedisChatMessageHistory("s", client=client)
    assert other.log is log
    assert other.redis_client is client
    assert RedisChatMessageHistory("s", f"{redis_url}?socket_timeout=3").log is log
    assert RedisChatMessageHistory("s", redis_url.rsplit("/", 1)[0] + "/99").log is not log
    assert RedisChatMessageHistory("s", redis_url, journal=os.environ["EVENTLOG_JOURNAL"] + "2").log is not log


def test_client_that_was_met_is_not_kept_alive(redis_url: str) -> None:
    """A program that makes a client a request does not gather them."""
    for _ in range(3):
        RedisChatMessageHistory("s", client=redis.Redis.from_url(redis_url))
    assert len(langchain_logs._by_client) <= 1


def test_newer_client_renews_what_the_log_connects_with(own_redis: MakeRedis) -> None:
    """After a change of password, a history with the new one delivers what waits, of old histories too."""
    server = own_redis(password="new")  # noqa: S106 (of a server of our own)
    old = RedisChatMessageHistory("s", server.url.replace("new", "old"))
    old.add_user_message("hi")
    assert not old.log.flush(0.2)
    new = RedisChatMessageHistory("s", client=redis.Redis.from_url(server.url))
    assert new.log is old.log
    assert delivered(old).messages == [HumanMessage("hi")]
    assert cast("eventlog.Messages", old.messages).complete


def test_client_can_be_set_on_a_history(redis_url: str, dead_url: str) -> None:
    """Programs that put their own client in place of the class's reach its server."""
    history = RedisChatMessageHistory("s", dead_url)
    history.redis_client = redis.Redis.from_url(redis_url)
    history.add_user_message("hi")
    assert delivered(RedisChatMessageHistory("s", redis_url)).messages == [HumanMessage("hi")]


def test_log_that_somebody_closed_is_opened_again(history: RedisChatMessageHistory, redis_url: str) -> None:
    """For histories of before and of after; nothing is lost."""
    history.add_user_message("one")
    closed = history.log
    closed.close()
    history.add_user_message("two")
    assert history.log is not closed
    history.log.close()
    assert [message.content for message in history.messages] == ["one", "two"]
    history.log.close()
    assert asyncio.run(history.aget_messages()) == history.messages
    history.log.close()
    history.clear()
    assert RedisChatMessageHistory("s", redis_url).messages == []


def test_threads_that_meet_a_closed_log_open_one(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many they are."""
    histories = [RedisChatMessageHistory(f"s{number}", redis_url) for number in range(8)]
    histories[0].log.close()
    opened: list[eventlog.EventLog] = []

    def open_counted(*args: Any, **kwargs: Any) -> eventlog.EventLog:
        opened.append(eventlog.open(*args, **kwargs))
        return opened[-1]

    monkeypatch.setattr(langchain_logs, "open_log", open_counted)
    threads = [threading.Thread(target=one.add_user_message, args=("hi",)) for one in histories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.messages for one in histories] == [[HumanMessage("hi")]] * 8
    assert len(opened) == 1


def test_histories_outlive_a_fork(redis_url: str) -> None:
    """A history made before the fork takes messages in parent and child."""
    code = f"""
        import os
        from eventlog.adapters.langchain import RedisChatMessageHistory
        history = RedisChatMessageHistory("s", "{redis_url}")
        history.add_user_message("parent")
        child = os.fork()
        if child == 0:
            history.add_user_message("child")
            RedisChatMessageHistory("s", "{redis_url}").add_user_message("child's own")
            os._exit(0 if history.log.flush(20) and len(history.messages) >= 2 else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert history.log.flush(20)
        print([message.content for message in history.messages])
    """
    assert run(code).stdout == """['parent', 'child', "child's own"]\n"""


def test_fork_while_another_thread_opens_a_log_leaves_the_child_free(redis_url: str) -> None:
    """The child does not wait for a thread that it has not."""
    code = f"""
        import os, signal, threading
        from eventlog.adapters import langchain_logs
        from eventlog.adapters.langchain import RedisChatMessageHistory
        held = threading.Event()
        def hold():
            with langchain_logs._lock:
                held.set()
                done.wait()
        done = threading.Event()
        threading.Thread(target=hold).start()
        held.wait()
        pid = os.fork()
        if pid == 0:
            signal.alarm(10)
            RedisChatMessageHistory("s", "{redis_url}").add_user_message("hi")
            os._exit(0)
        print(os.waitpid(pid, 0)[1])
        done.set()
    """
    assert run(code).stdout == "0\n"


# Outages


async def test_message_is_kept_while_the_server_is_down(own_redis: MakeRedis) -> None:
    """Adds raise nothing, `messages` shows them, and the server has them when it is back."""
    server = own_redis()
    history = RedisChatMessageHistory("s", server.url)
    history.add_user_message("before")
    delivered(history)
    assert len(history.messages) == 1
    server.kill()
    history.add_user_message("during")
    await history.aadd_messages([AIMessageChunk(content="still")])
    assert [message.content for message in history.messages] == ["before", "during", "still"]
    assert await history.aget_messages() == history.messages
    assert not cast("eventlog.Messages", history.messages).complete
    server.restart()
    delivered(history)
    with eventlog.open(server.url, journal=os.environ["EVENTLOG_JOURNAL"] + "-elsewhere") as elsewhere:
        found = elsewhere.history(history.key).messages()
    assert [message["content"] for message in found] == ["during", "still"]  # the first went with the server


def test_history_begins_where_no_server_is(dead_url: str) -> None:
    """Neither making it nor using it raises."""
    history = RedisChatMessageHistory("s", dead_url)
    history.add_user_message("hi")
    assert history.messages == [HumanMessage("hi")]
    history.clear()
    assert history.messages == []


# Knobs


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an add wait no longer than a moment."""
    monkeypatch.setattr(langchain_logs, "open_log", partial(eventlog.open, max_block=0.05))


@pytest.mark.usefixtures("_impatient")
async def test_ack_waits_for_the_server(dead_url: str) -> None:
    """With "backend" every way to write tells when the server did not take it; it is kept all the same."""
    eager = RedisChatMessageHistory("s", dead_url, ack="backend")
    with pytest.raises(AckTimeout):
        eager.add_user_message("one")
    with pytest.raises(AckTimeout):
        eager.add_messages([HumanMessage("two")])
    with pytest.raises(AckTimeout):
        await eager.aadd_messages([HumanMessage("three")])
    patient = RedisChatMessageHistory("s", dead_url)
    assert patient.log is eager.log
    patient.add_user_message("four")
    assert [message.content for message in patient.messages] == ["one", "two", "three", "four"]
    with pytest.raises(AckTimeout):
        eager.clear()
    with pytest.raises(AckTimeout):
        await eager.aclear()


def test_ack_of_the_server_is_seen_elsewhere(redis_url: str) -> None:
    """With "backend" another host sees the message when the add returns, and the clear as well."""
    eager = RedisChatMessageHistory("s", redis_url, ack="backend")
    with eventlog.open(redis_url, journal=os.environ["EVENTLOG_JOURNAL"] + "-elsewhere") as elsewhere:
        eager.add_user_message("hi")
        assert len(elsewhere.history("message_store:s").messages()) == 1
        eager.clear()
        assert elsewhere.history("message_store:s").messages() == []


@pytest.mark.usefixtures("_impatient")
def test_environment_sets_ack_and_journal(dead_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$EVENTLOG_ACK and $EVENTLOG_JOURNAL need no change of the program."""
    monkeypatch.setenv("EVENTLOG_JOURNAL", str(tmp_path / "of-the-environment"))
    monkeypatch.setenv("EVENTLOG_ACK", "backend")
    with pytest.raises(AckTimeout):
        RedisChatMessageHistory("s", dead_url).add_user_message("hi")
    assert list((tmp_path / "of-the-environment").rglob("*.seg"))
    monkeypatch.setenv("EVENTLOG_ACK", "soon")
    monkeypatch.setenv("EVENTLOG_JOURNAL", str(tmp_path / "another"))
    with pytest.raises(ValueError, match="expected ack"):
        RedisChatMessageHistory("s", dead_url)


def test_journal_names_the_directory(redis_url: str, tmp_path: Path) -> None:
    """The argument goes before the environment."""
    RedisChatMessageHistory("s", redis_url, journal=tmp_path / "mine").add_user_message("hi")
    assert list((tmp_path / "mine").rglob("*.seg"))


# RunnableWithMessageHistory


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
