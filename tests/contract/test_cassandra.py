"""The Cassandra adapter keeps the contract on a real node."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eventlog.adapters import from_url
from eventlog.adapters.cassandra import CassandraBackend
from tests.contract.suite import PASSWORD, ServerContract
from tests.core.records import NOON_MS
from tests.servers.cassandra_fixtures import Keyspace
from tests.servers.cassandra_node import free_address


class TestCassandra(ServerContract):
    """An empty table of the shared node for each test; by the clock that it is given nothing is expired yet."""

    @pytest.fixture
    def backend(self, cassandra: Keyspace) -> Iterator[CassandraBackend]:
        """Give the adapter."""
        backend = CassandraBackend(cassandra.session, cassandra.name, now_ms=lambda: NOON_MS)
        yield backend
        backend.close()

    @pytest.fixture
    def unreachable(self) -> CassandraBackend:
        """Give one where nobody listens."""
        backend = from_url(f"cassandra://user:{PASSWORD}@{free_address()}/chats")
        assert isinstance(backend, CassandraBackend)
        return backend
