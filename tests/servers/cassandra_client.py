"""The driver as tests and benchmarks use it, beside what they test."""

from __future__ import annotations

from typing import Any

from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import RoundRobinPolicy

USER = PASSWORD = "cassandra"  # noqa: S105 (every new node's first user)
DDL_TIMEOUT_S = 30


def cluster_at(*addresses: str, user: str = USER, password: str = PASSWORD) -> Any:
    """Give the driver's cluster, not connected yet."""
    profile = ExecutionProfile(
        load_balancing_policy=RoundRobinPolicy(),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        request_timeout=DDL_TIMEOUT_S,
    )
    return Cluster(
        addresses,
        auth_provider=PlainTextAuthProvider(user, password),
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        protocol_version=4,
    )
