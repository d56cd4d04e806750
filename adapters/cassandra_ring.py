"""Room: what of the ring is up: whether a failure concerns some sessions, or the store as a whole.

Rule: a request that lacked replicas, or waited for them in vain, failed for its own token range only where some other
range has as many replicas up as it needed. Otherwise nothing can be stored now, and the whole batch waits.
"""

from __future__ import annotations

from typing import Any

from cassandra import ConsistencyLevel, Timeout, Unavailable

_LOCAL = frozenset({ConsistencyLevel.LOCAL_QUORUM, ConsistencyLevel.LOCAL_ONE})


def is_of_one_range(error: BaseException, cluster: Any, keyspace: str, session: str) -> bool:
    """Tell whether others than this session may well be served."""
    if isinstance(error, Unavailable):
        return _some_range_has(_needed(error.required_replicas), error, cluster, keyspace)
    if isinstance(error, Timeout):
        needed = _needed(error.required_responses)
        lacks = _up(cluster.metadata.get_replicas(keyspace, session.encode()), _dc(error, cluster)) < needed
        return lacks and _some_range_has(needed, error, cluster, keyspace)
    return False


def _some_range_has(needed: int, error: Any, cluster: Any, keyspace: str) -> bool:
    ring = cluster.metadata.token_map
    dc = _dc(error, cluster)
    return ring is not None and any(_up(ring.get_replicas(keyspace, token), dc) >= needed for token in ring.ring)


def _needed(told: int | None) -> int:
    return told or 1


def _up(hosts: Any, dc: str | None) -> int:
    return sum(bool(host.is_up) and dc in (None, host.datacenter) for host in hosts)


def _dc(error: Any, cluster: Any) -> str | None:
    """Give the data center whose replicas count, where not all do."""
    if error.consistency not in _LOCAL:
        return None
    child = cluster.profile_manager.default.load_balancing_policy._child_policy  # noqa: SLF001 (its name of the DC)
    return child.local_dc or None
