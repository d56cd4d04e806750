"""Redis as fleets run it, as tests ask for it: a cluster, and a master with a replica that sentinels watch."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import redis
from redis.crc import key_slot

from eventlog.demo_server import HOST, RedisServer, ServerMissing, hold_port
from tests.servers.missing import missing_server
from tests.servers.redis_server import make_redis
from tests.servers.waiting import until

NODE_TIMEOUT_MS = 500
SERVICE = "mymaster"
SLOTS = 16384


def tell(server: RedisServer, *words: object) -> object:
    """Say one command to one server, as its administrator."""
    with redis.Redis.from_url(server.url, protocol=2, socket_timeout=5) as client:
        return client.execute_command(*words)


def role(server: RedisServer) -> str:
    """Tell what a server takes itself for: master or slave."""
    with redis.Redis.from_url(server.url, socket_timeout=5) as client:
        return str(client.info("replication")["role"])


class Cluster:
    """Nodes of one cluster: each shard is a primary and its replicas."""

    def __init__(self, shards: int, replicas: int, *extra: str) -> None:
        """Hold the ports of its bus; nothing runs."""
        self._buses = [hold_port() for _ in range(shards * (1 + replicas))]
        self.nodes = [self._node(bus, *extra) for bus, _ in self._buses]
        self.primaries, self.replicas = self.nodes[:shards], self.nodes[shards:]

    def _node(self, bus: int, *extra: str) -> RedisServer:
        options = ["--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT_MS)]
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
        return self

    def knows(self, node: RedisServer, number: int) -> bool:
        """Tell whether a node has met that many, itself included."""
        return f"cluster_known_nodes:{number}\r" in self._info(node)

    def _info(self, node: RedisServer) -> str:
        with redis.Redis.from_url(node.url, socket_timeout=5) as client:
            return "".join(f"{name}:{value}\r\n" for name, value in client.execute_command("CLUSTER INFO").items())

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

    def owner(self, slot: int) -> RedisServer:
        """Give the node that serves a slot, in the eyes of most of those that run."""
        votes: dict[int, int] = {}
        for node in self.nodes:
            if node._process is not None:
                for first, last, (_, port, *_), *_ in tell(node, "CLUSTER", "SLOTS"):  # type: ignore[attr-defined]
                    if first <= slot <= last:
                        votes[port] = votes.get(port, 0) + 1
        port = max(votes, key=lambda found: votes[found])
        return next(node for node in self.nodes if node.port == port)

    def owner_of(self, session: str) -> RedisServer:
        """Give the node that serves a session."""
        return self.owner(key_slot(b"{" + session.encode() + b"}"))

    def sessions_on(self, node: RedisServer, number: int) -> list[str]:
        """Give ids of sessions that a node serves."""
        names = (f"session-{count}" for count in range(100 * number * len(self.primaries)))
        return [name for name in names if self.owner_of(name) is node][:number]

    def flush(self) -> None:
        """Remove every key."""
        for node in self.nodes:
            if node._process is not None and role(node) == "master":
                tell(node, "FLUSHALL")

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


class SentinelServer(RedisServer):
    """A sentinel that watches a master and is quick to act."""

    def __init__(self, master: RedisServer, *lines: str, port: int | None = None) -> None:
        """Name the master; `lines` are more of its configuration, `port` is where the master is reached."""
        super().__init__()
        self._lines = [
            f"sentinel monitor {SERVICE} {HOST} {port or master.port} 1",
            f"sentinel down-after-milliseconds {SERVICE} 300",
            f"sentinel failover-timeout {SERVICE} 2000",
            *lines,
        ]
        if master.password:
            self._lines.append(f'sentinel auth-pass {SERVICE} "{master.password}"')

    def start(self) -> Self:
        """Write its configuration, start it and return when it answers."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="eventlog-sentinel-"))
            atexit.register(self.stop)
            configuration = self._folder / "sentinel.conf"
            configuration.write_text("\n".join([f"bind {HOST}", *self._lines, ""]))
            self._options = [str(configuration), "--sentinel"]
        super().start()
        # the periods of its work are for data centres; these are for a test
        tell(self, "SENTINEL", "DEBUG", "info-period", 100, "ask-period", 50, "publish-period", 100)
        return self


class Guarded:
    """A master, its replica and a sentinel."""

    def __init__(self, *extra: str, password: str | None = None) -> None:
        """Make them; nothing runs."""
        options = ["--masterauth", password] if password else []
        self.master = make_redis(*options, *extra, password=password, durable=True)
        self.replica = make_redis(*extra, password=password, replica_of=self.master)
        self._servers = ExitStack()

    def start(self) -> Self:
        """Start them and wait until the sentinel knows the replica."""
        for server in (self.master, self.replica):
            self._servers.enter_context(server)
        self.sentinel = self._servers.enter_context(SentinelServer(self.master))
        until(lambda: role(self.replica) == "slave" and self._counted() == 1)
        return self

    def _counted(self) -> int:
        found = tell(self.sentinel, "SENTINEL", "REPLICAS", SERVICE)
        assert isinstance(found, list)
        ready = [one for one in found if isinstance(one, dict) and one.get("master-link-status") == "ok"]
        return len(ready) if found and isinstance(found[0], dict) else len(found)

    @property
    def url(self) -> str:
        """Where clients find it."""
        who = self.master.url.partition("//")[2].partition("@")[0] + "@" if self.master.password else ""
        return f"redis+sentinel://{who}{HOST}:{self.sentinel.port}/{SERVICE}"

    def named(self) -> int:
        """Give the port of the master that the sentinel names."""
        found = tell(self.sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        assert isinstance(found, (list, tuple))
        return int(found[1])

    def stop(self) -> None:
        """End all of it."""
        self._servers.close()


@contextmanager
def running_guarded(*extra: str, password: str | None = None) -> Iterator[Guarded]:
    """Give a guarded master."""
    try:
        guarded = Guarded(*extra, password=password)
    except ServerMissing as error:
        missing_server(str(error))
    try:
        yield guarded.start()
    finally:
        guarded.stop()
