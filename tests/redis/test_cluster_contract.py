"""The Redis adapter keeps the contract on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from redis.cluster import RedisCluster

from eventlog.adapters import from_url
from eventlog.adapters.redis import RedisBackend
from eventlog.demo.server import hold_port
from tests.contract.redis_laws import RedisLaws
from tests.contract.suite import PASSWORD
from tests.servers.redis_fleet import Cluster


class TestCluster(RedisLaws):
    """The contract, on three shards and a client of the user's own."""

    @pytest.fixture
    def client(self, cluster: Cluster) -> Iterator[RedisCluster]:
        """Give a client that finds all nodes."""
        with RedisCluster.from_url(cluster.url) as client:
            client.keys = partial(client.keys, target_nodes=RedisCluster.PRIMARIES)
            yield client

    @pytest.fixture
    def backend(self, client: RedisCluster) -> Iterator[RedisBackend]:
        """Give the adapter."""
        backend = RedisBackend(client)
        yield backend
        backend.close()

    @pytest.fixture
    def unreachable(self) -> Iterator[RedisBackend]:
        """Give one none of whose nodes is there."""
        ports, holders = zip(*(hold_port() for _ in range(2)), strict=True)
        backend = from_url(f"redis+cluster://user:{PASSWORD}@127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}")
        assert isinstance(backend, RedisBackend)
        yield backend
        for holder in holders:
            holder.close()
