"""A ring of three, under load, with one node killed, then two: what can go on goes on, and all arrives once.

A ring takes half a minute to start, so one day of it is one test. What is in the tables is asked of the tables.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

import eventlog
from eventlog.log import EventLog
from eventlog.status import BackendStatus
from tests.core.tools import eventually
from tests.servers.cassandra_client import cluster_at
from tests.servers.cassandra_ring import Ring, running_ring

SESSIONS = 60
FLUSH_S = 90.0
pytestmark = [pytest.mark.slow, pytest.mark.crash, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def ring() -> Iterator[Ring]:
    """Give three nodes."""
    with running_ring() as ring:
        yield ring


class Load:
    """A writer that adds to all sessions in turn, and remembers what was acknowledged."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.said: dict[str, list[int]] = {f"s{number}": [] for number in range(SESSIONS)}
        self._number = 0

    def add(self, rounds: int = 1) -> None:
        """Add to each session."""
        for _ in range(rounds):
            for name, said in self.said.items():
                self._number += 1
                self.log.history(name).add(self._number)
                said.append(self._number)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Add all the while."""
        done = threading.Event()

        def work() -> None:
            while not done.is_set():
                self.add()
                done.wait(0.01)

        thread = threading.Thread(target=work)
        thread.start()
        yield
        done.set()
        thread.join()

    @property
    def status(self) -> BackendStatus:
        """What the log tells of its ring."""
        return self.log.status().backends["cassandra"]


class Referee:
    """A client of nobody's, that reads the tables at a live node."""

    def __init__(self, ring: Ring) -> None:
        self._cluster = cluster_at(*ring.addresses)
        self._session = self._cluster.connect()

    def found(self, keyspace: str, session: str) -> list[int]:
        """Give a session's messages as the table has them, in its order."""
        asked = f'SELECT event_id, body FROM "{keyspace}".eventlog WHERE session_id = %s'  # noqa: S608
        rows = list(self._session.execute(asked, (session,)))[::-1]
        return [msgspec.msgpack.decode(row.body[2:])[2] for row in rows]

    def owner(self, keyspace: str, session: str) -> str:
        """Name the node that has a session, where one does."""
        [host] = self._cluster.metadata.get_replicas(keyspace, session.encode())
        return str(host.address)

    def close(self) -> None:
        """End it."""
        self._cluster.shutdown()


def test_ring_loses_nothing_while_nodes_die(ring: Ring, tmp_path: Path) -> None:
    """Copies on three nodes, and copies on one; a node killed under load, another one, and both back."""
    with (
        eventlog.open(ring.url("three", replication=3), journal=tmp_path / "three") as log_of_three,
        eventlog.open(ring.url("one", replication=1), journal=tmp_path / "one") as log_of_one,
    ):
        three, one = Load(log_of_three), Load(log_of_one)
        for load in (three, one):
            load.add(3)
            assert load.log.flush(FLUSH_S), load.status
        referee = Referee(ring)
        one_dies_under_load(ring, three)
        only_lost_ranges_wait(ring, one, referee)
        two_are_down(ring, three)
        ring.mend()
        for load, keyspace in ((three, "three"), (one, "one")):
            assert load.log.flush(FLUSH_S), load.status
            all_is_there_once(load, keyspace, referee)
        referee.close()


def one_dies_under_load(ring: Ring, three: Load) -> None:
    """With two copies of three left, everything goes on: adds, deliveries, reads."""
    with three.running():
        delivered = three.status.delivered
        eventually(lambda: three.status.delivered > delivered)
        ring.nodes[1].kill()
        delivered = three.status.delivered
        eventually(lambda: three.status.delivered > delivered + 10 * SESSIONS)
    assert three.log.flush(FLUSH_S), three.status
    assert (three.status.state, three.status.dead_letters) == ("ok", 0)
    eventually(lambda: three.log.history("s0").messages().complete)
    assert three.log.history("s0").messages() == three.said["s0"]


def only_lost_ranges_wait(ring: Ring, one: Load, referee: Referee) -> None:
    """Where there is one copy, the sessions of the dead node wait, and no others; reads show all of them."""
    owners = {name: referee.owner("one", name) for name in one.said}
    lost = {name for name, owner in owners.items() if owner == ring.nodes[1].address}
    assert 0 < len(lost) < SESSIONS
    one.add(2)
    eventually(lambda: one.status.lag_events == 2 * len(lost))
    assert (one.status.dead_letters, one.status.state) == (0, "ok")
    for name in sorted(set(one.said) - lost)[:5]:
        assert referee.found("one", name) == one.said[name]
        assert one.log.history(name).messages().complete
    name = min(lost)
    assert one.log.history(name).messages()[-2:] == one.said[name][-2:]


def two_are_down(ring: Ring, three: Load) -> None:
    """Without a quorum nothing is stored, nothing is dropped, and the state says so."""
    ring.nodes[2].kill()
    three.add(2)
    eventually(lambda: three.status.state in ("retrying", "down"))
    assert (three.status.lag_events, three.status.dead_letters) == (2 * SESSIONS, 0)
    found = three.log.history("s0").messages()
    assert (found[-2:], found.complete) == (three.said["s0"][-2:], False)


def all_is_there_once(load: Load, keyspace: str, referee: Referee) -> None:
    """What was acknowledged, in its order, in the table and for readers."""
    tables: dict[str, Any] = {name: referee.found(keyspace, name) for name in load.said}
    assert tables == load.said
    assert load.status.dead_letters == 0
    found = load.log.history("s1").messages()
    assert (found, found.complete) == (load.said["s1"], True)
