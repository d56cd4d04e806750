"""A server of the test's own, and backends on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from momento import CacheClient, Configurations, CredentialProvider

from eventlog.adapters.momento import MomentoBackend
from tests.servers.momento import HOST, MomentoServer, running_momento

CACHE = "chats"
KEY = "an-api-key-that-nobody-sees"

Make = Callable[..., MomentoBackend]


def credentials_of(server: MomentoServer, key: str = KEY) -> CredentialProvider:
    """Give what clients of a server are made of."""
    return CredentialProvider(key, HOST, HOST, HOST, server.port)


def client_of(server: MomentoServer) -> CacheClient:
    """Give a client as a user makes it."""
    return CacheClient(Configurations.Laptop.v1(), credentials_of(server), timedelta(hours=1))


@pytest.fixture
def server() -> Iterator[MomentoServer]:
    """Give a server with one cache."""
    with running_momento(CACHE, api_key=KEY) as server:
        yield server


@pytest.fixture
def make(server: MomentoServer) -> Iterator[Make]:
    """Give a maker of backends, which are closed with the test."""
    made: list[MomentoBackend] = []

    def one(key: str = KEY, cache: str = CACHE, **options: object) -> MomentoBackend:
        made.append(MomentoBackend(credentials_of(server, key), cache, **options))  # type: ignore[arg-type]
        return made[-1]

    yield one
    for backend in made:
        backend.close()
