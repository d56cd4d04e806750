"""A server of the test's own, and backends on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rockset import RocksetClient

from eventlog.adapters.rockset import RocksetBackend
from eventlog.adapters.rockset_calls import Place
from tests.servers.rockset import RocksetServer, running_rockset

COLLECTION = "chats"
KEY = "an-api-key-that-nobody-sees"

Make = Callable[..., RocksetBackend]


def client_of(server: RocksetServer, key: str = KEY) -> Any:
    """Give a client as users make it who do not use the service's own hosts."""
    client = RocksetClient(api_key=key)
    client.api_client.configuration.host = server.url
    return client


@pytest.fixture
def server() -> Iterator[RocksetServer]:
    """Give a server with one collection."""
    with running_rockset(COLLECTION, api_key=KEY) as server:
        yield server


@pytest.fixture
def make(server: RocksetServer) -> Iterator[Make]:
    """Give a maker of backends, which are closed with the test."""
    made: list[RocksetBackend] = []

    def one(key: str = KEY, collection: str = COLLECTION, **options: Any) -> RocksetBackend:
        made.append(RocksetBackend(Place(server.url, key), collection, **options))
        return made[-1]

    yield one
    for backend in made:
        backend.close()
