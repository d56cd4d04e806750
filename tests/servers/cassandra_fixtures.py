"""What tests on Cassandra ask for: the run's node, a session of its first user, an empty keyspace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from eventlog.adapters import cassandra_links
from tests.servers.cassandra_client import DDL_TIMEOUT_S, PASSWORD, USER, cluster_at
from tests.servers.cassandra_shared import run_folder, shared, start_node

START_TIMEOUT_S = 300
PATIENCE_S = 20.0


class Keyspace(NamedTuple):
    """A keyspace that the tests of one worker take turns with."""

    address: str
    name: str
    session: Any

    @property
    def url(self) -> str:
        """Where a backend finds it."""
        return f"cassandra://{USER}:{PASSWORD}@{self.address}/{self.name}"

    def rows(self, table: str = "eventlog") -> list[Any]:
        """Give all rows of a table, as they lie there."""
        return list(self.session.execute(f'SELECT session_id, event_id, body FROM {self.name}."{table}"'))  # noqa: S608

    def tables(self) -> list[str]:
        """Name the tables that it has."""
        found = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s"
        return [row.table_name for row in self.session.execute(found, (self.name,))]


@pytest.fixture(scope="session")
def cassandra_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of the node that all workers share."""
    with shared(run_folder(tmp_path_factory) / "cassandra-node", start_node) as address:
        yield address


@pytest.fixture(scope="session")
def cassandra_session(cassandra_address: str) -> Iterator[Any]:
    """Give a session of the driver, as a program of a user has one."""
    with cluster_at(cassandra_address) as cluster:
        yield cluster.connect()


@pytest.fixture(scope="session")
def cassandra_keyspace(cassandra_address: str, cassandra_session: Any) -> Iterator[Keyspace]:
    """Give a keyspace of the worker's own."""
    name = f"ks_{uuid4().hex}"
    replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    cassandra_session.execute(f"CREATE KEYSPACE {name} WITH replication = {replication}", timeout=DDL_TIMEOUT_S)
    yield Keyspace(cassandra_address, name, cassandra_session)
    cassandra_session.execute(f"DROP KEYSPACE {name}", timeout=DDL_TIMEOUT_S)


@pytest.fixture
def cassandra(cassandra_keyspace: Keyspace, monkeypatch: pytest.MonkeyPatch) -> Keyspace:
    """Give the keyspace with whatever tables it has, all empty; reads are patient, for the machine may be busy."""
    monkeypatch.setattr(cassandra_links, "READ_TIMEOUT_S", PATIENCE_S)
    for table in cassandra_keyspace.tables():
        cassandra_keyspace.session.execute(f'TRUNCATE {cassandra_keyspace.name}."{table}"', timeout=DDL_TIMEOUT_S)
    return cassandra_keyspace


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give time to who may be the first to ask for the node: Maven brings it, and it starts."""
    for item in items:
        if "cassandra_address" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(START_TIMEOUT_S))
