"""The server of ours is honest: the old class works against it, unpatched, and it refuses what the service refuses."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import urllib3
from langchain_core.messages import AIMessage, HumanMessage
from rockset.exceptions import BadRequestException, NotFoundException, UnauthorizedException

from tests.rockset.conftest import COLLECTION, KEY, client_of
from tests.servers.faults import SILENCE
from tests.servers.rockset import RocksetServer, running_rockset
from tests.servers.rockset_store import FIELD_BYTES_MAX


@pytest.fixture
def server() -> Iterator[RocksetServer]:
    """Give a server with one collection."""
    with running_rockset(COLLECTION, api_key=KEY) as server:
        yield server


@pytest.fixture
def client(server: RocksetServer) -> Any:
    """Give a client of it."""
    return client_of(server)


@pytest.fixture
def old() -> Any:
    """Give LangChain's own class."""
    with warnings.catch_warnings(action="ignore"):
        module = pytest.importorskip("langchain_community.chat_message_histories.rocksetdb")
    return module.RocksetChatMessageHistory


@pytest.mark.parametrize("sync", [True, False])
def test_the_old_class_works(server: RocksetServer, client: Any, old: Any, *, sync: bool) -> None:
    """It makes the collection, adds, reads, clears; with `sync` it waits for what is seen later."""
    server.delay_ms = 10 if sync else 0
    history = old("s", client, "new-collection", sync=sync)
    history.add_user_message("hi")
    history.add_messages([AIMessage("hello"), HumanMessage("bye")])
    assert [message.content for message in history.messages] == ["hi", "hello", "bye"]
    assert [message.content for message in old("s", client, "new-collection").messages] == ["hi", "hello", "bye"]
    assert old("other", client, "new-collection").messages == []
    history.clear()
    assert history.messages == []


def test_a_write_is_seen_when_its_delay_is_over_and_not_before(server: RocksetServer, client: Any) -> None:
    """Its offset tells."""
    collection = server.make_collection("slow")
    collection.delay_ms = 60_000
    written = client.Documents.add_documents(collection="slow", data=[{"_id": "a", "n": 1}])
    sql = 'SELECT n FROM "commons"."slow" WHERE _id = :id'
    assert client.sql(sql, params={"id": "a"}).results == []
    assert not client.Collections.get_collection_offsets(collection="slow", name=[written.last_offset]).data["passed"]
    server.advance(timedelta(minutes=2))
    assert client.sql(sql, params={"id": "a"}).results == [{"n": 1}]
    assert client.Collections.get_collection_offsets(collection="slow", name=[written.last_offset]).data["passed"]


def test_what_the_service_refuses_is_refused(server: RocksetServer, client: Any) -> None:
    """By status: the key, the collection, the size of a request and of a field, the rate, what nobody understands."""
    add = client.Documents.add_documents
    with pytest.raises(UnauthorizedException):
        client_of(server, "x").Documents.add_documents(collection=COLLECTION, data=[{}])
    with pytest.raises(NotFoundException):
        add(collection="nowhere", data=[{}])
    with pytest.raises(BadRequestException) as caught:
        add(collection=COLLECTION, data=[{"x": "x" * (10 << 20)}])
    assert caught.value.status == 413
    with pytest.raises(BadRequestException) as caught:
        add(collection=COLLECTION, data=[{"n": number} for number in range(20_001)])
    assert caught.value.status == 400
    assert add(collection=COLLECTION, data=[{"x": "x" * FIELD_BYTES_MAX}]).data[0].status == "ERROR"
    for query in (
        "SELECT a FROM x JOIN y ON x.a = y.a",
        "SELEC",
        "DELETE FROM x",
        "SELECT a FROM x WHERE a = :missing",
    ):
        with pytest.raises(BadRequestException):
            client.sql(query, params={})
    server.calls_max = 0
    with pytest.raises(BadRequestException) as caught:
        add(collection=COLLECTION, data=[{}])
    assert caught.value.status == 429


def test_a_document_replaces_the_one_of_its_id(server: RocksetServer, client: Any) -> None:
    """And the answer says which it was."""
    add = client.Documents.add_documents
    assert add(collection=COLLECTION, data=[{"_id": "a", "n": 1}]).data[0].status == "ADDED"
    assert add(collection=COLLECTION, data=[{"_id": "a", "n": 2}]).data[0].status == "REPLACED"
    found = client.sql(f'SELECT * FROM "commons"."{COLLECTION}"', params={})  # noqa: S608 (a name of ours)
    assert found.results == [{"_id": "a", "n": 2}]
    assert len(server.collections["commons", COLLECTION].seen()) == 1


def test_a_reply_may_be_lost_after_the_write(server: RocksetServer, client: Any) -> None:
    """The caller does not learn what was applied."""
    server.orders.give(SILENCE, call="add", when="after", times=4)
    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.Documents.add_documents(collection=COLLECTION, data=[{"_id": "a"}])
    assert len(server.collections["commons", COLLECTION].seen()) == 1
