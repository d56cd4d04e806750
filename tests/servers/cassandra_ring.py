"""A ring of three nodes, each with a third of the tokens, to be broken and mended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.servers.cassandra_client import cluster_at
from tests.servers.cassandra_node import CassandraNode
from tests.servers.cassandra_shared import make_cassandra

NODES = 3
_TOKENS = [-(2**63) + number * 2**64 // NODES for number in range(NODES)]
_SETTINGS: dict[str, Any] = {
    "num_tokens": 1,
    "auto_bootstrap": False,
    "commitlog_sync": "batch",
    "commitlog_sync_period": None,
    "write_request_timeout": "1000ms",
    "memtable_heap_space": "32MiB",
}
_AGREE_S = 120.0
_POLL_S = 0.1


class Ring:
    """Three nodes; what one acknowledged is on its disk."""

    def __init__(self, nodes: list[CassandraNode]) -> None:
        self.nodes = nodes

    @property
    def addresses(self) -> list[str]:
        """Where clients find it."""
        return [node.address for node in self.nodes]

    def url(self, keyspace: str, **options: object) -> str:
        """Name a keyspace in it."""
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"cassandra://{','.join(self.addresses)}/{keyspace}?{query}"

    def mend(self) -> None:
        """Start those that were killed."""
        dead = [node for node in self.nodes if not node.is_running]
        for node in dead:
            node.begin()
        for node in dead:
            node.wait_until_ready()


@contextmanager
def running_ring() -> Iterator[Ring]:
    """Start the seed, then the others at once; return when all know all."""
    with ExitStack() as servers:
        nodes: list[CassandraNode] = []
        for token in _TOKENS:
            seed = nodes[0] if nodes else None
            nodes.append(make_cassandra(seed=seed, initial_token=str(token), **_SETTINGS))
            servers.callback(nodes[-1].stop)
        nodes[0].start()
        for node in nodes[1:]:
            node.begin()
        for node in nodes[1:]:
            node.wait_until_ready()
        _wait_until_agreed(nodes)
        yield Ring(nodes)


def _wait_until_agreed(nodes: list[CassandraNode]) -> None:
    deadline = time.monotonic() + _AGREE_S
    for node in nodes:
        while True:
            with cluster_at(node.address) as cluster:
                cluster.connect()
                known = [host for host in cluster.metadata.all_hosts() if host.is_up]
                ring = cluster.metadata.token_map
                if len(known) == NODES and ring is not None and len(ring.ring) == NODES:
                    break
            assert time.monotonic() < deadline, f"expected {NODES} nodes, found {known}"
            time.sleep(_POLL_S)
