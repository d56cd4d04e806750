"""Laws of reading through to what langchain-community's Cassandra class wrote, with that class and a real node."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid1

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from eventlog.adapters.cassandra_old import first_row_at
from eventlog.adapters.langchain import CassandraChatMessageHistory
from eventlog.adapters.legacy_rows import GREGORIAN_100NS, id_of_row
from eventlog.events import EventId
from tests.adapters.langchain_help import SAMPLES, WAIT_S
from tests.adapters.old_help import old_class
from tests.servers.cassandra_fixtures import Keyspace

TIMES = st.integers(GREGORIAN_100NS, GREGORIAN_100NS + (1 << 54))


def row_at(time: int, node: int = 1) -> UUID:
    """Give a TIMEUUID."""
    return UUID(fields=(time & 0xFFFFFFFF, time >> 32 & 0xFFFF, time >> 48 & 0x0FFF | 0x1000, 0x80, 0, node))


@pytest.fixture
def old(cassandra: Keyspace) -> Any:
    """Give an empty history of the old class."""
    return old_class("cassandra", "CassandraChatMessageHistory")("s", cassandra.session, cassandra.name)


def new(cassandra: Keyspace, **options: Any) -> CassandraChatMessageHistory:
    """Give the same one, one import later."""
    return CassandraChatMessageHistory("s", cassandra.session, cassandra.name, **options)


def texts(messages: list[BaseMessage]) -> list[Any]:
    """Give what is said."""
    return [message.content for message in messages]


def delivered(history: CassandraChatMessageHistory) -> None:
    """Wait until all is in the table."""
    assert history.log.flush(WAIT_S), history.log.status()


@given(TIMES, TIMES)
def test_ids_stand_in_the_order_of_the_rows(first: int, second: int) -> None:
    """To 100 ns, and each is a valid id of its row's millisecond."""
    ids = [id_of_row(row_at(time)) for time in (first, second)]
    assert first == second or (ids[0] < ids[1]) == (first < second)
    assert EventId(bytes(ids[0])).ms == (first - GREGORIAN_100NS) // 10_000
    assert id_of_row(row_at(first)) != id_of_row(row_at(first, node=2))


def test_bound_is_the_first_row_of_its_time() -> None:
    """As TIMEUUIDs have their time."""
    made = uuid1()
    ms = (made.time - GREGORIAN_100NS) // 10_000
    assert first_row_at(ms).time <= made.time < first_row_at(ms + 1).time
    assert first_row_at(ms).version == 1


async def test_old_messages_are_there_from_the_first_read(cassandra: Keyspace, old: Any) -> None:
    """Every kind of message is as the old class reads it, sync and async, and its rows are untouched."""
    old.add_messages(SAMPLES[:-1])
    expected = old.messages
    history = new(cassandra)
    history.add_ai_message("new")
    for _ in range(2):
        assert history.messages == [*expected, AIMessage("new")]
        assert await history.aget_messages() == [*expected, AIMessage("new")]
        delivered(history)
    assert old.messages == expected
    assert len(history.log.history("s").timeline()) == len(SAMPLES)


async def test_first_read_may_be_async(cassandra: Keyspace, old: Any) -> None:
    """An event loop imports as well as a thread does."""
    old.add_user_message("hi")
    assert await new(cassandra).aget_messages() == [HumanMessage("hi")]


def test_old_and_new_programs_side_by_side(cassandra: Keyspace, old: Any) -> None:
    """All stands as it happened; an old clear hides what was old, no more."""
    old.add_user_message("a")
    history = new(cassandra)
    history.add_ai_message("b")
    assert texts(history.messages) == ["a", "b"]
    old.add_user_message("c")
    assert texts(history.messages) == ["a", "b", "c"]
    delivered(history)
    assert texts(history.messages) == ["a", "b", "c"]
    old.clear()
    assert texts(history.messages) == ["b"]
    delivered(history)
    old.add_user_message("d")
    assert texts(history.messages) == ["b", "d"]
    delivered(history)
    assert texts(history.messages) == ["b", "d"]


def test_old_clear_is_seen_though_there_are_rows_again(cassandra: Keyspace, old: Any) -> None:
    """What was imported and is there no more goes, what is new comes."""
    old.add_user_message("a")
    history = new(cassandra)
    assert texts(history.messages) == ["a"]
    old.clear()
    old.add_user_message("b")
    assert texts(history.messages) == ["b"]


def test_clear_removes_the_old_messages_too(cassandra: Keyspace, old: Any) -> None:
    """Hidden at once, gone when it is delivered; what an old program adds afterwards is shown."""
    old.add_user_message("a")
    history = new(cassandra)
    history.clear()
    assert history.messages == []
    old.add_user_message("b")
    assert texts(history.messages) == ["b"]
    delivered(history)
    assert texts(old.messages) == ["b"]
    assert texts(history.messages) == ["b"]


def test_clear_that_retains_keeps_the_old_data_and_hides_it(cassandra: Keyspace, old: Any) -> None:
    """What comes after is shown."""
    old.add_user_message("a")
    history = new(cassandra, retain=timedelta(days=1))
    assert texts(history.messages) == ["a"]
    history.clear()
    delivered(history)
    assert history.messages == []
    assert texts(old.messages) == ["a"]
    old.add_user_message("b")
    assert texts(history.messages) == ["b"]


def test_what_is_left_of_a_rows_lifetime_is_honoured(cassandra: Keyspace) -> None:
    """A message goes when its row does, and the others stay."""
    old = old_class("cassandra", "CassandraChatMessageHistory")
    old("s", cassandra.session, cassandra.name, ttl_seconds=1000).add_user_message("a")
    old("s", cassandra.session, cassandra.name).add_user_message("b")
    history = new(cassandra)
    assert texts(history.messages) == ["a", "b"]
    now_ms = history.log.now_ms()
    history.log.now_ms = lambda: now_ms + 990_000
    assert texts(history.messages) == ["a", "b"]
    history.log.now_ms = lambda: now_ms + 1_001_000
    assert texts(history.messages) == ["b"]


def test_legacy_false_looks_at_nothing_old(cassandra: Keyspace, old: Any) -> None:
    """Neither to show nor to remove it."""
    old.add_user_message("a")
    history = new(cassandra, legacy=False)
    assert history.messages == []
    history.clear()
    delivered(history)
    assert texts(old.messages) == ["a"]


def test_no_old_table_is_no_error_and_none_is_made(cassandra: Keyspace) -> None:
    """Who never had the old class sees nothing of all this."""
    history = new(cassandra, table_name="fresh")
    history.add_user_message("hi")
    assert texts(history.messages) == ["hi"]
    history.clear()
    delivered(history)
    assert [name for name in cassandra.tables() if name.startswith("fresh")] == ["fresh_events"]
