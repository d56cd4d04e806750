"""The table: made where it is missing, recognized, and made again when somebody drops it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

import eventlog
from eventlog.adapters import from_url
from eventlog.adapters.cassandra import CassandraBackend
from eventlog.adapters.cassandra_table import Names, id_bound
from eventlog.errors import BackendUnavailable, ConfigurationError
from tests.contract.suite import ALL, messages
from tests.core.records import NOON_MS, eid
from tests.core.tools import eventually
from tests.servers.cassandra_client import DDL_TIMEOUT_S
from tests.servers.cassandra_fixtures import Keyspace


@pytest.fixture
def new_keyspace(cassandra: Keyspace) -> Iterator[Keyspace]:
    """Name a keyspace that nobody made yet."""
    keyspace = cassandra._replace(name=f"New_{uuid4().hex}")
    yield keyspace
    cassandra.session.execute(f'DROP KEYSPACE IF EXISTS "{keyspace.name}"', timeout=DDL_TIMEOUT_S)


def made(cassandra: Keyspace, columns: str, table: str) -> Keyspace:
    """Have somebody else's table of a name."""
    cassandra.session.execute(f"DROP TABLE IF EXISTS {cassandra.name}.{table}", timeout=DDL_TIMEOUT_S)
    cassandra.session.execute(f"CREATE TABLE {cassandra.name}.{table} ({columns})", timeout=DDL_TIMEOUT_S)
    return cassandra


def test_keyspace_and_table_are_made_if_they_are_missing(new_keyspace: Keyspace) -> None:
    """With the replication that was asked for; the case of names counts."""
    url = f"{new_keyspace.url}?table=Chats&replication=datacenter1:1"
    backend = from_url(url)
    assert backend.append({"s": messages(2)}) == {}
    backend.close()
    assert new_keyspace.tables() == ["Chats"]
    asked = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = %s"
    replication = new_keyspace.session.execute(asked, (new_keyspace.name,)).one()[0]
    assert (replication["class"].rsplit(".", 1)[-1], replication["datacenter1"]) == ("NetworkTopologyStrategy", "1")


def test_replication_fits_the_ring_where_nobody_says(new_keyspace: Keyspace) -> None:
    """Three copies, or as many as there are nodes."""
    backend = from_url(new_keyspace.url)
    assert backend.append({"s": messages(1)}) == {}
    backend.close()


def test_nothing_is_made_without_provision(new_keyspace: Keyspace, tmp_path: Path) -> None:
    """It says what is missing, and goes on when somebody made it."""
    with eventlog.open(f"{new_keyspace.url}?provision=false", journal=tmp_path / "j") as log:
        log.history("s").add("kept")
        eventually(lambda: "expected the table" in (log.status().backends["cassandra"].last_error or ""))
        assert new_keyspace.tables() == []
        owner = from_url(new_keyspace.url)
        owner.append({"other": messages(1)})
        owner.close()
        assert log.flush(20)
        assert log.history("s").messages() == ["kept"]
        assert log.status().backends["cassandra"].dead_letters == 0


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ("id uuid, session_id varchar, history text, PRIMARY KEY ((session_id), id)", "event_id: none"),
        ("session_id text, event_id uuid, body blob, cut blob static, PRIMARY KEY (session_id, event_id)", "asc"),
        ("session_id text, event_id timeuuid, body blob, PRIMARY KEY (session_id, event_id)", "event_id: timeuuid"),
        ("session_id text PRIMARY KEY, event_id uuid, body blob", "event_id: uuid regular"),
    ],
)
async def test_table_of_another_shape_is_refused(cassandra: Keyspace, columns: str, found: str) -> None:
    """With what was expected, where, and what was found; it is not touched."""
    made(cassandra, columns, "theirs")
    backend = from_url(f"{cassandra.url}?table=theirs")
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match=r"expected .*theirs.* with the columns .*; found ") as caught:
            backend.append({"s": messages(1)})
        assert found in str(caught.value).partition("found")[2]
    with pytest.raises(BackendUnavailable, match="theirs"):
        await backend.aread("s", limit=1)
    assert list(cassandra.session.execute(f"SELECT * FROM {cassandra.name}.theirs")) == []  # noqa: S608
    backend.close()


def test_column_that_somebody_added_is_no_other_shape(cassandra: Keyspace) -> None:
    """It is theirs."""
    backend = from_url(f"{cassandra.url}?table=widened")
    backend.append({"s": messages(1)})
    backend.close()
    cassandra.session.execute(f"ALTER TABLE {cassandra.name}.widened ADD note text", timeout=DDL_TIMEOUT_S)
    again = from_url(f"{cassandra.url}?table=widened")
    assert again.read("s", limit=ALL) == messages(1)
    again.close()


async def test_dropped_table_is_made_again_at_the_next_batch(cassandra: Keyspace, tmp_path: Path) -> None:
    """Nothing that waits is lost, and reads go on, sync and async."""
    with eventlog.open(f"{cassandra.url}?table=dropped", journal=tmp_path / "j") as log:
        chat = log.history("s")
        chat.add("goes with the table")
        assert log.flush(20)
        cassandra.session.execute(f"DROP TABLE {cassandra.name}.dropped", timeout=DDL_TIMEOUT_S)
        chat.add(0)
        assert log.flush(20)
        chat.add_many(range(1, 100))
        assert log.flush(20)
        status = log.status().backends["cassandra"]
        assert (status.state, status.dead_letters, status.lag_events) == ("ok", 0, 0)
        assert len(cassandra.rows("dropped")) == 100
        assert chat.messages() == list(range(100)) == await chat.amessages()
        assert chat.messages().complete


@pytest.mark.parametrize("names", [("a-b", "t"), ("k", 't"; DROP'), ("", "t"), ("k", "x" * 49), ("k.k", "t")])
def test_name_that_is_none_is_refused(cassandra: Keyspace, names: tuple[str, str]) -> None:
    """Before anything is asked."""
    with pytest.raises(ConfigurationError, match="letters, digits and underscores"):
        CassandraBackend(cassandra.session, *names)


@pytest.mark.parametrize("replication", [0, -1, True, {"dc'1": 1}, {"dc": 0}])
def test_replication_that_is_none_is_refused(cassandra: Keyspace, replication: int) -> None:
    """It would stand in CQL."""
    with pytest.raises(ConfigurationError, match="replication"):
        CassandraBackend(cassandra.session, "k", replication=replication)


def test_names_are_quoted() -> None:
    """Reserved words and capitals are names as any other."""
    assert str(Names("Order", "select")) == '"Order"."select"'


def test_bound_of_any_bytes_divides_ids_as_bytes_do() -> None:
    """Cassandra compares UUIDs by their version first, Python's bytes do not."""
    ids = [eid(NOON_MS + number, counter) for number in (-1, 0, 1) for counter in (0, 1, 4095)]
    heads = [(NOON_MS + number).to_bytes(6, "big") for number in (-1, 0, 1)]
    bounds = [head + bytes([middle]) + rest for head in heads for middle in (0, 0x6F, 0x70, 0x7F, 0x80, 0xFF)
              for rest in (bytes(9), b"\xff" * 9)]  # fmt: skip
    for bound in [*bounds, bytes(16), b"\xff" * 16]:
        normal = id_bound(bound)
        assert normal[6] >> 4 == 7
        assert [event_id for event_id in ids if event_id < normal] == [one for one in ids if one < bound]
