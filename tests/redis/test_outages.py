"""One server that cannot for now, in all the ways there are: nothing is lost, nothing is taken for an event's fault."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

import pytest
import redis

import eventlog
from eventlog.adapters import redis_clients
from eventlog.adapters.redis import RedisBackend
from eventlog.adapters.redis_wire import pack
from eventlog.demo.server import HOST
from eventlog.errors import BackendUnavailable, EventRejected, SessionUnavailable
from tests.contract.suite import ALL, messages
from tests.core.records import NOON_MS, eid, said
from tests.core.tools import eventually
from tests.redis.conftest import Open
from tests.servers.proxy import Proxy
from tests.servers.redis_fleet import connections, tell
from tests.servers.redis_server import MakeRedis
from tests.servers.waiting import until

POISON_BYTES = 1_100_000


def test_a_full_server_is_an_outage_and_no_poison(own_redis: MakeRedis, tmp_path: Path) -> None:
    """What it took before stays, what it cannot take waits, and all is there when it has room again."""
    server = own_redis("--maxmemory", "6mb", "--maxmemory-policy", "noeviction")
    texts = [{"n": number, "text": "x" * 10_000} for number in range(600)]
    with eventlog.open(server.url, journal=tmp_path / "j") as log:
        for number, text in enumerate(texts):
            log.history(f"s{number % 5}").add(text)
        eventually(lambda: "out of memory" in (log.status().backends["redis"].last_error or ""))
        status = log.status().backends["redis"]
        assert (status.dead_letters, status.lag_events > 0) == (0, True)
        assert len(log.history("s0").messages()) == 120, "what waits is read meanwhile"
        tell(server, "CONFIG", "SET", "maxmemory", 0)
        assert log.flush(20)
        assert log.status().backends["redis"].dead_letters == 0
        for session in range(5):
            assert list(log.history(f"s{session}").messages()) == texts[session::5]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--min-replicas-to-write", "1"), "too few replicas"),
        (("--maxmemory", "1", "--maxmemory-policy", "noeviction"), "out of memory"),
        (("--maxclients", "1"), "max number of clients"),
    ],
)
def test_what_a_server_cannot_for_now_is_told_of_it_as_a_whole(
    own_redis: MakeRedis, backend_of: Open, options: tuple[str, ...], words: str
) -> None:
    """`append` raises, so that all of the batch comes again; reads say the same only where they cannot either."""
    server = own_redis(*options)
    with redis.Redis.from_url(server.url) as other:
        other.ping()
        with pytest.raises(BackendUnavailable, match=words) as caught:
            backend_of(server.url).append({"a": messages(1), "b": messages(1)})
    assert not isinstance(caught.value, (EventRejected, SessionUnavailable))


def test_a_read_only_replica_is_told_apart(own_redis: MakeRedis, backend_of: Open) -> None:
    """It reads, and says why it does not write."""
    primary = own_redis()
    replica = own_redis(replica_of=primary)
    backend = backend_of(replica.url)
    assert backend.read("s", limit=1) == []
    with pytest.raises(BackendUnavailable, match="a read-only replica"):
        backend.append({"s": messages(1)})
    backend._clients.call(None, [pack(b"PING")], redis_clients.READ_TIMEOUT_S)
    assert connections(replica) == 1, "of the reader: the writer's would stay with it, wherever its name leads by then"
    tell(replica, "REPLICAOF", "NO", "ONE")
    assert backend.append({"s": messages(1)}) == {}


def test_closing_ends_a_call_that_hangs(own_redis: MakeRedis, backend_of: Open) -> None:
    """It does not begin anew: a log that closes does not wait for its time-outs."""
    server = own_redis()
    backend = backend_of(server.url)
    backend.append({"s": messages(1)})
    server.freeze()
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(backend.append, {"s": messages(2)})
        until(lambda: any(way.pool._in_use_connections for way in backend._clients._ways.values()))
        began = time.monotonic()
        backend.close()
        with pytest.raises(BackendUnavailable):
            hanging.result(10)
        assert time.monotonic() - began < 1
    server.thaw()


def test_a_server_that_loads_its_data_is_waited_for(own_redis: MakeRedis, backend_of: Open) -> None:
    """After a restart with a long log it answers, and not with data."""
    server = own_redis("--key-load-delay", "50", "--appendfsync", "no", durable=True)
    backend = backend_of(server.url)
    backend.append({f"s{number}": messages(1) for number in range(15_000)})
    server.kill()
    with patch.object(server, "_wait_until_ready"):
        server.start()
    found = set()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if backend.read("s14999", limit=ALL) == messages(1):
                break
        except BackendUnavailable as error:
            found.add(str(error).split(": ")[1])
    assert "still loading its data" in found
    assert backend.append({"s": messages(1)}) == {}


def test_an_event_that_the_server_will_never_take_is_a_dead_letter_alone(own_redis: MakeRedis, tmp_path: Path) -> None:
    """Where an administrator has lowered the largest size of a value; all others go on."""
    server = own_redis("--proto-max-bulk-len", "1mb")
    with eventlog.open(server.url, journal=tmp_path / "j") as log:
        for number in range(10_000):
            log.history(f"s{number % 3}").add({"n": number, "text": "x" * (POISON_BYTES if number == 4512 else 10)})
        assert not log.flush(20)
        assert log.status().backends["redis"].dead_letters == 1
        reader = RedisBackend(redis.Redis(HOST, server.port))
        assert [len(reader.read(f"s{number}", limit=ALL)) for number in range(3)] == [3333, 3333, 3333]


def test_a_value_that_is_too_large_is_rejected_as_a_batch(own_redis: MakeRedis, backend_of: Open) -> None:
    """The server hangs up without saying which it was, while we still write; the core halves the batch."""
    backend = backend_of(own_redis("--proto-max-bulk-len", "1mb").url)
    for size in (POISON_BYTES, 4 * POISON_BYTES):
        large = said(eid(NOON_MS), "x" * size)
        for _ in range(20):
            with pytest.raises(EventRejected, match="bulk length"):
                backend.append({"a": messages(1), "b": [large], "c": messages(1)})
    assert backend.append({"a": messages(1), "c": messages(1)}) == {}


def test_replies_are_never_taken_for_anothers(own_redis: MakeRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a time-out, a cut and a lost reply, each read gets what it asked for."""
    monkeypatch.setattr(redis_clients, "READ_TIMEOUT_S", 0.15)
    with Proxy((HOST, own_redis().port)) as proxy:
        backend = RedisBackend(redis.Redis(HOST, proxy.port, db=9))
        wanted = {f"s{number}": messages(3, start=number) for number in range(5)}
        backend.append(wanted)
        for trouble in ("slow", "cut", "lost"):
            for name, records in wanted.items():
                if trouble == "slow":
                    proxy.delay_s = 0.2
                    with pytest.raises(BackendUnavailable, match="no answer in time"):
                        backend.read(name, limit=ALL)
                    proxy.delay_s = 0.0
                elif trouble == "cut":
                    proxy.cut()
                else:
                    proxy.drop_replies(1)
                assert backend.read(name, limit=ALL) == records
        proxy.resume()
        backend.remove("s0", b"\xff" * 16)
        backend.close()


async def test_async_replies_are_never_taken_for_anothers(
    own_redis: MakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, and after tasks that were cancelled while they waited."""
    monkeypatch.setattr(redis_clients, "READ_TIMEOUT_S", 0.15)
    monkeypatch.setattr(redis_clients, "ASYNC_READS_MAX", 2)
    with Proxy((HOST, own_redis().port)) as proxy:
        backend = RedisBackend(redis.Redis(HOST, proxy.port, db=9))
        wanted = {f"s{number}": messages(3, start=number) for number in range(5)}
        backend.append(wanted)
        for trouble in ("cancelled", "cut", "lost"):
            for _ in range(3):
                if trouble == "cancelled":
                    proxy.delay_s = 0.02
                    tasks = [asyncio.create_task(backend.aread(name, limit=ALL)) for name in wanted]
                    await asyncio.sleep(0.03)
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
                    proxy.delay_s = 0.0
                elif trouble == "cut":
                    proxy.cut()
                else:
                    proxy.drop_replies(1)
                found = await asyncio.gather(*(backend.aread(name, limit=ALL) for name in wanted))
                assert found == list(wanted.values())
        for name in wanted:
            backend.remove(name, b"\xff" * 16)
        backend.close()
        await asyncio.sleep(0)


def test_a_server_that_is_down_when_the_log_is_opened_is_found_later(own_redis: MakeRedis, tmp_path: Path) -> None:
    """Opening waits for nobody, for no kind of URL; what was added meanwhile is delivered."""
    server = own_redis()
    server.kill()
    urls = [f"redis+sentinel://{HOST}:{server.port}", f"redis+cluster://{HOST}:{server.port}", server.url]
    for number, url in enumerate(urls):
        began = time.monotonic()
        log = eventlog.open(url, journal=tmp_path / f"j{number}")
        log.history("s").add("early")
        assert time.monotonic() - began < 1.0
        assert list(log.history("s").messages()) == ["early"]
        if url == server.url:
            server.start()
            assert log.flush(10)
            assert log.history("s").messages().complete
        log.close(0.1)
