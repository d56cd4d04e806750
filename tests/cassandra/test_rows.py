"""What lies in the table: timestamps, TTLs, deletions, sizes; asked of the table itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import eventlog
from eventlog.adapters.cassandra import CassandraBackend
from eventlog.adapters.cassandra_reads import to_read
from eventlog.adapters.cassandra_writes import (
    BATCH_BYTES_MAX,
    BATCH_EVENTS_MAX,
    _chunks,
    to_discard,
    to_remove,
    to_write,
)
from tests.contract.suite import ALL, messages
from tests.core.records import DAY_MS, NOON_MS, cut, eid, fixed, said, sliding
from tests.servers.cassandra_fixtures import Keyspace

YEARS_MS = 365 * DAY_MS


@pytest.fixture
def backend(cassandra: Keyspace) -> Iterator[CassandraBackend]:
    """Give the adapter, at noon."""
    backend = CassandraBackend(cassandra.session, cassandra.name, now_ms=lambda: NOON_MS)
    yield backend
    backend.close()


def told(cassandra: Keyspace, what: str) -> dict[int, int | None]:
    """Ask the table about each row, by the milliseconds of its id after noon."""
    rows = cassandra.session.execute(f"SELECT event_id, {what}(body) FROM {cassandra.name}.eventlog")  # noqa: S608
    return {(row[0].int >> 80) - NOON_MS: row[1] for row in rows}


def test_row_has_the_time_of_its_id(cassandra: Keyspace, backend: CassandraBackend) -> None:
    """In microseconds, whatever kind and however many, delivered once or again."""
    records = [said(eid(NOON_MS + 1), "a"), fixed(eid(NOON_MS + 2), "b", 60_000), cut(eid(NOON_MS + 3))]
    backend.append({"alone": records[:1]})
    backend.append({"alone": records})
    assert told(cassandra, "writetime") == {ms: (NOON_MS + ms) * 1000 for ms in (1, 2, 3)}


def test_ttl_is_what_remains_rounded_up(cassandra: Keyspace, backend: CassandraBackend) -> None:
    """Of fixed events only; at least a second; none where the deadline is beyond what every version can hold."""
    backend.append(
        {
            "s": [
                fixed(eid(NOON_MS + 1), "x", 3_600_000, at_ms=NOON_MS - 1_000_001),
                fixed(eid(NOON_MS + 2), "x", 20 * YEARS_MS, at_ms=NOON_MS),
                sliding(eid(NOON_MS + 3), "x", 3_600_000),
                said(eid(NOON_MS + 4), "x"),
                cut(eid(NOON_MS + 5), history_ttl_ms=60_000),
            ]
        }
    )
    left = told(cassandra, "ttl")
    assert 2590 < (left[1] or 0) <= 2600
    assert [left[ms] for ms in (2, 3, 4, 5)] == [None] * 4


def test_expired_event_is_gone_by_itself(cassandra: Keyspace, backend: CassandraBackend) -> None:
    """Its last second begins when it is stored, and takes no neighbour along."""
    backend.append({"s": [fixed(eid(NOON_MS - DAY_MS), "x", 1000), said(eid(NOON_MS), "stays")]})
    assert set(told(cassandra, "ttl").values()) <= {None, 1, 0}


def test_redelivered_event_does_not_come_back(cassandra: Keyspace, backend: CassandraBackend) -> None:
    """What a clear let go, and what was taken one by one, stays away however often and late it is delivered again."""
    below, marker, above = messages(20), cut(eid(NOON_MS + 500)), said(eid(NOON_MS + 500, 1), "same ms, after")
    backend.append({"s": [*below, marker, above], "t": below})
    backend.remove("s", marker[:16])
    backend.discard("t", below[::2])
    for _ in range(2):
        backend.append({"s": [*below, marker, above], "t": below})
        assert backend.read("s", limit=ALL) == [marker, above]
        assert backend.read("t", limit=ALL) == below[1::2]
    assert len(cassandra.rows()) == 2 + 10


def test_newest_clear_is_noted_once_and_goes_with_the_session(backend: CassandraBackend) -> None:
    """Whichever comes first; a session whose clears were all taken is not listed."""
    first, second = cut(eid(NOON_MS + 1)), cut(eid(NOON_MS + 2))
    backend.append({"s": [second]})
    backend.append({"s": [first]})
    assert backend.cuts(["s"]) == {"s": second}
    backend.discard("s", [first])
    assert backend.cuts(["s"]) == {"s": second}
    backend.discard("s", [second])
    assert (backend.cuts(["s"]), list(backend.sessions())) == ({}, [])
    backend.append({"u": [cut(eid(NOON_MS + 3))]})
    backend.remove("u", eid(NOON_MS + 4))
    assert (backend.cuts(["u"]), list(backend.sessions())) == ({}, [])


def test_clear_without_retention_leaves_the_clear(cassandra: Keyspace, tmp_path: Path) -> None:
    """One row, however many were below."""
    with eventlog.open(cassandra.url, journal=tmp_path / "j", retain=timedelta(0)) as log:
        chat = log.history("s")
        for _ in range(3):
            chat.add_many(range(100))
            chat.clear()
            assert log.flush(20)
        assert len(cassandra.rows()) == 1
        chat.add("after")
        assert log.flush(20)
        assert chat.messages() == ["after"]


def test_erased_session_is_gone_from_the_table(cassandra: Keyspace, tmp_path: Path) -> None:
    """But for the marker that keeps other hosts' backlogs away."""
    with eventlog.open(cassandra.url, journal=tmp_path / "j") as log:
        log.history("s").add_many(["secret"] * 50)
        log.history("t").add("other")
        assert log.flush(20)
        log.erase("s")
        assert log.flush(20)
        rows = cassandra.rows()
        assert len(rows) == 2
        assert not any(b"secret" in row.body for row in rows)


def test_session_that_does_not_fit_one_message_goes_in_several(backend: CassandraBackend) -> None:
    """By bytes and by number; each is under the limit of the server."""
    many = [said(eid(NOON_MS + number), number) for number in range(BATCH_EVENTS_MAX + 10)]
    large = [said(eid(NOON_MS + number), "x" * (BATCH_BYTES_MAX // 4)) for number in range(10)]
    assert backend.append({"many": many}) == {}
    assert backend.read("many", limit=ALL) == many
    sizes = [len(chunk) for chunk in _chunks(large)]
    assert sizes == [3, 3, 3, 1]


def test_every_statement_is_idempotent_and_goes_to_the_nodes_of_its_session(
    cassandra: Keyspace, backend: CassandraBackend
) -> None:
    """Alone or in a batch, to write, to read and to remove: the driver can tell whose partition it is."""
    statements = backend._link(20).statements
    records = [said(eid(NOON_MS), "x"), cut(eid(NOON_MS + 1))]
    asked = [
        *(statement for _, statement in to_write(statements, {"s": records}, NOON_MS)),
        *(statement for _, statement in to_write(statements, {"s": records[:1]}, NOON_MS)),
        to_remove(statements, "s", records[1][:16]),
        *(statement for _, statement in to_discard(statements, "s", records)),
        to_read(statements, "s", None, 10),
        to_read(statements, "s", records[1][:16], 10),
        statements.cut.bind(("s",)),
    ]
    assert [statement.routing_key for statement in asked] == [b"s"] * 7
    assert {statement.keyspace for statement in asked} == {cassandra.name}
    assert all(statement.is_idempotent for statement in asked)
