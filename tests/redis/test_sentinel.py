"""A master that sentinels name: it dies, another takes its place, and everything goes there."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from redis.sentinel import Sentinel

import eventlog
from eventlog.adapters.redis import RedisBackend
from eventlog.demo.server import HOST, hold_port
from eventlog.errors import BackendUnavailable
from tests.contract.suite import ALL, messages
from tests.redis.conftest import Open
from tests.servers.redis_fleet import has_all_of, role, tell
from tests.servers.redis_guarded import SERVICE, Guarded, SentinelServer, running_guarded
from tests.servers.waiting import until

SECRET = "s3cret: pa55@/word"  # noqa: S105 - it guards nothing
QUOTED = "s3cret%3A%20pa55%40%2Fword"


async def test_the_master_is_found_by_a_url_and_by_a_client(guarded: Guarded, backend_of: Open) -> None:
    """Also by a client that reads from replicas: ours writes, and reads what it wrote."""
    manager = Sentinel([(HOST, guarded.sentinel.port)], decode_responses=True)  # type: ignore[no-untyped-call]
    clients = [manager.master_for(SERVICE), manager.slave_for(SERVICE)]  # type: ignore[no-untyped-call]
    backends = [backend_of(guarded.url), *map(RedisBackend, clients)]
    assert len({backend.identity for backend in backends}) == 1
    for number, backend in enumerate(backends):
        assert backend.append({f"s{number}": messages(2)}) == {}
        assert backend.read(f"s{number}", limit=ALL) == await backend.aread(f"s{number}", limit=ALL) == messages(2)
    assert sorted(backends[0].sessions()) == ["s0", "s1", "s2"]
    assert tell(guarded.master, "DBSIZE") == 3
    for backend in backends:
        backend.close()


async def test_a_failover_in_the_middle_of_a_load_loses_nothing(guarded: Guarded, tmp_path: Path) -> None:
    """SIGKILL of a master whose replica has its data; the old one comes back as a replica and gets nothing."""
    with eventlog.open(guarded.url, journal=tmp_path / "j") as log:
        chat = log.history("s")
        for number in range(400):
            chat.add({"n": number})
            if number == 200:
                assert log.flush(10)
                await chat.amessages()
                until(lambda: has_all_of(guarded.replica, guarded.master))
                guarded.master.kill()
        assert log.flush(20)
        assert role(guarded.replica) == "master"
        assert [message["n"] for message in chat.messages()] == list(range(400))
        found = await chat.amessages()
        assert (len(found), found.complete, found.source) == (400, True, "redis")
        assert log.status().backends["redis"].dead_letters == 0
        guarded.master.start()
        until(lambda: role(guarded.master) == "slave")
        chat.add({"n": 400})
        assert log.flush(10)
        assert guarded.named() == guarded.replica.port
        assert len(chat.messages()) == 401


async def test_a_master_that_was_made_a_replica_is_left(guarded: Guarded, backend_of: Open) -> None:
    """No old connection of a reader or a writer goes on with it, and no call has to fail for that."""
    backend = backend_of(guarded.url)
    backend.append({"s": messages(1)})
    await backend.aread("s", limit=1)
    tell(guarded.sentinel, "SENTINEL", "FAILOVER", SERVICE)
    until(lambda: guarded.named() == guarded.replica.port and role(guarded.master) == "slave")
    backend.append({"s": messages(2)})
    assert tell(guarded.replica, "ZCARD", "eventlog:{s}:e") == 2
    assert backend.read("s", limit=ALL) == await backend.aread("s", limit=ALL) == messages(2)


def test_one_living_sentinel_is_enough(guarded: Guarded, backend_of: Open) -> None:
    """Whichever it is of those that the URL names."""
    port, holder = hold_port()
    hosts = [f"{HOST}:{port}", f"{HOST}:{guarded.sentinel.port}"]
    for order in (hosts, hosts[::-1]):
        backend = backend_of(f"redis+sentinel://{','.join(order)}/{SERVICE}")
        assert backend.append({"s": messages(1)}) == {}
    holder.close()


async def test_without_a_sentinel_it_is_unavailable_and_no_secret_is_told(backend_of: Open) -> None:
    """Nor in what a log prints of it: a traceback with all causes."""
    port, holder = hold_port()
    backend = backend_of(f"redis+sentinel://u:{QUOTED}@{HOST}:{port}/{SERVICE}")
    with pytest.raises(BackendUnavailable, match="no sentinel names a master") as caught:
        backend.append({"s": messages(1)})
    with pytest.raises(BackendUnavailable, match="no sentinel names a master") as acaught:
        await backend.aread("s", limit=1)
    for error in (caught.value, acaught.value):
        text = "".join(traceback.format_exception(error))
        assert "pa55" not in text
        assert backend.identity in text
    holder.close()


def test_a_service_that_no_sentinel_watches_is_told(guarded: Guarded, backend_of: Open) -> None:
    """The name in the URL may be wrong."""
    backend = backend_of(f"redis+sentinel://{HOST}:{guarded.sentinel.port}/another")
    with pytest.raises(BackendUnavailable, match="No master found for 'another'"):
        backend.append({"s": messages(1)})


def test_a_sentinel_is_not_taken_for_a_server(guarded: Guarded, backend_of: Open) -> None:
    """The error shows the URL that would be right."""
    with pytest.raises(BackendUnavailable, match=r"redis\+sentinel://"):
        backend_of(f"redis://{HOST}:{guarded.sentinel.port}").append({"s": messages(1)})


async def test_a_password_is_given_to_servers_and_to_sentinels_that_ask(backend_of: Open) -> None:
    """One password for both, one for each, or none for sentinels."""
    with running_guarded(password=SECRET) as guarded:
        open_url = guarded.url
        assert f":{QUOTED}@" in open_url
        await works(backend_of(open_url))
        for word, more in ((SECRET, ""), ("other word", "?sentinel_password=other%20word")):
            asking = SentinelServer(guarded.master, f'requirepass "{word}"')
            asking.password = word
            with asking:
                at = f"{HOST}:{asking.port}/{SERVICE}"
                await works(backend_of(f"redis+sentinel://:{QUOTED}@{at}{more}"))
                with pytest.raises(BackendUnavailable, match="no sentinel names a master"):
                    backend_of(f"redis+sentinel://:wrong@{at}").read("s", limit=1)
        with pytest.raises(BackendUnavailable, match="wrong password"):
            backend_of(f"redis+sentinel://{HOST}:{guarded.sentinel.port}").read("s", limit=1)


async def works(backend: RedisBackend) -> None:
    """Write and read."""
    assert backend.append({"s": messages(2)}) == {}
    assert backend.read("s", limit=ALL) == await backend.aread("s", limit=ALL) == messages(2)
