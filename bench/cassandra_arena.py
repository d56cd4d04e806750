"""Room: a real Cassandra node for all rounds of a run, warmed up, its tables emptied before each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import monotonic, perf_counter
from typing import Any, Self

from eventlog.adapters import from_url
from eventlog.clock import Clock, new_writer, now_ms
from eventlog.codec import PERMANENT, encode_message
from eventlog.place import file_system_of
from tests.servers.cassandra_client import DDL_TIMEOUT_S, cluster_at
from tests.servers.cassandra_node import CassandraNode
from tests.servers.cassandra_options import VERSION

KEYSPACE = "bench"
THEIR_TABLE, OUR_TABLE = "message_store", "message_store_events"
WARM_S = 15.0
_WARM_EVENTS = 2000


class CassandraArena:
    """One node for both sides."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file_system = file_system_of(folder)
        self.server = _Node()

    def __enter__(self) -> Self:
        self.server.start()
        self._cluster = cluster_at(self.server.address)
        self._session = self._cluster.connect()
        replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
        self._session.execute(f"CREATE KEYSPACE {KEYSPACE} WITH replication = {replication}", timeout=DDL_TIMEOUT_S)
        _warm(self.url(slow=False))
        return self

    def __exit__(self, *error: object) -> None:
        self._cluster.shutdown()
        self.server.stop()

    def url(self, *, slow: bool) -> str:
        """Give the address; there is no slow network here."""
        assert not slow
        return self.server.url

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """Empty the tables and give a new folder for journals, removed at the end."""
        asked = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s"
        for row in self._session.execute(asked, (KEYSPACE,)):
            self._session.execute(f"TRUNCATE {KEYSPACE}.{row.table_name}", timeout=DDL_TIMEOUT_S)
        journals = Path(tempfile.mkdtemp(prefix="eventlog-bench-", dir=self.folder))
        try:
            yield journals
        finally:
            shutil.rmtree(journals, ignore_errors=True)

    def versions(self) -> dict[str, str]:
        """Give the server's."""
        return {"cassandra": VERSION}

    def round_trips(self) -> dict[str, float]:
        """Measure what one bare question costs from here, in ms."""
        return {"direct": round(median(self._asked_ms() for _ in range(500)), 3)}

    def _asked_ms(self) -> float:
        began = perf_counter()
        self._session.execute("SELECT key FROM system.local")
        return (perf_counter() - began) * 1e3


class _Node(CassandraNode):
    """A node that knows its URL."""

    @property
    def url(self) -> str:
        """The keyspace of the benchmark."""
        return f"cassandra://{self.address}/{KEYSPACE}"

    def restart(self) -> None:
        """Start it again."""
        self.start()


def _warm(url: str) -> None:
    """Write and read until the JVM has compiled what serves."""
    backend: Any = from_url(f"{url}?table={OUR_TABLE}")
    clock, deadline = Clock(new_writer()), monotonic() + WARM_S
    while monotonic() < deadline:
        for per_session in (1, 10, _WARM_EVENTS):
            batch = {}
            for number in range(_WARM_EVENTS // per_session):
                session = f"warm-{number}"
                ids = [clock.next(session.encode(), now_ms()) for _ in range(per_session)]
                batch[session] = [one + encode_message(PERMANENT, now_ms(), "", "x" * 400, 0) for one in ids]
            backend.append(batch)
            backend.read("warm-0", limit=5000)
    backend.close()
