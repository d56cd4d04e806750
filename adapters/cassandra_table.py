"""Room: the table: its names, its statements, how it is made and recognized.

    session_id text     partition key
    event_id   uuid     clustering key, newest first: a UUIDv7 sorts by its bytes
    body       blob     the event
    cut        blob     static: the record of the session's newest clear, for the larger timestamp wins

Rules:
* An insert has its id's time as timestamp, a delete that of the cut: whatever comes twice or late changes nothing, and
  no redelivered insert brings back what a delete took.
* A keyspace and a table are looked for before they are made; with `provision=False` they are only looked for.
* A name is letters, digits and underscores, as Cassandra has it, and always quoted: the case counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from cassandra.cqltypes import BytesType, UUIDType

from eventlog.errors import BackendUnavailable, ConfigurationError
from eventlog.events import ID_BYTES

NAME_CHARS_MAX = 48
DDL_TIMEOUT_S = 20.0
_REPLICAS_DEFAULT_MAX = 3
_NAME = re.compile(rf"[A-Za-z0-9_]{{1,{NAME_CHARS_MAX}}}", re.ASCII)
_DATA_CENTER = re.compile(r"[\w.-]+", re.ASCII)
_SHAPE = {
    "session_id": "text partition_key",
    "event_id": "uuid clustering desc",
    "body": "blob regular",
    "cut": "blob static",
}
_FIND_KEYSPACE = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = %s"
_FIND_COLUMNS = (
    "SELECT column_name, type, kind, clustering_order FROM system_schema.columns "
    "WHERE keyspace_name = %s AND table_name = %s"
)
_MAKE_TABLE = (
    "CREATE TABLE IF NOT EXISTS {table} (session_id text, event_id uuid, body blob, cut blob static, "
    "PRIMARY KEY (session_id, event_id)) WITH CLUSTERING ORDER BY (event_id DESC) "
    "AND speculative_retry = 'MIN(99p,50ms)'"
)
"""A replica that just died is asked until the others know: without statistics a read would wait for it in vain."""
_TEXTS = {
    "insert": "INSERT INTO {table} (session_id, event_id, body) VALUES (?, ?, ?) USING TIMESTAMP ?",
    "insert_ttl": "INSERT INTO {table} (session_id, event_id, body) VALUES (?, ?, ?) USING TIMESTAMP ? AND TTL ?",
    "insert_cut": "INSERT INTO {table} (session_id, event_id, body, cut) VALUES (?, ?, ?, ?) USING TIMESTAMP ?",
    "newest": "SELECT event_id, body FROM {table} WHERE session_id = ? LIMIT ?",
    "newest_before": "SELECT event_id, body FROM {table} WHERE session_id = ? AND event_id < ? LIMIT ?",
    "cut": "SELECT DISTINCT session_id, cut FROM {table} WHERE session_id = ?",
    "sessions": "SELECT DISTINCT session_id FROM {table}",
    "remove": "DELETE FROM {table} USING TIMESTAMP ? WHERE session_id = ? AND event_id < ?",
    "discard": "DELETE FROM {table} USING TIMESTAMP ? WHERE session_id = ? AND event_id = ?",
    "discard_cut": "DELETE cut FROM {table} USING TIMESTAMP ? WHERE session_id = ?",
}
_VERSION_AT, _VERSION_7 = 6, 7

Replication = int | Mapping[str, int] | None
"""Copies of each row: a number, in the data center that we write to, or one for each data center by name."""


class Names(NamedTuple):
    """Where the events lie."""

    keyspace: str
    table: str

    def __str__(self) -> str:
        return f'"{self.keyspace}"."{self.table}"'


class Statements(NamedTuple):
    """What is asked, prepared and idempotent."""

    insert: Any
    insert_ttl: Any
    insert_cut: Any
    newest: Any
    newest_before: Any
    cut: Any
    sessions: Any
    remove: Any
    discard: Any
    discard_cut: Any


def checked_names(keyspace: str, table: str) -> Names:
    """Give both names; `ConfigurationError` for one that Cassandra cannot have."""
    for what, name in (("keyspace", keyspace), ("table", table)):
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"expected as {what} 1 to {NAME_CHARS_MAX} letters, digits and underscores; found {name!r}"
            )
    return Names(keyspace, table)


def prepared(session: Any, names: Names) -> Statements:
    """Prepare all statements."""
    statements = Statements(**{name: session.prepare(text.format(table=names)) for name, text in _TEXTS.items()})
    for statement in statements:
        statement.is_idempotent = True
        statement.column_metadata = [one._replace(type=_as_bytes(one.type)) for one in statement.column_metadata]
        statement.result_metadata = [(*one[:3], _as_bytes(one[3])) for one in statement.result_metadata or ()]
    return statements


def _as_bytes(kind: Any) -> Any:
    """Have an id be its 16 bytes both ways: no UUID object is made (cassandra_links.py for what is prepared again)."""
    return BytesType if kind is UUIDType else kind


@dataclass(frozen=True)
class Table:
    """A table that is to be there."""

    names: Names
    replication: Replication
    provision: bool

    def make_sure(self, session: Any) -> None:
        """Make what is missing, or say what; `BackendUnavailable` for a table of another shape."""
        found = self._found(session)
        if not found and self.provision:
            self._make(session)
            found = self._found(session)
        if not found:
            raise BackendUnavailable(f"expected the table {self.names}, found none; make it, or let it be provisioned")
        wrong = [f"{name}: {found.get(name, 'none')}" for name, kind in _SHAPE.items() if found.get(name) != kind]
        wrong += [f"{name}: {kind}" for name, kind in found.items() if name not in _SHAPE and _is_key(kind)]
        if wrong:
            expected = ", ".join(f"{name}: {kind}" for name, kind in _SHAPE.items())
            raise BackendUnavailable(
                f"expected {self.names} with the columns {expected}; found {', '.join(wrong)}; name another table"
            )

    def _found(self, session: Any) -> dict[str, str]:
        rows = session.execute(_FIND_COLUMNS, self.names, timeout=DDL_TIMEOUT_S)
        return {name: " ".join([kind, *rest]) for name, kind, *rest in map(_without_none, rows)}

    def _make(self, session: Any) -> None:
        if not list(session.execute(_FIND_KEYSPACE, (self.names.keyspace,), timeout=DDL_TIMEOUT_S)):
            session.execute(self._make_keyspace(session), timeout=DDL_TIMEOUT_S)
        session.execute(_MAKE_TABLE.format(table=self.names), timeout=DDL_TIMEOUT_S)

    def _make_keyspace(self, session: Any) -> str:
        copies = self.replication
        if not isinstance(copies, Mapping):
            hosts = list(session.cluster.metadata.all_hosts())
            copies = {hosts[0].datacenter: copies or min(_REPLICAS_DEFAULT_MAX, len(hosts))}
        listed = "".join(f", '{name}': {count:d}" for name, count in copies.items())
        return (
            f'CREATE KEYSPACE IF NOT EXISTS "{self.names.keyspace}" '
            f"WITH replication = {{'class': 'NetworkTopologyStrategy'{listed}}}"
        )


def checked_replication(replication: Replication) -> Replication:
    """Give it back; `ConfigurationError` for what Cassandra cannot have."""
    copies = replication if isinstance(replication, Mapping) else {"all": 1 if replication is None else replication}
    for name, count in copies.items():
        if not _DATA_CENTER.fullmatch(name) or type(count) is not int or count < 1:
            raise ConfigurationError(f"expected replication as a number of copies for each data center; found {copies}")
    return replication


def timestamp_us(event_id: bytes) -> int:
    """Give the time of an id as Cassandra writes times."""
    return int.from_bytes(event_id[:6], "big") * 1000


def id_bound(bound: bytes) -> bytes:
    """Give the smallest UUIDv7 that is not below a bound of any bytes: Cassandra orders UUIDs by version first."""
    version = bound[_VERSION_AT] >> 4
    if version == _VERSION_7:
        return bound
    head = int.from_bytes(bound[:_VERSION_AT], "big") + (version > _VERSION_7)
    if head.bit_length() > 8 * _VERSION_AT:
        return b"\xff" * _VERSION_AT + b"\x7f" + b"\xff" * (ID_BYTES - _VERSION_AT - 1)
    return head.to_bytes(_VERSION_AT, "big") + bytes((_VERSION_7 << 4,)) + bytes(ID_BYTES - _VERSION_AT - 1)


def _without_none(row: Any) -> list[str]:
    name, kind, place, order = row
    return [name, kind, place] + ([order] if order not in (None, "none", "NONE") else [])


def _is_key(kind: str) -> bool:
    return "partition_key" in kind or "clustering" in kind
