"""The server of ours is honest: the old class works against it, unpatched, and it refuses what the service refuses."""

from __future__ import annotations

import warnings
from datetime import timedelta
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from momento import CacheClient, Configurations, CredentialProvider
from momento.errors import MomentoErrorCode, SdkException
from momento.requests import CollectionTtl, SortOrder

from tests.momento.conftest import CACHE, KEY, client_of
from tests.servers.faults import Fault
from tests.servers.momento import HOST, MomentoServer, running_momento
from tests.servers.momento_store import ELEMENT_BYTES_MAX, ITEM_BYTES_MAX

HOUR = timedelta(hours=1)


@pytest.fixture
def server() -> Any:
    """Give a server with one cache."""
    with running_momento(CACHE, api_key=KEY) as server:
        yield server


@pytest.fixture
def client(server: MomentoServer) -> CacheClient:
    """Give a client of it."""
    return client_of(server)


@pytest.fixture
def old() -> Any:
    """Give LangChain's own class."""
    with warnings.catch_warnings(action="ignore"):
        module = pytest.importorskip("langchain_community.chat_message_histories.momento")
    return module.MomentoChatMessageHistory


def test_the_old_class_works(server: MomentoServer, client: CacheClient, old: Any) -> None:
    """It makes the cache, adds, reads, clears, and its list slides."""
    history = old("s", client, "new-cache", ttl=HOUR)
    history.add_user_message("hi")
    history.add_messages([AIMessage("hello"), HumanMessage("bye")])
    server.advance(HOUR * 0.9)
    history.add_user_message("still")
    server.advance(HOUR * 0.9)
    assert [message.content for message in history.messages] == ["hi", "hello", "bye", "still"]
    server.advance(HOUR)
    assert history.messages == []
    history.add_user_message("again")
    history.clear()
    assert old("s", client, "new-cache").messages == []


def test_the_old_class_has_the_faults_that_ours_has_not(server: MomentoServer, client: CacheClient, old: Any) -> None:
    """A write that was applied and not acknowledged, and then tried again, is there twice."""
    history = old("s", client, CACHE)
    server.orders.give(Fault("UNAVAILABLE"), call="ListPushBack", when="after")
    with pytest.raises(SdkException):
        history.add_user_message("hi")
    history.add_user_message("hi")
    assert len(history.messages) == 2


def code_of(response: Any) -> MomentoErrorCode:
    """Give what a call was refused with."""
    code: MomentoErrorCode = response.error_code
    return code


def test_what_the_service_refuses_is_refused(server: MomentoServer, client: CacheClient) -> None:
    """By the SDK's own codes: the key, the cache, the type, the element, the item, the TTL, the rate."""
    stranger = CacheClient(Configurations.Laptop.v1(), CredentialProvider("x", HOST, HOST, HOST, server.port), HOUR)
    put: Any = client.sorted_set_put_elements
    assert code_of(stranger.list_fetch(CACHE, "l")) == MomentoErrorCode.AUTHENTICATION_ERROR
    assert code_of(client.list_fetch("nowhere", "l")) == MomentoErrorCode.NOT_FOUND_ERROR
    client.list_push_back(CACHE, "l", "x")
    assert code_of(put(CACHE, "l", {"x": 1.0})) == MomentoErrorCode.FAILED_PRECONDITION_ERROR
    large = "x" * (ELEMENT_BYTES_MAX + 1)
    assert "Element size" in put(CACHE, "z", {large: 1.0}).inner_exception.message_wrapper
    number = ITEM_BYTES_MAX // ELEMENT_BYTES_MAX
    for at in range(number):
        assert not hasattr(put(CACHE, "z", {f"{at:03}" + "x" * (ELEMENT_BYTES_MAX - 3): 1.0}), "error_code")
    over = put(CACHE, "z", {"y" * ELEMENT_BYTES_MAX: 1.0})
    assert "Item size" in over.inner_exception.message_wrapper
    too_long = put(CACHE, "t", {"x": 1.0}, ttl=CollectionTtl.of(timedelta(hours=25)))
    assert code_of(too_long) == MomentoErrorCode.INVALID_ARGUMENT_ERROR
    server.calls_max = 0
    assert code_of(put(CACHE, "t", {"x": 1.0})) == MomentoErrorCode.LIMIT_EXCEEDED_ERROR
    server.calls_max = None
    assert code_of(client.dictionary_fetch(CACHE, "d")) == MomentoErrorCode.BAD_REQUEST_ERROR


def test_a_sorted_set_is_ordered_by_score_and_then_by_value(client: CacheClient) -> None:
    """Descending is the same order backwards; a put again changes a score and adds nothing."""
    client.sorted_set_put_elements(CACHE, "z", {"b": 1.0, "a": 1.0, "c": 0.0, "d": 2.0})
    client.sorted_set_put_elements(CACHE, "z", {"c": 3.0, "d": 2.0})
    found: Any = client.sorted_set_fetch_by_score(CACHE, "z")
    assert [value for value, _ in found.value_list_string] == ["a", "b", "d", "c"]
    back: Any = client.sorted_set_fetch_by_score(CACHE, "z", 1.0, 2.0, SortOrder.DESCENDING, 1, 2)
    assert [value for value, _ in back.value_list_string] == ["b", "a"]
    rank: Any = client.sorted_set_fetch_by_rank(CACHE, "z", -2, None)
    assert [value for value, _ in rank.value_list_string] == ["d", "c"]


def test_a_write_renews_a_collection_to_more_and_to_less(server: MomentoServer, client: CacheClient) -> None:
    """Unless it is told not to: then the TTL of the first one stays."""
    cache = server.caches[CACHE]
    for ttl, lives in (
        (CollectionTtl.of(HOUR), HOUR),
        (CollectionTtl.of(HOUR / 2), HOUR / 2),
        (CollectionTtl.of(HOUR).with_no_refresh_ttl_on_updates(), HOUR / 2),
    ):
        client.sorted_set_put_elements(CACHE, "z", {"a": 1.0}, ttl=ttl)
        assert abs(cache.ttl_ms(b"z") - lives.total_seconds() * 1000) < 5000
