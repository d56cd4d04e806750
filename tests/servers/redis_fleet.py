"""A cluster of Redis servers, as tests ask for it, and what they ask of any server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import redis
from redis.crc import key_slot

from eventlog.demo.server import HOST, RedisServer, hold_port
from tests.servers.redis_server import make_redis
from tests.servers.waiting import until

HASTY_MS, PATIENT_MS = 500, 15_000
"""After how long without a word nodes take each other for dead; the haste is for when a test waits for that."""
SLOTS = 16384


def tell(server: RedisServer, *words: object) -> object:
    """Say one command to one server, as its administrator."""
    with redis.Redis.from_url(server.url, protocol=2, socket_timeout=5) as client:
        return client.execute_command(*words)


def slot_of(session: str) -> int:
    """Give the slot of a session whose id needs no escape."""
    return int(key_slot(b"{" + session.encode() + b"}"))


def role(server: RedisServer) -> str:
    """Tell what a server takes itself for, master or slave; nothing while it does not say."""
    try:
        with redis.Redis.from_url(server.url, socket_timeout=5) as client:
            return str(client.info("replication")["role"])
    except redis.ConnectionError:
        return ""


def connections(server: RedisServer) -> int:
    """Count the clients of a server, but for the one that asks."""
    found = tell(server, "CLIENT", "LIST", "TYPE", "normal")
    assert isinstance(found, bytes)
    return len(found.splitlines()) - 1


def has_all_of(replica: RedisServer, primary: RedisServer) -> bool:
    """Tell whether a replica has everything that its primary took."""
    with redis.Redis.from_url(replica.url, socket_timeout=5) as client:
        theirs = client.info("replication")
    with redis.Redis.from_url(primary.url, socket_timeout=5) as client:
        ours = client.info("replication")
    up = theirs["role"] == "slave" and theirs["master_link_status"] == "up"
    return bool(up and theirs["slave_repl_offset"] == ours["master_repl_offset"])


class Move:
    """One slot on its way from one node to another, key by key, as a rebalancing does it."""

    def __init__(self, cluster: Cluster, session: str, source: RedisServer, target: RedisServer) -> None:
        """Name the slot by a session in it."""
        self._cluster, self._source, self._target = cluster, source, target
        self._slot = slot_of(session)

    def begin(self) -> Self:
        """Tell both nodes."""
        tell(self._target, "CLUSTER", "SETSLOT", self._slot, "IMPORTING", self._cluster.id(self._source))
        tell(self._source, "CLUSTER", "SETSLOT", self._slot, "MIGRATING", self._cluster.id(self._target))
        return self

    def keys(self, session: str, ending: bytes = b"") -> None:
        """Move the keys of a session."""
        found = tell(self._source, "CLUSTER", "GETKEYSINSLOT", self._slot, 100)
        assert isinstance(found, list)
        for key in found:
            assert session.encode() in key
            if key.endswith(ending):
                tell(self._source, "MIGRATE", HOST, self._target.port, key, 0, 5000)

    def finish(self) -> None:
        """Make the target the owner, and wait until all know."""
        for node in (self._target, self._source):
            tell(node, "CLUSTER", "SETSLOT", self._slot, "NODE", self._cluster.id(self._target))
        until(lambda: self._cluster.owners(self._slot) == {self._target.port})


class Cluster:
    """Nodes of one cluster: each shard is a primary and its replicas."""

    def __init__(self, shards: int, replicas: int, *extra: str) -> None:
        """Hold the ports of its bus; nothing runs."""
        self._buses = [hold_port() for _ in range(shards * (1 + replicas))]
        self.nodes = [self._node(bus, *extra) for bus, _ in self._buses]
        self.primaries, self.replicas = self.nodes[:shards], self.nodes[shards:]

    def _node(self, bus: int, *extra: str) -> RedisServer:
        options = ["--cluster-enabled", "yes", "--cluster-node-timeout", str(HASTY_MS)]
        options += ["--cluster-port", str(bus), "--cluster-replica-validity-factor", "0"]
        return make_redis(*options, *extra)

    @property
    def url(self) -> str:
        """Where clients find one of its nodes."""
        return self.primaries[0].url

    def start(self) -> Self:
        """Start the nodes, bring them together and wait until each takes commands."""
        for node in self.nodes:
            node.start()
        for number, node in enumerate(self.primaries):
            tell(node, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            first, end = (SLOTS * part // len(self.primaries) for part in (number, number + 1))
            tell(node, "CLUSTER", "ADDSLOTSRANGE", first, end - 1)
        for node in self.nodes[1:]:
            tell(node, "CLUSTER", "MEET", HOST, self.nodes[0].port, self._buses[0][0])
        until(lambda: all(self.knows(node, len(self.nodes)) for node in self.nodes))
        for number, replica in enumerate(self.replicas):
            tell(replica, "CLUSTER", "REPLICATE", self.id(self.primaries[number % len(self.primaries)]))
        self.wait()
        self.hurry(hasty=False)
        return self

    def hurry(self, *, hasty: bool = True) -> None:
        """Have nodes take each other for dead soon, or not even on a busy machine."""
        for node in self.nodes:
            tell(node, "CONFIG", "SET", "cluster-node-timeout", HASTY_MS if hasty else PATIENT_MS)

    def knows(self, node: RedisServer, number: int) -> bool:
        """Tell whether a node has met that many, itself included."""
        return f"cluster_known_nodes:{number}\r" in self._info(node)

    def _info(self, node: RedisServer) -> str:
        with redis.Redis.from_url(node.url, socket_timeout=5) as client:
            told: Any = client.execute_command("CLUSTER INFO")
            return "".join(f"{name}:{value}\r\n" for name, value in told.items())

    def id(self, node: RedisServer) -> str:
        """Give the name that the cluster has for a node."""
        found = tell(node, "CLUSTER", "MYID")
        return found.decode() if isinstance(found, bytes) else str(found)

    def wait(self) -> None:
        """Wait until all that run take commands and every replica has its data."""
        running = [node for node in self.nodes if node._process is not None]
        until(lambda: all("cluster_state:ok\r" in self._info(node) for node in running))
        until(lambda: all(self._synced(node) for node in running))

    def _synced(self, node: RedisServer) -> bool:
        with redis.Redis.from_url(node.url, socket_timeout=5) as client:
            found = client.info("replication")
        return bool(found["role"] == "master" or found["master_link_status"] == "up")

    def owners(self, slot: int) -> set[int]:
        """Give the ports of those that serve a slot, in the eyes of the nodes that run."""
        running = [node for node in self.nodes if node._process is not None]
        return {port for node in running for first, last, port in self._ranges(node) if first <= slot <= last}

    def _ranges(self, node: RedisServer) -> list[tuple[int, int, int]]:
        found = tell(node, "CLUSTER", "SLOTS")
        assert isinstance(found, list)
        return [(first, last, port) for first, last, (_, port, *_), *_ in found]

    def owner_of(self, session: str) -> RedisServer:
        """Give the node that serves a session."""
        (port,) = self.owners(slot_of(session))
        return next(node for node in self.nodes if node.port == port)

    def of(self, node: RedisServer, sessions: Iterable[str]) -> set[str]:
        """Give those sessions that a node serves, as it says."""
        ranges = [(first, last) for first, last, port in self._ranges(node) if port == node.port]
        return {name for name in sessions if any(first <= slot_of(name) <= last for first, last in ranges)}

    def sessions_on(self, node: RedisServer, number: int) -> list[str]:
        """Give ids of sessions that a node serves."""
        names = [f"session-{count}" for count in range(100 * number)]
        return sorted(self.of(node, names))[:number]

    def flush(self) -> None:
        """Remove every key."""
        for node in self.nodes:
            if node._process is not None and role(node) == "master":
                tell(node, "FLUSHALL")

    def serves(self, node: RedisServer) -> bool:
        """Tell whether a node takes commands, as it says."""
        return "cluster_state:ok\r" in self._info(node)

    @contextmanager
    def moving(
        self, session: str, source: RedisServer, target: RedisServer, *, give_back: bool = True
    ) -> Iterator[Move]:
        """Begin to move the slot of a session; it is given back in the end."""
        yield Move(self, session, source, target).begin()
        if give_back:
            self.give(session, self.owner_of(session), source)

    def give(self, session: str, source: RedisServer, target: RedisServer) -> None:
        """Move the slot of a session at once."""
        if source is not target:
            move = Move(self, session, source, target).begin()
            move.keys(session)
            move.finish()

    def mend(self) -> None:
        """Bring back what a test broke: every node runs, and every slot has an owner."""
        for node in self.nodes:
            if node._process is None:
                node.start()
            node.thaw()
        self.wait()
        self.hurry(hasty=False)

    def stop(self) -> None:
        """End all of it."""
        for node in self.nodes:
            node.stop()
        for _, holder in self._buses:
            holder.close()


@contextmanager
def running_cluster(shards: int = 3, replicas: int = 0, *extra: str) -> Iterator[Cluster]:
    """Give a cluster that takes commands."""
    cluster = Cluster(shards, replicas, *extra)
    try:
        yield cluster.start()
    finally:
        cluster.stop()
