"""The Redis adapter keeps the contract on fakeredis: what most of its users' own tests run on."""

from __future__ import annotations

import fakeredis
import pytest

from eventlog.adapters.redis import RedisBackend
from tests.contract.redis_laws import RedisLaws
from tests.contract.suite import ALL, PASSWORD, messages


class TestFakeRedis(RedisLaws):
    """A server in this process for each test."""

    @pytest.fixture
    def server(self) -> fakeredis.FakeServer:
        """Give an empty one."""
        return fakeredis.FakeServer()

    @pytest.fixture
    def client(self, server: fakeredis.FakeServer) -> fakeredis.FakeRedis:
        """Give a client of it."""
        return fakeredis.FakeRedis(server=server)

    @pytest.fixture
    def backend(self, client: fakeredis.FakeRedis) -> RedisBackend:
        """Give the adapter."""
        return RedisBackend(client)

    @pytest.fixture
    def unreachable(self) -> RedisBackend:
        """Give one whose server is disconnected."""
        server = fakeredis.FakeServer()
        server.connected = False
        return RedisBackend(fakeredis.FakeRedis(server=server, username="user", password=PASSWORD))

    def test_a_client_that_decodes_changes_nothing(self, server: fakeredis.FakeServer) -> None:
        """Bodies are bytes, whatever its owner wants of it."""
        backend = RedisBackend(fakeredis.FakeRedis(server=server, decode_responses=True))
        backend.append({"s": messages(2)})
        assert backend.read("s", limit=ALL) == messages(2)
        assert list(backend.sessions()) == ["s"]
