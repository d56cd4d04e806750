"""Room: where a Redis store is and how to connect to it, learned from a client that somebody else owns.

Rules:
* The given client is only asked where it connects to and how; its connections are its owner's. So a fork, a closed
  client, `decode_responses`, its protocol or a retry policy of theirs do not reach us.
* `identity` has no credentials and no order of hosts: a URL and an object that mean the same store have the same one.
* Nothing here asks a server. Whether a plain address belongs to a cluster is found out at the first use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from inspect import iscoroutinefunction, signature
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.sentinel
from redis.backoff import NoBackoff
from redis.retry import Retry

from eventlog.errors import ConfigurationError

Address = tuple[str, int]
Options = dict[str, Any]

SENTINEL_TIMEOUT_S = 1.0
CONNECTIONS_MAX = 1 << 16
"""A thread has one at most."""
_NOT_OURS = frozenset(
    {"retry", "retry_on_error", "retry_on_timeout", "health_check_interval", "event_dispatcher", "connection_pool"}
    | {"decode_responses", "encoding", "encoding_errors", "protocol", "legacy_responses", "parser_class"}
    | {"cache", "cache_config", "himport_registry", "oss_cluster_maint_notifications_handler"}
    | {"maint_notifications_config", "maint_notifications_pool_handler", "maintenance_notification_hash"}
    | {"maintenance_state", "orig_host_address", "orig_socket_timeout", "orig_socket_connect_timeout"}
)
_sentinels: Any = redis.sentinel
_async_sentinels: Any = redis.asyncio.sentinel
_ASYNC_TWINS: dict[type, Any] = {
    redis.Connection: redis.asyncio.Connection,
    redis.SSLConnection: redis.asyncio.SSLConnection,
    redis.UnixDomainSocketConnection: redis.asyncio.UnixDomainSocketConnection,
}


@dataclass(frozen=True)
class Place:
    """One server or the cluster that it belongs to; with `seeds` a cluster for sure."""

    identity: str
    kind: type[Any]
    options: Options = field(repr=False)
    seeds: tuple[Address, ...] = ()
    remap: Callable[[Address], Address] | None = None

    @property
    def may_be_cluster(self) -> bool:
        """Tell whether the server is to be asked if it belongs to a cluster."""
        return not self.seeds and "path" not in self.options

    @property
    def address(self) -> Address:
        """The one server."""
        return self.options.get("host", "localhost"), self.options.get("port", 6379)

    @property
    def async_kind(self) -> Any:
        """The asyncio class that connects as `kind` does, if there is one."""
        return _ASYNC_TWINS.get(self.kind)

    @cached_property
    def async_options(self) -> Options | None:
        """The options as asyncio's classes take them; None where they have no such class, or lack one that is used."""
        kind = self.async_kind
        known = {name for base in getattr(kind, "__mro__", ()) for name in signature(base.__init__).parameters}
        options = {name: value for name, value in self.options.items() if name in known or value not in (None, False)}
        return options if kind is not None and set(options) <= known else None

    @property
    def reads_async(self) -> bool:
        """Tell whether asyncio can do all that `kind` does."""
        return self.async_options is not None

    def pool(self, address: Address | None, timeout_s: float, connect_timeout_s: float) -> Any:
        """Make a pool of connections to the place, or to one node of it."""
        return redis.ConnectionPool(self.kind, **self._for_pool(address, timeout_s, connect_timeout_s))

    def async_pool(self, address: Address | None, timeout_s: float, connect_timeout_s: float) -> Any:
        """Do as `pool`, for one event loop."""
        return redis.asyncio.ConnectionPool(self.async_kind, **self._for_loop(address, timeout_s, connect_timeout_s))

    def _for_pool(self, address: Address | None, timeout_s: float, connect_timeout_s: float) -> Options:
        where = {} if address is None else {"host": address[0], "port": address[1]}
        ours = {"socket_timeout": timeout_s, "socket_connect_timeout": connect_timeout_s, "protocol": 2}
        return {**self.options, **where, **ours, "retry": Retry(NoBackoff(), 0), "max_connections": CONNECTIONS_MAX}

    def _for_loop(self, address: Address | None, timeout_s: float, connect_timeout_s: float) -> Options:
        options = self._for_pool(address, timeout_s, connect_timeout_s) | {"retry": _no_async_retry()}
        left_out = self.options.keys() - (self.async_options or {}).keys()
        return {name: value for name, value in options.items() if name not in left_out}


@dataclass(frozen=True)
class GuardedPlace(Place):
    """The master that sentinels name; they are asked whenever a connection is made."""

    service: str = ""
    sentinels: tuple[Place, ...] = ()
    others_min: int = 0

    @property
    def may_be_cluster(self) -> bool:
        """Tell that a cluster has no sentinels."""
        return False

    @property
    def async_kind(self) -> Any:
        """The asyncio class that connects as `kind` does."""
        return _managed(_async_sentinels, with_tls=issubclass(self.kind, redis.SSLConnection))

    @property
    def reads_async(self) -> bool:
        """Tell whether asyncio can do all that `kind` does, for sentinels too."""
        return super().reads_async and all(guard.reads_async for guard in self.sentinels)

    def pool(self, address: Address | None, timeout_s: float, connect_timeout_s: float) -> Any:
        """Make a pool of connections to whoever is the master."""
        guards = _sentinels.Sentinel([], self.others_min)
        pools = [guard.pool(None, SENTINEL_TIMEOUT_S, SENTINEL_TIMEOUT_S) for guard in self.sentinels]
        guards.sentinels = [redis.Redis(connection_pool=pool) for pool in pools]
        options = self._for_pool(address, timeout_s, connect_timeout_s)
        return _sentinels.SentinelConnectionPool(self.service, guards, connection_class=self.kind, **options)

    def async_pool(self, address: Address | None, timeout_s: float, connect_timeout_s: float) -> Any:
        """Do as `pool`, for one event loop."""
        guards = _async_sentinels.Sentinel([], self.others_min)
        pools = [guard.async_pool(None, SENTINEL_TIMEOUT_S, SENTINEL_TIMEOUT_S) for guard in self.sentinels]
        guards.sentinels = [redis.asyncio.Redis(connection_pool=pool) for pool in pools]
        options = self._for_loop(address, timeout_s, connect_timeout_s)
        return _async_sentinels.SentinelConnectionPool(
            self.service, guards, connection_class=self.async_kind, **options
        )


def place_of(given: Any) -> Place:
    """Learn from a client; `ConfigurationError` if it is none of redis-py's synchronous ones."""
    if isinstance(given, Place):
        return given
    if isinstance(given, redis.RedisCluster):
        return _of_cluster(given)
    pool = getattr(given, "connection_pool", None)
    if pool is None or iscoroutinefunction(pool.connection_class.connect):
        found = f"{type(given).__module__}.{type(given).__name__}"
        raise ConfigurationError(f"expected a redis.Redis or redis.RedisCluster, for async reads too; found {found}")
    return _of_sentinels(pool) if isinstance(pool, redis.sentinel.SentinelConnectionPool) else direct(pool)


def direct(pool: Any) -> Place:
    """Learn from a pool that connects to one address."""
    options = _cleaned(pool.connection_kwargs)
    return checked(Place(_identity(options), pool.connection_class, options))


def checked(place: Place) -> Place:
    """Give the place, if its options are ones that connections have."""
    complaint = _complaint(place.kind, place.options)
    if complaint is not None:
        raise ConfigurationError(f"expected options of a redis-py connection; {complaint}")
    return place


def cluster(seeds: Iterable[Address], kind: type, options: Mapping[str, Any], remap: Any = None) -> Place:
    """Give a cluster by some of its nodes."""
    nodes = tuple(sorted({("127.0.0.1" if host == "localhost" else host, int(port)) for host, port in seeds}))
    left_out = ("host", "port", "db", "path", "redis_connect_func")
    kept = {name: value for name, value in _cleaned(options).items() if name not in left_out}
    return checked(Place(f"redis:{_listed(nodes)}/0", kind, kept, nodes, remap))


def guarded(
    service: str, sentinels: Iterable[Place], *, tls: bool, options: Mapping[str, Any], others_min: int = 0
) -> Place:
    """Give a master by those who know it."""
    kept = {name: value for name, value in _cleaned(options).items() if name not in ("host", "port", "path")}
    checked(Place("", redis.SSLConnection if tls else redis.Connection, kept))
    kind = _managed(_sentinels, with_tls=tls)
    guards = tuple(sorted(sentinels, key=lambda guard: guard.address))
    identity = f"redis:sentinel:{_listed(guard.address for guard in guards)}/{service}/{kept.get('db') or 0}"
    return GuardedPlace(identity, kind, kept, service=service, sentinels=guards, others_min=others_min)


def pools_behind(pool: Any) -> Iterator[Any]:
    """Give a pool and those that it asks for its master."""
    yield pool
    for guard in getattr(getattr(pool, "sentinel_manager", None), "sentinels", ()):
        yield guard.connection_pool


def _of_cluster(given: Any) -> Place:
    manager = given.nodes_manager
    seeds = getattr(given, "startup_nodes", None) or manager.startup_nodes.values()
    pool = given.get_redis_connection(given.get_primaries()[0]).connection_pool
    addresses = [(node.host, node.port) for node in seeds]
    return cluster(addresses, pool.connection_class, pool.connection_kwargs, manager.address_remap)


def _of_sentinels(pool: Any) -> Place:
    manager = pool.sentinel_manager
    guards = [direct(guard.connection_pool) for guard in manager.sentinels]
    tls = issubclass(pool.connection_class, redis.SSLConnection)
    others_min = manager.min_other_sentinels
    return guarded(pool.service_name, guards, tls=tls, options=pool.connection_kwargs, others_min=others_min)


def _cleaned(options: Mapping[str, Any]) -> Options:
    return {name: value for name, value in options.items() if name not in _NOT_OURS}


def _complaint(kind: Any, options: Options) -> str | None:
    try:
        kind(**options)
    except TypeError as error:
        return str(error)
    return None


def _managed(module: Any, *, with_tls: bool) -> Any:
    return module.SentinelManagedSSLConnection if with_tls else module.SentinelManagedConnection


def _no_async_retry() -> redis.asyncio.retry.Retry:
    return redis.asyncio.retry.Retry(NoBackoff(), 0)


def _identity(options: Options) -> str:
    database = options.get("db") or 0
    if "path" in options:
        return f"redis:unix:{options['path']}/{database}"
    return f"redis:{options.get('host', 'localhost')}:{options.get('port', 6379)}/{database}"


def _listed(addresses: Iterable[Address]) -> str:
    return ",".join(f"{host}:{port}" for host, port in sorted(set(addresses)))
