"""A cluster: who serves a session changes, and parts of it are away, while the rest goes on."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

import eventlog
from eventlog.adapters import redis_clients
from eventlog.errors import BackendUnavailable, SessionUnavailable
from tests.contract.suite import ALL, messages
from tests.core.records import HOUR_MS, eid, fixed
from tests.redis.conftest import Open
from tests.servers.redis_fleet import Cluster, has_all_of, role, running_cluster, tell
from tests.servers.waiting import until

MANY = [f"session-{number}" for number in range(60)]


async def test_a_plain_url_is_found_to_be_of_a_cluster_when_it_is_used(cluster: Cluster, backend_of: Open) -> None:
    """By a write, a read, an async read or a listing, whichever comes first; every shard is found."""
    assert backend_of(cluster.url).append({name: messages(2) for name in MANY}) == {}
    assert all(tell(node, "DBSIZE") for node in cluster.primaries)
    reader, areader = backend_of(cluster.url), backend_of(cluster.url)
    assert all(reader.read(name, limit=ALL) == messages(2) for name in MANY)
    assert [await areader.aread(name, limit=ALL) for name in MANY] == [messages(2)] * len(MANY)
    assert sorted(backend_of(cluster.url).sessions()) == sorted(MANY)
    assert sorted(backend_of(cluster.url).sessions("session-1")) == sorted(name for name in MANY if "-1" in name)


async def test_a_server_that_joined_a_cluster_since_is_followed(cluster: Cluster, backend_of: Open) -> None:
    """The first redirection tells."""
    for use in ("append", "read", "aread"):
        backend = backend_of(cluster.url)
        backend._clients._asked = True  # it was asked when it stood alone
        if use == "append":
            assert backend.append({name: messages(1) for name in MANY}) == {}
        elif use == "read":
            assert all(backend.read(name, limit=ALL) == messages(1) for name in MANY)
        else:
            assert [await backend.aread(name, limit=ALL) for name in MANY] == [messages(1)] * len(MANY)


def test_one_living_node_of_those_in_the_url_is_enough(cluster: Cluster, backend_of: Open) -> None:
    """Whichever it is."""
    dead, living = [f"127.0.0.{host}:1" for host in (1, 2)], f"127.0.0.1:{cluster.primaries[2].port}"
    backend = backend_of(f"redis+cluster://{dead[0]},{living},{dead[1]}")
    assert backend.append({name: messages(1) for name in MANY}) == {}


async def test_a_slot_that_moved_is_followed(cluster: Cluster, backend_of: Open) -> None:
    """Writes and reads that went by what was known go where the old owner says."""
    source, target = cluster.primaries[1:]
    (session,) = cluster.sessions_on(source, 1)
    backend, stale = backend_of(cluster.url), backend_of(cluster.url)
    for one in (backend, stale):
        one.append({session: messages(1)})
    await stale.aread(session, limit=1)
    with cluster.moving(session, source, target) as move:
        move.keys(session)
        move.finish()
        assert backend.append({session: messages(2), "other": messages(1)}) == {}
        assert stale.read(session, limit=ALL) == await stale.aread(session, limit=ALL) == messages(2)
        assert tell(source, "DBSIZE") == 0


async def test_a_session_whose_keys_are_on_two_nodes_is_whole(cluster: Cluster, backend_of: Open) -> None:
    """While a slot moves, each key is where it is: what is said of it alone is asked of the other node."""
    source, target = cluster.primaries[1:]
    (session,) = cluster.sessions_on(source, 1)
    now_ms = int(time.time() * 1000)
    records = [messages(1)[0], *(fixed(eid(now_ms, number), "x", HOUR_MS) for number in range(3))]
    backend = backend_of(cluster.url)
    backend.append({session: records[:2]})
    with cluster.moving(session, source, target) as move:
        move.keys(session, b"}:x")
        assert (tell(source, "DBSIZE"), tell(target, "DBSIZE")) == (1, 1)
        assert backend.append({session: records[:3]}) == {}
        assert (tell(source, "DBSIZE"), tell(target, "DBSIZE")) == (1, 1), "no key is in two places"
        assert backend.read(session, limit=ALL) == await backend.aread(session, limit=ALL) == records[:3]
        assert backend.cuts([session]) == {}
        move.keys(session)
        move.finish()
        assert backend.append({session: records}) == {}
        assert backend.read(session, limit=ALL) == await backend.aread(session, limit=ALL) == records


async def test_a_shard_that_is_down_takes_only_its_own_sessions_along(cluster: Cluster, backend_of: Open) -> None:
    """They are returned from `append`; all other writes and reads go on; a listing does not pretend to be whole."""
    dead = cluster.primaries[2]
    backend = backend_of(cluster.url)
    backend.append({name: messages(1) for name in MANY})
    lost = cluster.of(dead, MANY)
    assert 0 < len(lost) < len(MANY)
    dead.kill()
    failed = backend.append({name: messages(2) for name in MANY})
    assert set(failed) == lost
    assert {type(error) for error in failed.values()} == {SessionUnavailable}
    assert all("unreachable" in str(error) for error in failed.values())
    assert set(backend.append({name: messages(2) for name in lost})) == lost, "though all of the batch fails"
    for name in set(MANY) - lost:
        assert backend.read(name, limit=ALL) == await backend.aread(name, limit=ALL) == messages(2)
    for name in lost:
        with pytest.raises(SessionUnavailable):
            backend.read(name, limit=ALL)
        with pytest.raises(SessionUnavailable):
            await backend.aread(name, limit=ALL)
    with pytest.raises(BackendUnavailable):
        list(backend.sessions())
    with pytest.raises(BackendUnavailable):
        backend.cuts(MANY)
    dead.start()
    cluster.wait()
    assert backend.append({name: messages(2) for name in MANY}) == {}


def test_a_cluster_that_says_it_is_down_is_down_as_a_whole(backend_of: Open) -> None:
    """With full coverage asked for, one missing shard stops all; when it is back, all go on."""
    with running_cluster(3) as cluster:
        backend = backend_of(cluster.url)
        backend.append({name: messages(1) for name in MANY})
        cluster.hurry()
        cluster.primaries[2].kill()
        until(lambda: not cluster.serves(cluster.primaries[0]) and not cluster.serves(cluster.primaries[1]))
        with pytest.raises(BackendUnavailable, match="down") as caught:
            backend.append({name: messages(2) for name in MANY})
        assert type(caught.value) is BackendUnavailable
        with pytest.raises(BackendUnavailable, match="down") as caught:
            backend.append({cluster.sessions_on(cluster.primaries[0], 1)[0]: messages(1)})
        assert type(caught.value) is BackendUnavailable, "though only one node was asked"
        for node in cluster.primaries[:2]:
            node.kill()
        with pytest.raises(BackendUnavailable, match="unreachable") as caught:
            backend.read(MANY[0], limit=ALL)
        assert type(caught.value) is BackendUnavailable
        for node in cluster.primaries:
            node.start()
        cluster.wait()
        assert backend.append({name: messages(1) for name in MANY}) == {}


def test_one_full_shard_fails_alone_and_all_of_them_as_a_whole(cluster: Cluster, backend_of: Open) -> None:
    """What one cannot take is held; where no node takes anything, everything waits in the journal."""
    backend = backend_of(cluster.url)
    masters = [node for node in cluster.nodes if role(node) == "master"]
    full = cluster.of(masters[0], MANY)
    try:
        tell(masters[0], "CONFIG", "SET", "maxmemory", 1)
        failed = backend.append({name: messages(1) for name in MANY})
        assert set(failed) == full
        assert {type(error) for error in failed.values()} == {SessionUnavailable}
        for node in masters:
            tell(node, "CONFIG", "SET", "maxmemory", 1)
        with pytest.raises(BackendUnavailable, match="out of memory") as caught:
            backend.append({name: messages(1) for name in MANY})
        assert type(caught.value) is BackendUnavailable
    finally:
        for node in masters:
            tell(node, "CONFIG", "SET", "maxmemory", 0)
    assert backend.append({name: messages(1) for name in MANY}) == {}


def test_a_shard_that_hangs_slows_down_the_others_once(
    cluster: Cluster, backend_of: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After one time-out it is left alone for a while, so that it does not cost one for each batch."""
    monkeypatch.setattr(redis_clients, "WRITE_TIMEOUT_S", 0.3)
    frozen = cluster.primaries[2]
    backend = backend_of(cluster.url)
    backend.append({name: messages(1) for name in MANY})
    frozen.freeze()
    failed = backend.append({name: messages(2) for name in MANY})
    assert {str(error).split(": ")[1] for error in failed.values()} == {"no answer in time"}
    began = time.monotonic()
    for count in range(3, 13):
        assert set(backend.append({name: messages(count) for name in MANY})) == set(failed)
    assert time.monotonic() - began < 5 * 0.3
    frozen.thaw()
    monkeypatch.setattr("eventlog.adapters.redis_cluster.monotonic", lambda: time.monotonic() + 6)
    assert backend.append({name: messages(12) for name in MANY}) == {}


def test_a_failover_in_the_middle_of_a_load_loses_nothing(cluster: Cluster, tmp_path: Path) -> None:
    """SIGKILL of a primary whose replica has its data: events wait in the journal until the replica has taken over."""
    primary, replica = sorted((cluster.primaries[0], cluster.replicas[0]), key=role)
    with eventlog.open(cluster.url, journal=tmp_path / "j") as log:
        for number in range(20):
            for name in MANY:
                log.history(name).add({"n": number})
            if number == 10:
                assert log.flush(10)
                until(lambda: has_all_of(replica, primary))
                cluster.hurry()
                primary.kill()
        (here,) = cluster.sessions_on(cluster.primaries[1], 1)
        assert log.history(here).messages().complete
        assert log.flush(20)
        assert role(replica) == "master"
        assert log.status().backends["redis"].dead_letters == 0
        for name in MANY:
            found = log.history(name).messages()
            assert (list(found), found.complete, found.source) == ([{"n": n} for n in range(20)], True, "redis")
        assert sorted(log.sessions()) == sorted(MANY)


def test_a_load_goes_on_while_slots_move(cluster: Cluster, tmp_path: Path) -> None:
    """Every event is there once, in its order, when all slots of its session have changed hands."""
    source, target = cluster.primaries[1:]
    moving = cluster.sessions_on(source, 5)
    with eventlog.open(cluster.url, journal=tmp_path / "j") as log:
        for name in moving:
            log.history(name).add_many([{"n": number} for number in range(5)])
        log.flush(10)
        for part, name in enumerate(moving):
            with cluster.moving(name, source, target, give_back=False) as move:
                for number in range(5 + 3 * part, 8 + 3 * part):
                    for other in moving:
                        log.history(other).add({"n": number})
                log.flush(10)
                assert len(log.history(name).messages()) == 8 + 3 * part
                move.keys(name)
                move.finish()
        assert log.flush(10)
        for name in moving:
            assert list(log.history(name).messages()) == [{"n": number} for number in range(20)]
    for name in moving:
        assert cluster.owner_of(name) is target
        cluster.give(name, target, source)


def test_a_child_has_connections_of_its_own(cluster: Cluster, backend_of: Open) -> None:
    """And the parent's still work."""
    backend = backend_of(cluster.url)
    backend.append({name: messages(1) for name in MANY})
    child = os.fork()
    if child == 0:
        backend.after_fork()
        failed = backend.append({name: messages(2) for name in MANY})
        os._exit(len(failed))
    assert os.waitpid(child, 0)[1] == 0
    assert all(backend.read(name, limit=ALL) == messages(2) for name in MANY)


def test_each_event_loop_reads_with_connections_of_its_own(cluster: Cluster, backend_of: Open) -> None:
    """One loop after another, and many reads at once."""
    backend = backend_of(cluster.url)
    backend.append({name: messages(1) for name in MANY})

    async def all_at_once() -> list[list[bytes]]:
        return await asyncio.gather(*(backend.aread(name, limit=ALL) for name in MANY * 3))

    for _ in range(3):
        assert asyncio.run(all_at_once()) == [messages(1)] * (3 * len(MANY))
