"""Laws of the drop-in for LangChain's Cassandra history: the old class's face, the log's promises."""

from __future__ import annotations

import asyncio
import inspect
import threading
import warnings
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

import cassio.config
import pytest
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import AIMessage, HumanMessage

import eventlog
from eventlog.adapters import langchain_logs
from eventlog.adapters.langchain import CassandraChatMessageHistory, SetupMode
from eventlog.errors import ConfigurationError
from tests.adapters.langchain_help import SAMPLES, WAIT_S, run
from tests.servers.cassandra_client import PASSWORD, USER, cluster_at
from tests.servers.cassandra_fixtures import Keyspace

OUR_TABLE = "message_store_events"


@pytest.fixture
def old() -> Any:
    """Give the class that ours stands in for."""
    with warnings.catch_warnings(action="ignore"):
        module = pytest.importorskip("langchain_community.chat_message_histories.cassandra")
    return module.CassandraChatMessageHistory


@pytest.fixture
def history(cassandra: Keyspace) -> CassandraChatMessageHistory:
    """Give an empty history on a running node."""
    return CassandraChatMessageHistory("s", cassandra.session, cassandra.name)


@pytest.fixture
def _globals(cassandra: Keyspace) -> Iterator[None]:
    """Set cassio's globals, as a program does once at its start."""
    cassio.config.default_session, cassio.config.default_keyspace = None, None
    cassio.init(session=cassandra.session, keyspace=cassandra.name)
    yield
    cassio.config.default_session, cassio.config.default_keyspace = None, None


def delivered(history: CassandraChatMessageHistory) -> CassandraChatMessageHistory:
    """Wait until all is in the table."""
    assert history.log.flush(WAIT_S), history.log.status()
    return history


def ttls(keyspace: Keyspace) -> list[int | None]:
    """Give the seconds that each row of our table has left."""
    found = keyspace.session.execute(f"SELECT ttl(body) FROM {keyspace.name}.{OUR_TABLE}")  # noqa: S608
    return [row[0] for row in found]


def test_signature_is_that_of_the_old_class(old: Any) -> None:
    """Whatever the old class was called with is understood, and what is ours has a name."""

    def told(one: inspect.Parameter) -> tuple[str, Any, Any]:
        return one.name, one.kind, getattr(one.default, "name", one.default)

    same = [told(one) for one in inspect.signature(old).parameters.values()]
    new = list(inspect.signature(CassandraChatMessageHistory).parameters.values())
    assert [told(one) for one in new[: len(same)]] == same
    assert all(one.kind is one.KEYWORD_ONLY for one in new[len(same) :])


def test_public_names_of_the_old_class_are_all_there(history: CassandraChatMessageHistory, old: Any) -> None:
    """A program that reaches for a name finds it, and with it what it meant."""
    assert {name for name in dir(old) if not name.startswith("_")} <= set(dir(history))
    assert isinstance(history, BaseChatMessageHistory)
    assert (history.session_id, history.ttl_seconds, history.key) == ("s", None, "s")


@pytest.mark.parametrize("is_delivered", [True, False])
async def test_every_kind_of_message_comes_back_equal(cassandra: Keyspace, *, is_delivered: bool) -> None:
    """From the journal and from the table, one by one and together, sync and async."""
    one, many, later = (
        CassandraChatMessageHistory(name, cassandra.session, cassandra.name) for name in ("one", "many", "later")
    )
    for message in SAMPLES:
        one.add_message(message)
    many.add_messages(SAMPLES)
    await later.aadd_messages(SAMPLES)
    if is_delivered:
        delivered(one)
        assert len(cassandra.rows(OUR_TABLE)) == 3 * len(SAMPLES)
    for history in (one, many, later):
        assert history.messages == SAMPLES
        assert await history.aget_messages() == SAMPLES


@pytest.mark.usefixtures("_globals")
def test_globals_of_cassio_are_used(cassandra: Keyspace) -> None:
    """After `cassio.init` a session id is enough."""
    history = CassandraChatMessageHistory("s")
    history.add_user_message("hi")
    delivered(history)
    assert CassandraChatMessageHistory("s", cassandra.session, cassandra.name).messages == [HumanMessage("hi")]
    assert CassandraChatMessageHistory("s", cassandra.session, cassandra.name).log is history.log


def test_globals_that_nobody_set_are_told(cassandra: Keyspace) -> None:
    """As the old class told it."""
    with pytest.raises(ValueError, match="session not set"):
        CassandraChatMessageHistory("s", keyspace=cassandra.name)
    with pytest.raises(ValueError, match="keyspace not set"):
        CassandraChatMessageHistory("s", cassandra.session)


def test_ttl_is_fixed_for_each_message(cassandra: Keyspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest falls off first, for readers and in the table; zero is none, as before."""
    for ttl_seconds in (60, 0):
        history = CassandraChatMessageHistory(
            f"ttl {ttl_seconds}", cassandra.session, cassandra.name, ttl_seconds=ttl_seconds
        )
        began_ms = history.log.now_ms()
        now_ms = [began_ms]
        monkeypatch.setattr(history.log, "now_ms", lambda now_ms=now_ms: now_ms[0])
        history.add_user_message("one")
        now_ms[0] = began_ms + 50_000
        history.add_user_message("two")
        now_ms[0] = began_ms + 61_000
        assert len(history.messages) == (1 if ttl_seconds else 2)
        delivered(history)
    assert sorted(ttl is not None for ttl in ttls(cassandra)) == [False, False, True, True]
    assert 100 < max(ttl or 0 for ttl in ttls(cassandra)) <= 110


async def test_cleared_history_is_empty_and_deleted(cassandra: Keyspace, history: CassandraChatMessageHistory) -> None:
    """Here, for the next one, and in the table, where only the clear stays."""
    history.add_user_message("hi")
    delivered(history)
    history.clear()
    assert history.messages == []
    history.add_user_message("again")
    await history.aclear()
    assert await history.aget_messages() == []
    delivered(history)
    assert len(cassandra.rows(OUR_TABLE)) == 1


def test_retain_keeps_what_was_cleared_for_replay(cassandra: Keyspace) -> None:
    """Who asks for it can look back."""
    history = CassandraChatMessageHistory("s", cassandra.session, cassandra.name, retain=timedelta(days=1))
    history.add_user_message("hi")
    before = history.log.history(history.key).add("and")
    history.clear()
    delivered(history)
    assert history.messages == []
    assert len(history.log.history(history.key).messages(as_of=before)) == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_table_lives_on_beside_ours(cassandra: Keyspace, old: Any) -> None:
    """Of one name in one keyspace: with `legacy=False`, neither side sees, clears or breaks the other."""
    theirs = old("s", cassandra.session, cassandra.name)
    theirs.add_user_message("old")
    ours = CassandraChatMessageHistory("s", cassandra.session, cassandra.name, legacy=False)
    ours.add_user_message("new")
    delivered(ours)
    assert {"message_store", OUR_TABLE} <= set(cassandra.tables())
    assert [message.content for message in theirs.messages] == ["old"]
    assert ours.messages == [HumanMessage("new")]
    ours.clear()
    delivered(ours)
    assert [message.content for message in theirs.messages] == ["old"]


@pytest.mark.parametrize(
    ("table_name", "table"),
    [("Chats", "chats_events"), ('"Chats"', "Chats_events"), ("order", "order_events")],
)
def test_names_are_read_as_cql_reads_them(cassandra: Keyspace, table_name: str, table: str) -> None:
    """Without quotes in lower case, with them as they stand; nothing of a name is ever CQL."""
    history = CassandraChatMessageHistory("s", cassandra.session, cassandra.name.upper(), table_name)
    history.add_user_message("hi")
    delivered(history)
    assert len(cassandra.rows(table)) == 1


@pytest.mark.parametrize("name", ["a-b", "x; DROP KEYSPACE k", '"a"b"', "x" * 42])
def test_name_that_cassandra_cannot_have_is_refused(cassandra: Keyspace, name: str) -> None:
    """When the history is made."""
    with pytest.raises(ConfigurationError, match="expected as"):
        CassandraChatMessageHistory("s", cassandra.session, cassandra.name, name)


def test_setup_mode_says_whether_the_table_is_made(cassandra: Keyspace) -> None:
    """With OFF it waits for somebody who makes it; modes of langchain-community are understood."""
    theirs = pytest.importorskip("langchain_community.utilities.cassandra").SetupMode
    table = {"table_name": "made_by_hand", "session": cassandra.session, "keyspace": cassandra.name}
    waits = CassandraChatMessageHistory("s", **table, setup_mode=theirs.OFF)
    waits.add_user_message("hi")
    assert not waits.log.flush(1.0)
    assert "made_by_hand_events" not in cassandra.tables()
    assert "expected the table" in (waits.log.status().backends["cassandra"].last_error or "")
    assert waits.messages == [HumanMessage("hi")]
    CassandraChatMessageHistory("s", **table, setup_mode=SetupMode.ASYNC)
    delivered(waits)
    assert len(cassandra.rows("made_by_hand_events")) == 1


def test_one_log_stands_behind_many_histories(history: CassandraChatMessageHistory, cassandra: Keyspace) -> None:
    """A history a request costs no connection and no thread; another table is another log."""
    history.add_user_message("hi")
    assert delivered(history).messages
    threads = threading.active_count()
    for number in range(500):
        CassandraChatMessageHistory(f"s{number}", cassandra.session, cassandra.name).add_user_message("hi")
    assert threading.active_count() == threads
    assert len(langchain_logs._by_identity) == 1
    delivered(history)
    other = CassandraChatMessageHistory("s", cassandra.session, cassandra.name, "other")
    assert other.log is not history.log


def test_session_that_its_owner_shut_down_is_not_missed(cassandra: Keyspace) -> None:
    """Our connections are our own; a newer session of the same place is the same log."""
    with cluster_at(cassandra.address) as cluster:
        history = CassandraChatMessageHistory("s", cluster.connect(), cassandra.name)
        history.add_user_message("one")
    history.add_user_message("two")
    assert len(delivered(history).messages) == 2
    newer = CassandraChatMessageHistory("s", cassandra.session, cassandra.name)
    assert newer.log is history.log
    assert len(newer.messages) == 2


def test_newer_session_renews_what_the_log_connects_with(cassandra: Keyspace) -> None:
    """After a change of password, a history with the new one delivers what waits, of old histories too."""
    place = cluster_at(cassandra.address, password="old")  # noqa: S106
    cluster = cluster_at(cassandra.address)
    not_connected: Any = _NotConnected
    old = CassandraChatMessageHistory("s", not_connected(place), cassandra.name)
    old.add_user_message("hi")
    assert not old.log.flush(1.0)
    error = old.log.status().backends["cassandra"].last_error or ""
    assert "wrong password" in error
    new = CassandraChatMessageHistory("s", not_connected(cluster), cassandra.name)
    assert new.log is old.log
    assert delivered(old).messages == [HumanMessage("hi")]


class _NotConnected:
    """A session whose password is wrong cannot be had; what is learned from one is its cluster."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster


def test_histories_outlive_a_fork(cassandra: Keyspace) -> None:
    """A history made before the fork takes messages in parent and child, with connections of their own."""
    code = f"""
        import os
        from cassandra.auth import PlainTextAuthProvider
        from cassandra.cluster import Cluster
        from eventlog.adapters.langchain import CassandraChatMessageHistory
        cluster = Cluster(["{cassandra.address}"], auth_provider=PlainTextAuthProvider("{USER}", "{PASSWORD}"))
        session = cluster.connect()
        history = CassandraChatMessageHistory("s", session, "{cassandra.name}")
        history.add_user_message("parent")
        assert history.log.flush(20)
        child = os.fork()
        if child == 0:
            history.add_user_message("child")
            os._exit(0 if history.log.flush(20) and len(history.messages) >= 2 else 1)
        history.add_user_message("parent again")
        assert history.log.flush(20)
        assert os.waitpid(child, 0)[1] == 0
        print(sorted(message.content for message in history.messages))
    """
    assert run(code).stdout == "['child', 'parent', 'parent again']\n"


async def test_event_loop_reads_and_writes_without_threads(history: CassandraChatMessageHistory) -> None:
    """Once the journal is begun and the node is reached, no method borrows a thread from the pool of all programs."""
    await history.aadd_messages([HumanMessage("first")])
    delivered(history)

    def no_thread(*_: object) -> None:
        raise AssertionError("expected no thread")

    asyncio.get_running_loop().run_in_executor = no_thread  # type: ignore[method-assign,assignment]
    await history.aadd_messages([AIMessage("hi")])
    found = cast("eventlog.Messages", await history.aget_messages())
    assert (len(found), found.source, found.complete) == (2, "cassandra", True)
    await history.aclear()
    assert await history.aget_messages() == []
