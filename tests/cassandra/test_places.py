"""Where a table is: what URLs and sessions say of it, without asking a server."""

from __future__ import annotations

import json
import ssl
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.connection import SniEndPoint, SniEndPointFactory
from cassandra.policies import DCAwareRoundRobinPolicy, TokenAwarePolicy

from eventlog.adapters import cassandra_links, from_url
from eventlog.adapters.cassandra import CassandraBackend
from eventlog.adapters.cassandra_places import place_of
from eventlog.errors import BackendUnavailable, ConfigurationError
from tests.servers.tls import make_certificate

PASSWORD = "s3cret-pa55word"  # noqa: S105 - it opens nothing
ASTRA_HOST = "0123-eu-west-1.db.astra.datastax.com"


class Session:
    """What a backend learns from a session: its cluster."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster


def session(*hosts: Any, **options: Any) -> Session:
    """Give a session that was never connected."""
    profile = ExecutionProfile(load_balancing_policy=DCAwareRoundRobinPolicy(options.pop("dc", "")))
    return Session(Cluster(hosts, execution_profiles={EXEC_PROFILE_DEFAULT: profile}, **options))


class _Refused(Exception):
    """There is no server."""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Write down what the driver is told, and let it go no further."""
    found: list[dict[str, Any]] = []

    def cluster(**options: Any) -> Any:
        found.append(options)
        raise _Refused("nobody is there")

    monkeypatch.setattr(cassandra_links, "Cluster", cluster)
    return found


def told_by(backend: CassandraBackend, told: list[dict[str, Any]]) -> dict[str, Any]:
    """Give what the driver is told when the backend is used."""
    with pytest.raises(BackendUnavailable):
        backend.read("s", limit=1)
    return told.pop()


def opened(url: str) -> CassandraBackend:
    """Give the backend of a URL."""
    backend = from_url(url)
    assert isinstance(backend, CassandraBackend)
    return backend


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("cassandra://localhost/chats", "cassandra:127.0.0.1:9042/chats/eventlog"),
        (f"cassandra://u:{PASSWORD}@B:9043,a/chats?table=T", "cassandra:a:9042,b:9043/chats/T"),
        ("cassandra://a,b:9043/chats?table=T&consistency=one&dc=x", "cassandra:a:9042,b:9043/chats/T"),
        ("cassandra://[::1]:9043/chats", "cassandra:::1:9043/chats/eventlog"),
    ],
)
def test_identity_is_the_table_without_credentials_options_or_order(url: str, identity: str) -> None:
    """It names cursors and stands in logs."""
    backend = opened(url)
    assert (backend.identity, backend.scheme) == (identity, "cassandra")
    assert PASSWORD not in repr(backend._links.place)


def test_table_has_one_identity_from_urls_and_from_sessions() -> None:
    """By the hosts that it was begun with, whatever the credentials are."""
    who = PlainTextAuthProvider("u", PASSWORD)
    sessions = [
        session("127.0.0.1", "127.0.0.2"),
        session("127.0.0.2", "localhost", auth_provider=who),
        session(("127.0.0.2", 9042), "127.0.0.1"),
    ]
    urls = ["cassandra://127.0.0.2,127.0.0.1/k", f"cassandra://u:{PASSWORD}@localhost:9042,127.0.0.2/k?provision=no"]
    found = {CassandraBackend(one, "k").identity for one in sessions} | {opened(url).identity for url in urls}
    assert found == {"cassandra:127.0.0.1:9042,127.0.0.2:9042/k/eventlog"}


def test_driver_is_told_what_the_url_says(told: list[dict[str, Any]]) -> None:
    """Hosts, who, the level, the data center; it retries nothing and never speculates."""
    given = told_by(opened("cassandra://u:p%40ss@a,b:9043/k?consistency=quorum&dc=east"), told)
    assert given["contact_points"] == [("a", 9042), ("b", 9043)]
    assert (given["auth_provider"].username, given["auth_provider"].password) == ("u", "p@ss")
    assert given["protocol_version"] == 4
    for profile in given["execution_profiles"].values():
        assert profile.consistency_level == ConsistencyLevel.QUORUM
        assert isinstance(profile.load_balancing_policy, TokenAwarePolicy)
        child: Any = profile.load_balancing_policy._child_policy
        assert child.local_dc == "east"
        assert profile.speculative_execution_policy.new_plan("k", None).next_execution(None) < 0
        policy = profile.retry_policy
        assert policy.on_write_timeout(None, 1, "SIMPLE", 1, 0, 0) == (policy.RETHROW, None)
        assert policy.on_unavailable(None, 1, 2, 1, 0) == (policy.RETHROW, None)
    writes = given["execution_profiles"][EXEC_PROFILE_DEFAULT].retry_policy
    assert writes.on_request_error(None, 1, OSError(), 0) == (writes.RETHROW, None)


def test_levels_of_default_are_of_the_local_quorum(told: list[dict[str, Any]]) -> None:
    """Of reads and of writes."""
    profiles = told_by(opened("cassandra://a/k"), told)["execution_profiles"].values()
    assert {profile.consistency_level for profile in profiles} == {ConsistencyLevel.LOCAL_QUORUM}


def test_driver_is_told_what_the_session_was_told(told: list[dict[str, Any]]) -> None:
    """Addresses, credentials, TLS, the protocol, the data center; nothing of its retries."""
    context, who = ssl.create_default_context(), PlainTextAuthProvider("u", PASSWORD)
    theirs = session("127.0.0.1", port=9999, auth_provider=who, ssl_context=context, protocol_version=5, dc="east")
    given = told_by(CassandraBackend(theirs, "k"), told)
    assert (given["contact_points"], given["port"]) == (["127.0.0.1"], 9999)
    assert (given["auth_provider"], given["ssl_context"], given["protocol_version"]) == (who, context, 5)
    policy = given["execution_profiles"][EXEC_PROFILE_DEFAULT].load_balancing_policy
    assert policy._child_policy.local_dc == "east"
    assert given["execution_profiles"].keys() == {EXEC_PROFILE_DEFAULT, "reads"}


def test_tls_is_as_the_url_says(told: list[dict[str, Any]], tmp_path: Path) -> None:
    """With the system's authorities, or those of a file."""
    assert "ssl_context" not in told_by(opened("cassandra://a/k"), told)
    context = told_by(opened("cassandra://a/k?tls=true"), told)["ssl_context"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    certificate = make_certificate(tmp_path)
    context = told_by(opened(f"cassandra://a/k?ca={certificate.certificate}"), told)["ssl_context"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, False)
    assert len(context.get_ca_certs()) == 1
    with pytest.raises(ConfigurationError, match="certificates"):
        opened(f"cassandra://a/k?ca={tmp_path}/none")


@pytest.mark.parametrize(
    "url",
    [
        f"cassandra://u:{PASSWORD}@a:port/k",
        f"cassandra://u:{PASSWORD}@a/k?tabel=x",
        f"cassandra://u:{PASSWORD}@a/k?provision=perhaps",
        f"cassandra://u:{PASSWORD}@a/k?replication=many",
        f"cassandra://u:{PASSWORD}@a/k?consistency=most",
        f"cassandra://u:{PASSWORD}@a/k?consistency=any",
        f"cassandra://u:{PASSWORD}@a/k?bundle=x",
        f"cassandra://u:{PASSWORD}@a",
        f"cassandra+astra://:{PASSWORD}@/k",
        f"cassandra+astra://:{PASSWORD}@/k?bundle=/nowhere.zip",
    ],
)
def test_url_that_cannot_be_read_is_refused_without_repeating_it(url: str) -> None:
    """It says what is expected; a password is no part of it."""
    with pytest.raises(ConfigurationError, match="expected") as caught:
        from_url(url)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_object_that_is_no_session_is_refused() -> None:
    """When the backend is made."""
    with pytest.raises(ConfigurationError, match="found str"):
        CassandraBackend("127.0.0.1", "k")


# Astra, as far as it goes without the service


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Give a secure-connect bundle, of which we read where the database is."""
    path = tmp_path / "secure-connect.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"host": ASTRA_HOST, "port": 29080, "keyspace": "k"}))
    return path


def test_astra_is_reached_with_the_bundle_and_the_token(told: list[dict[str, Any]], bundle: Path) -> None:
    """Of the URL."""
    backend = opened(f"cassandra+astra://:AstraCS%3A{PASSWORD}@/k?bundle={bundle}&table=t")
    assert backend.identity == f"cassandra:astra:{ASTRA_HOST}/k/t"
    given = told_by(backend, told)
    assert given["cloud"] == {"secure_connect_bundle": str(bundle)}
    assert (given["auth_provider"].username, given["auth_provider"].password) == ("token", f"AstraCS:{PASSWORD}")
    assert not given.keys() & {"contact_points", "port", "ssl_context"}


def test_astra_takes_the_token_of_the_environment(
    told: list[dict[str, Any]], bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Astra's own tools do."""
    monkeypatch.setenv("ASTRA_DB_APPLICATION_TOKEN", PASSWORD)
    given = told_by(opened(f"cassandra+astra:///k?bundle={bundle}"), told)
    assert given["auth_provider"].password == PASSWORD
    monkeypatch.delenv("ASTRA_DB_APPLICATION_TOKEN")
    with pytest.raises(ConfigurationError, match="ASTRA_DB_APPLICATION_TOKEN"):
        from_url(f"cassandra+astra:///k?bundle={bundle}")


def test_session_on_astra_is_learned_from(told: list[dict[str, Any]], bundle: Path) -> None:
    """Its proxy, certificates and token; the bundle may be gone by now. It has the identity of the URL."""
    context = ssl.create_default_context()
    factory = SniEndPointFactory(ASTRA_HOST, 29042)
    points = [factory.create_from_sni(f"host-{number}") for number in range(3)]
    who = PlainTextAuthProvider("token", PASSWORD)
    options: dict[str, Any] = {"ssl_context": context, "ssl_options": {"check_hostname": True}}
    theirs = session(*points, endpoint_factory=factory, auth_provider=who, **options)
    backend = CassandraBackend(theirs, "k", "t")
    assert backend.identity == opened(f"cassandra+astra://:x@/k?bundle={bundle}&table=t").identity
    given = told_by(backend, told)
    assert all(isinstance(point, SniEndPoint) for point in given["contact_points"])
    assert (given["auth_provider"], given["ssl_context"], given["ssl_options"]) == (
        who,
        context,
        {"check_hostname": True},
    )
    assert isinstance(given["endpoint_factory"], SniEndPointFactory)
    assert given["endpoint_factory"] is not theirs.cluster.endpoint_factory
    assert given["contact_points"] == points


def test_places_are_compared_by_what_they_connect_with() -> None:
    """Two providers of one password are the same, another password is another place."""

    def place(password: str) -> Any:
        return place_of(session("127.0.0.1", auth_provider=PlainTextAuthProvider("u", password)))

    assert place(PASSWORD) == place(PASSWORD)
    assert place(PASSWORD) != place("other")
    assert place(PASSWORD) != place_of(session("127.0.0.1"))
