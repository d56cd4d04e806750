"""Sessions of any length, read newest first and page by page, with and without an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from langchain_core.messages import HumanMessage

import eventlog
from eventlog.adapters import cassandra_reads, from_url
from eventlog.adapters.cassandra import CassandraBackend
from eventlog.adapters.langchain import CassandraChatMessageHistory
from tests.adapters.conftest import _own_logs
from tests.contract.suite import ALL, messages
from tests.servers.cassandra_fixtures import Keyspace

__all__ = ["_own_logs"]

LONG = 20_000
CLEARS = 2000


@pytest.fixture
def backend(cassandra: Keyspace) -> Iterator[CassandraBackend]:
    """Give the adapter."""
    backend = from_url(cassandra.url)
    assert isinstance(backend, CassandraBackend)
    yield backend
    backend.close()


def limits_asked(backend: CassandraBackend) -> Any:
    """Write down the limit of each page that is asked for."""
    asked: list[int] = []
    read = backend.read

    def noted(session: str, *, before: bytes | None = None, limit: int) -> list[bytes]:
        asked.append(limit)
        return read(session, before=before, limit=limit)

    return asked, patch.object(backend, "read", noted)


async def test_long_session_is_read_whole(cassandra: Keyspace, tmp_path: Path) -> None:
    """Many times the driver's page, sync and async, as plain values and as LangChain messages."""
    history = CassandraChatMessageHistory("s", cassandra.session, cassandra.name, "eventlog", journal=tmp_path / "j")
    said = [HumanMessage(f"text {number}") for number in range(LONG)]
    history.add_messages(said)
    assert history.log.flush(30)
    found: Any = await history.aget_messages()
    assert (found == said, found.complete) == (True, True)
    assert await asyncio.gather(*(history.aget_messages() for _ in range(3))) == [said] * 3
    chat = history.log.history("s")
    assert len(await chat.amessages()) == len(chat.messages()) == LONG
    assert [message["content"] for message in await chat.amessages(last=3)] == [one.content for one in said[-3:]]


async def test_pages_of_the_driver_fit_together(backend: CassandraBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the limit is, a multiple of the page or not, below a bound or not."""
    monkeypatch.setattr(cassandra_reads, "PAGE_ROWS", 10)
    records = messages(95)
    backend.append({"s": records})
    for limit in (9, 10, 11, 20, 94, 95, 96, ALL):
        assert backend.read("s", limit=limit) == records[-limit:] == await backend.aread("s", limit=limit)
        below = records[:50][-limit:]
        assert backend.read("s", before=records[50][:16], limit=limit) == below
        assert await backend.aread("s", before=records[50][:16], limit=limit) == below


async def test_session_is_read_as_it_was_at_a_time(cassandra: Keyspace, tmp_path: Path) -> None:
    """A time is no UUIDv7, and Cassandra sorts UUIDs by their version first."""
    with eventlog.open(cassandra.url, journal=tmp_path / "j") as log:
        chat = log.history("s")
        ids: list[eventlog.EventId] = []
        for number in range(3):
            moment = ids[-1].time if ids else datetime.now(UTC)
            while datetime.now(UTC) < moment + timedelta(milliseconds=2):
                pass
            ids.append(chat.add(number))
        assert log.flush(20)
        for number, event_id in enumerate(ids):
            assert chat.messages(as_of=event_id.time) == list(range(number + 1))
            assert await chat.amessages(as_of=event_id) == list(range(number + 1))
        assert chat.messages(as_of=ids[0].time - timedelta(seconds=1)) == []
        assert chat.messages(as_of=ids[0].time).complete


async def test_read_that_is_given_up_harms_no_later_one(backend: CassandraBackend) -> None:
    """A task that is cancelled between two pages leaves nothing behind."""
    records = messages(5000)
    backend.append({"s": records})
    for _ in range(5):
        task = asyncio.create_task(backend.aread("s", limit=ALL))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await backend.aread("s", limit=ALL) == records


def test_backend_serves_several_event_loops(backend: CassandraBackend) -> None:
    """One after the other, each with futures of its own."""
    backend.append({"s": messages(3)})
    for _ in range(3):
        assert asyncio.run(backend.aread("s", limit=ALL)) == messages(3)


@pytest.mark.parametrize("retain", [timedelta(0), timedelta(days=1)])
def test_session_cleared_many_times_costs_one_small_page(
    backend: CassandraBackend, tmp_path: Path, retain: timedelta
) -> None:
    """Its newest clear ends the read, whatever lies below."""
    asked, noting = limits_asked(backend)
    with eventlog.open(backend, journal=tmp_path / "j", retain=retain) as log:
        chat = log.history("s")
        for number in range(CLEARS):
            chat.add(number)
            chat.clear()
        chat.add_many(["a", "b"])
        assert log.flush(60)
        with noting:
            assert chat.messages(last=20) == ["a", "b"] == chat.messages()
            assert chat.messages().complete
    assert asked
    assert max(asked) <= backend.page_events
    assert len(asked) == 3
