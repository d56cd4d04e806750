"""What Cassandra answers when it cannot, and when it never will: nothing waits for nothing, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cassandra import InvalidRequest, OperationTimedOut, ReadTimeout, Unauthorized, Unavailable, WriteTimeout
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionShutdown
from cassandra.protocol import OverloadedErrorMessage, ServerError

import eventlog
from eventlog.adapters import cassandra_flight, from_url
from eventlog.adapters.cassandra_words import told
from eventlog.errors import BackendUnavailable, EventRejected, SessionUnavailable
from tests.contract.suite import ALL, messages
from tests.core.records import NOON_MS, eid, said
from tests.core.tools import eventually
from tests.servers.cassandra_client import DDL_TIMEOUT_S, PASSWORD, USER
from tests.servers.cassandra_fixtures import Keyspace

POISON_BYTES = 5 << 20


@pytest.fixture
def guest(cassandra: Keyspace) -> Iterator[str]:
    """Give the URL of a user who may do nothing yet."""
    name = f"guest_{uuid4().hex}"
    cassandra.session.execute(f"CREATE ROLE {name} WITH PASSWORD = 'secret-{name}' AND LOGIN = true")
    yield cassandra.url.replace(f"{USER}:{PASSWORD}", f"{name}:secret-{name}")
    cassandra.session.execute(f"DROP ROLE {name}", timeout=DDL_TIMEOUT_S)


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("x", required_replicas=2, alive_replicas=1),
        WriteTimeout("x", write_type=0),
        ReadTimeout("x"),
        OperationTimedOut(),
        OverloadedErrorMessage(0x1001, "x", None),
        ServerError(0, "java.lang.RuntimeException", None),
        NoHostAvailable("x", {}),
        ConnectionShutdown("x"),
        OSError("x"),
        InvalidRequest("unconfigured table eventlog"),
        InvalidRequest("Keyspace 'k' does not exist"),
        Unauthorized("x"),
    ],
)
def test_what_may_pass_is_unavailable(error: BaseException) -> None:
    """It is tried again, whole; in part where others are served."""
    found = told("cassandra:x", error)
    assert isinstance(found, BackendUnavailable)
    assert not isinstance(found, SessionUnavailable)
    assert isinstance(told("cassandra:x", error, in_part=True), SessionUnavailable)


def test_what_we_found_ourselves_is_told_with_the_place() -> None:
    """A table of another shape, a connection that takes too long."""
    found = told("cassandra:x", BackendUnavailable("expected a table"))
    assert (type(found), str(found)) == (BackendUnavailable, "cassandra:x: expected a table")


def test_what_never_passes_is_rejected() -> None:
    """For whatever part of the store."""
    for error in (InvalidRequest("Key length of 70000 is longer than maximum of 65535"),):
        assert isinstance(told("cassandra:x", error, in_part=True), EventRejected)


def test_event_that_is_refused_fails_alone(cassandra: Keyspace) -> None:
    """`append` names its session and stores the others."""
    backend = from_url(cassandra.url)
    poison = said(eid(NOON_MS), "x" * POISON_BYTES)
    failed = backend.append({"a": messages(1), "bad": [poison], "b": messages(1)})
    assert set(failed) == {"bad"}
    assert isinstance(failed["bad"], EventRejected), failed
    assert "xxx" not in str(failed["bad"])
    assert backend.read("a", limit=ALL) == backend.read("b", limit=ALL) == messages(1)
    backend.close()


def test_refused_event_is_a_dead_letter_and_its_neighbours_arrive(cassandra: Keyspace, tmp_path: Path) -> None:
    """Those of its own session too."""
    with eventlog.open(cassandra.url, journal=tmp_path / "j") as log:
        log.history("s").add("before")
        log.history("s").add("x" * POISON_BYTES)
        log.history("s").add("after")
        log.history("t").add("other")
        eventually(lambda: log.status().backends["cassandra"].dead_letters == 1)
        log.flush(20)
        assert log.status().backends["cassandra"].dead_letters == 1
        assert len(cassandra.rows()) == 3


def test_wrong_password_is_told_and_waits(cassandra: Keyspace, tmp_path: Path) -> None:
    """In `last_error`, without any password; nothing is dropped, a read says that it is incomplete."""
    url = cassandra.url.replace(f":{PASSWORD}@", ":not-the-pa55word@")
    with eventlog.open(url, journal=tmp_path / "j") as log:
        log.history("s").add("kept")
        eventually(lambda: "wrong password" in (log.status().backends["cassandra"].last_error or ""))
        status = log.status().backends["cassandra"]
        assert "not-the-pa55word" not in str(status)
        assert status.state in ("retrying", "down")
        assert (status.dead_letters, status.lag_events) == (0, 1)
        found = log.history("s").messages()
        assert (found, found.complete) == (["kept"], False)
    with eventlog.open(cassandra.url, journal=tmp_path / "j") as log:
        assert log.flush(20)
        assert log.history("s").messages() == ["kept"]


def test_missing_rights_are_told_and_wait(cassandra: Keyspace, guest: str, tmp_path: Path) -> None:
    """To make the table, then to write; when they are granted all goes on."""

    def tell(cql: str) -> None:
        cassandra.session.execute(cql, timeout=DDL_TIMEOUT_S)

    role = guest.partition("//")[2].partition(":")[0]
    with eventlog.open(f"{guest}?table=guarded", journal=tmp_path / "j") as log:
        log.history("s").add("kept")
        eventually(lambda: "rights missing" in (log.status().backends["cassandra"].last_error or ""))
        owner = from_url(f"{cassandra.url}?table=guarded")
        owner.append({"other": messages(1)})
        owner.close()
        tell(f"GRANT SELECT ON KEYSPACE {cassandra.name} TO {role}")
        eventually(lambda: "MODIFY" in (log.status().backends["cassandra"].last_error or ""))
        assert log.status().backends["cassandra"].dead_letters == 0
        tell(f"GRANT MODIFY ON KEYSPACE {cassandra.name} TO {role}")
        assert log.flush(20), log.status()
        assert log.history("s").messages() == ["kept"]


async def test_read_of_a_session_that_is_too_slow_gives_up(
    cassandra: Keyspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sync and async, in the time that a read has; the next one is answered again."""
    backend: Any = from_url(cassandra.url)
    backend.append({"s": messages(1)})
    profiles = backend._link(5).session.cluster.profile_manager.profiles
    with monkeypatch.context() as patch:
        patch.setattr(profiles["reads"], "request_timeout", 0.000_001)
        with pytest.raises(BackendUnavailable, match="no answer in time"):
            backend.read("s", limit=1)
        with pytest.raises(BackendUnavailable, match="no answer in time"):
            await backend.aread("s", limit=1)
    assert backend.read("s", limit=1) == await backend.aread("s", limit=1) == messages(1)
    backend.close()


def test_driver_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should its own timers die with its thread, the delivery goes on trying."""

    class Mute:
        def execute_async(self, _: object) -> Mute:
            return self

        def add_callbacks(self, *_: object, **__: object) -> None:
            """Call nobody."""

    monkeypatch.setattr(cassandra_flight, "ANSWER_TIMEOUT_S", 0.01)
    flight = cassandra_flight.Flight(Mute(), lambda error, _: told("cassandra:x", error))
    with pytest.raises(BackendUnavailable, match="found none"):
        flight.fly([("s", "statement")])
