"""Laws of the log behind the drop-in: one for all, through forks, closing and outages."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from langchain_core.messages import AIMessageChunk, HumanMessage

import eventlog
from eventlog.adapters import langchain_logs
from eventlog.adapters.langchain import RedisChatMessageHistory
from eventlog.errors import AckTimeout
from tests.adapters.langchain_help import delivered, run
from tests.servers.redis_server import MakeRedis


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
