"""Room: where a Cassandra cluster is and how to connect to it, from a URL or learned from somebody else's session.

Rules:
* A given session is only asked where it connects to and how; its connections are its owner's. So a fork, a session that
  is shut down, its retries or its row factories do not reach us.
* `identity` has no credentials and no order of hosts: a URL and an object that mean the same table have the same one.
* Nothing here asks a server.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cassandra import ConsistencyLevel, ProtocolVersion
from cassandra.connection import DefaultEndPoint, EndPoint, SniEndPoint
from cassandra.policies import DCAwareRoundRobinPolicy

from eventlog.errors import ConfigurationError

PORT = 9042
_LEARNED = ("address_translator", "compression", "connection_class", "sockopts", "ssl_context", "ssl_options")
_NAMES = ("ONE", "TWO", "THREE", "QUORUM", "ALL", "LOCAL_QUORUM", "EACH_QUORUM", "LOCAL_ONE")
_LEVELS: dict[str, int] = {name: getattr(ConsistencyLevel, name) for name in _NAMES}


@dataclass(frozen=True, eq=False)
class Place:
    """A cluster, as `cassandra.cluster.Cluster` is told of it."""

    hosts: str
    options: dict[str, Any] = field(repr=False)
    local_dc: str | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and self._told() == other._told()

    def __hash__(self) -> int:
        return hash(self.hosts)

    def _told(self) -> tuple[Any, ...]:
        """Give what can be compared: two providers of the same credentials are the same."""
        options = {name: value for name, value in self.options.items() if name not in _INCOMPARABLE}
        provider = self.options.get("auth_provider")
        return self.hosts, self.local_dc, options, type(provider), vars(provider) if provider is not None else None


_INCOMPARABLE = frozenset({"auth_provider", "endpoint_factory"})


def place_of(session: Any) -> Place:
    """Learn the place from a session."""
    cluster = getattr(session, "cluster", None)
    if cluster is None or not hasattr(cluster, "contact_points"):
        raise ConfigurationError(f"expected a cassandra.cluster.Session, found {type(session).__name__}")
    options = {name: getattr(cluster, name, None) for name in _LEARNED}
    options = {name: value for name, value in options.items() if value is not None}
    options |= {"contact_points": list(cluster.contact_points), "port": cluster.port}
    if cluster.auth_provider is not None:
        options["auth_provider"] = cluster.auth_provider
    if any(isinstance(point, SniEndPoint) for point in cluster.contact_points):
        options["endpoint_factory"] = copy.copy(cluster.endpoint_factory)
    if getattr(cluster, "_protocol_version_explicit", False):
        options["protocol_version"] = cluster.protocol_version
    return Place(listed(cluster.contact_points, cluster.port), with_protocol(options), _local_dc(cluster))


def with_protocol(options: dict[str, Any]) -> dict[str, Any]:
    """Name the protocol where nobody did: v4 is what all of Cassandra 3 to 5, Astra and Scylla speak."""
    return {"protocol_version": ProtocolVersion.V4, **options}


def listed(points: Iterable[Any], port: int) -> str:
    """Give contact points in one order and one spelling."""
    return ",".join(sorted({_spelled(point, port) for point in points}))


def _spelled(point: Any, port: int) -> str:
    if isinstance(point, SniEndPoint):
        return f"astra:{point.address}"
    if isinstance(point, DefaultEndPoint):
        host, at = point.address, point.port
    elif isinstance(point, EndPoint):
        return str(point)
    else:
        host, at = point if isinstance(point, tuple) else (point, port)
    return f"{'127.0.0.1' if host == 'localhost' else host.lower()}:{at}"


def _local_dc(cluster: Any) -> str | None:
    """Give the data center that the session was told to stay in."""
    policy = cluster.profile_manager.default.load_balancing_policy
    while policy is not None and not isinstance(policy, DCAwareRoundRobinPolicy):
        policy = getattr(policy, "_child_policy", None)
    return getattr(policy, "local_dc", None) or None


def level_of(name: str) -> int:
    """Give a consistency level; `ConfigurationError` naming those there are."""
    level = _LEVELS.get(name.upper())
    if level is None:
        raise ConfigurationError(f"expected consistency to be one of {', '.join(_LEVELS)}; found {name!r}")
    return level
