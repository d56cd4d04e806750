"""Who may, and over what: TLS, sockets, users and rights; what is wrong is told apart, and nothing is dropped."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from redis.cluster import RedisCluster

import eventlog
from eventlog.adapters.redis import RedisBackend
from eventlog.demo.server import HOST
from eventlog.errors import BackendUnavailable, SessionUnavailable
from tests.contract.suite import ALL, messages
from tests.core.tools import eventually
from tests.redis.conftest import Open
from tests.servers.redis_fleet import Cluster, running_cluster, tell
from tests.servers.redis_guarded import SERVICE, SentinelServer
from tests.servers.redis_server import MakeRedis
from tests.servers.tls import Certificate, TlsFront

SECRET = "s3cret: pa55@/word"  # noqa: S105 - it guards nothing
QUOTED = "s3cret%3A%20pa55%40%2Fword"
RIGHTS = ("~eventlog:*", "resetchannels", "+zadd", "+zrange", "+pexpireat", "+zremrangebylex", "+scan", "+select")

CLUSTER_RIGHTS = ("+cluster|slots", "+cluster|info")


async def works(backend: RedisBackend, session: str = "s") -> None:
    """Write, read both ways, list, and look for clears."""
    assert backend.append({session: messages(2)}) == {}
    assert backend.read(session, limit=ALL) == await backend.aread(session, limit=ALL) == messages(2)
    assert session in backend.sessions()
    assert backend.cuts([session]) == {}
    backend.remove(session, messages(1)[0][:16])
    backend.close()


async def test_tls_with_a_certificate_that_is_trusted(
    own_redis: MakeRedis, certificate: Certificate, backend_of: Open
) -> None:
    """By a URL and by a client; one that nobody trusts is told as such and not gone round."""
    with TlsFront(own_redis().port, certificate) as front:
        at = f"{HOST}:{front.port}/7"
        await works(backend_of(f"rediss://{at}?ssl_ca_certs={certificate.certificate}"))
        await works(backend_of(f"rediss://{at}?ssl_cert_reqs=none&ssl_check_hostname=false"))
        client = redis.Redis(HOST, front.port, db=7, ssl=True, ssl_ca_certs=str(certificate.certificate))
        await works(RedisBackend(client))
        assert RedisBackend(client).identity == f"redis:{HOST}:{front.port}/7"
        for call in ("read", "aread"):
            with pytest.raises(BackendUnavailable, match="a certificate that is not trusted"):
                await anyhow(backend_of(f"rediss://{at}"), call)


async def anyhow(backend: RedisBackend, call: str) -> list[bytes]:
    """Read, one way or the other."""
    return await backend.aread("s", limit=1) if call == "aread" else backend.read("s", limit=1)


async def test_tls_with_a_certificate_of_the_client(
    own_redis: MakeRedis, certificate: Certificate, backend_of: Open
) -> None:
    """Servers may ask for one."""
    with TlsFront(own_redis().port, certificate, mutual=True) as front:
        url = f"rediss://{HOST}:{front.port}/7?ssl_ca_certs={certificate.certificate}"
        await works(backend_of(f"{url}&ssl_certfile={certificate.certificate}&ssl_keyfile={certificate.key}"))
        with pytest.raises(BackendUnavailable):
            backend_of(url).append({"s": messages(1)})


async def test_tls_to_a_cluster_goes_to_each_node(certificate: Certificate, backend_of: Open) -> None:
    """By the ports that the nodes announce, and by a client that maps addresses."""
    with running_cluster(1) as cluster:
        (node,) = cluster.nodes
        with TlsFront(node.port, certificate) as front:
            options = f"ssl_ca_certs={certificate.certificate}"
            client = RedisCluster(
                host=HOST,
                port=front.port,
                ssl=True,
                ssl_ca_certs=str(certificate.certificate),
                address_remap=lambda address: (HOST, front.port) if address[1] == node.port else address,
            )
            await works(RedisBackend(client))
            tell(node, "CONFIG", "SET", "cluster-announce-port", front.port)
            await works(backend_of(f"rediss://{HOST}:{front.port}?{options}"))
            await works(backend_of(f"rediss+cluster://{HOST}:{front.port}?{options}"))


async def test_tls_to_sentinels_and_to_the_master(
    own_redis: MakeRedis, certificate: Certificate, backend_of: Open
) -> None:
    """Both ways of a connection are covered."""
    master = own_redis()
    with (
        TlsFront(master.port, certificate) as front,
        SentinelServer(master, port=front.port) as sentinel,
        TlsFront(sentinel.port, certificate) as guard,
    ):
        url = f"rediss+sentinel://{HOST}:{guard.port}/{SERVICE}"
        await works(backend_of(f"{url}?ssl_ca_certs={certificate.certificate}"))
        with pytest.raises(BackendUnavailable, match="no sentinel names a master"):
            backend_of(url).append({"s": messages(1)})


async def test_a_socket_of_this_host(own_redis: MakeRedis, tmp_path: Path, backend_of: Open) -> None:
    """With a user, a password and a database."""
    path = tmp_path / "redis.sock"
    server = own_redis("--unixsocket", str(path))
    tell(server, "ACL", "SETUSER", "app", "on", f">{SECRET}", *RIGHTS)
    backend = backend_of(f"unix://app:{QUOTED}@{path}?db=3")
    assert backend.identity == f"redis:unix:{path}/3"
    await works(backend)
    await works(RedisBackend(redis.Redis(unix_socket_path=str(path), db=3, username="app", password=SECRET)))
    server.kill()
    with pytest.raises(BackendUnavailable, match="unreachable"):
        backend.append({"s": messages(1)})


async def test_a_user_needs_few_rights(own_redis: MakeRedis, backend_of: Open) -> None:
    """Five commands on keys that begin with `eventlog:`; these are what docs/redis.md names."""
    server = own_redis()
    tell(server, "ACL", "SETUSER", "app", "on", f">{SECRET}", *RIGHTS)
    await works(backend_of(f"redis://app:{QUOTED}@{HOST}:{server.port}"))


async def test_a_wrong_password_and_missing_rights_are_told_apart(own_redis: MakeRedis, backend_of: Open) -> None:
    """A person reads which it is, whose it is, and no password; neither is a fault of one session."""
    server = own_redis(password=SECRET)
    tell(server, "ACL", "SETUSER", "reader", "on", f">{SECRET}", "~*", "+zrange")
    tell(server, "ACL", "SETUSER", "stranger", "on", f">{SECRET}", "~other:*", "+@all")
    at = f"{HOST}:{server.port}"
    wrong = [f"redis://{at}", f"redis://:{QUOTED}x@{at}", f"redis://nobody:{QUOTED}@{at}"]
    for url, words in [*((url, "wrong password or user") for url in wrong)]:
        await refused(backend_of(url), words)
    reader = backend_of(f"redis://reader:{QUOTED}@{at}")
    assert reader.read("s", limit=1) == await reader.aread("s", limit=1) == []
    with pytest.raises(BackendUnavailable, match=r"rights missing.*zadd"):
        reader.append({"s": messages(1)})
    await refused(backend_of(f"redis://stranger:{QUOTED}@{at}"), "rights missing")


def test_rights_that_are_missing_in_a_cluster_concern_all_of_it(cluster: Cluster, backend_of: Open) -> None:
    """They are the same on every node, so nothing is held: all waits."""
    for node in cluster.nodes:
        tell(node, "ACL", "SETUSER", "app", "on", f">{SECRET}", "~*", *CLUSTER_RIGHTS, "+zrange")
    backend = backend_of(cluster.url.replace("redis://", f"redis://app:{QUOTED}@"))
    assert backend.read("s", limit=1) == []
    assert backend._clients.in_parts
    with pytest.raises(BackendUnavailable, match="rights missing") as caught:
        backend.append({"s": messages(1)})
    assert not isinstance(caught.value, SessionUnavailable)
    for node in cluster.nodes:
        tell(node, "ACL", "DELUSER", "app")


async def refused(backend: RedisBackend, words: str) -> None:
    """Fail in the same words whatever is asked."""
    for call in ("append", "read", "aread"):
        with pytest.raises(BackendUnavailable, match=words) as caught:
            backend.append({"s": messages(1)}) if call == "append" else await anyhow(backend, call)
        assert not isinstance(caught.value, SessionUnavailable)
        assert "pa55" not in str(caught.value)


@pytest.mark.parametrize("fault", ["password", "rights"])
def test_what_is_not_let_in_waits_and_nothing_is_dropped(own_redis: MakeRedis, tmp_path: Path, fault: str) -> None:
    """It is retried until somebody puts it right; then all is delivered, in order, and nothing is a dead letter."""
    server = own_redis()
    password, rights = ("another", RIGHTS) if fault == "password" else (SECRET, ("~*", "+zrange"))
    tell(server, "ACL", "SETUSER", "app", "on", f">{password}", *rights)
    with eventlog.open(f"redis://app:{QUOTED}@{HOST}:{server.port}", journal=tmp_path / "j") as log:
        for number in range(100):
            log.history(f"s{number % 7}").add({"n": number})
        eventually(lambda: log.status().backends["redis"].retries > 1)
        told = log.status().backends["redis"]
        assert ("wrong password" if fault == "password" else "rights missing") in (told.last_error or "")
        assert (told.lag_events, told.dead_letters, told.delivered) == (100, 0, 0)
        assert len(log.history("s0").messages()) == 15, "what waits is read meanwhile"
        tell(server, "ACL", "SETUSER", "app", "resetkeys", f">{SECRET}", *RIGHTS)
        assert log.flush(10)
        assert (log.status().backends["redis"].dead_letters, log.status().backends["redis"].lag_events) == (0, 0)
        for session in range(7):
            found = log.history(f"s{session}").messages()
            assert (found.complete, [message["n"] for message in found]) == (True, list(range(session, 100, 7)))


async def test_a_password_that_changes_is_used_by_the_connections_to_come(own_redis: MakeRedis) -> None:
    """A credential provider is asked for each of them: tokens that expire need nothing else."""
    server = own_redis()
    given = ["first"]

    class Tokens(redis.CredentialProvider):
        def get_credentials(self) -> tuple[str, str]:
            return "app", given[-1]

    tell(server, "ACL", "SETUSER", "app", "on", ">first", *RIGHTS)
    backend = RedisBackend(redis.Redis(HOST, server.port, credential_provider=Tokens()))
    await works(backend)
    await backend.aread("s", limit=1)
    tell(server, "ACL", "DELUSER", "app")
    tell(server, "ACL", "SETUSER", "app", "on", ">second", *RIGHTS)
    with pytest.raises(BackendUnavailable, match="wrong password"):
        backend.append({"s": messages(1)})
    given.append("second")
    await works(backend)
    assert backend.identity == f"redis:{HOST}:{server.port}/0"
