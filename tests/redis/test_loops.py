"""Async connections belong to a loop and go with it, without a word and without being asked to."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from eventlog.adapters import redis_clients
from eventlog.adapters.redis import RedisBackend
from tests.contract.suite import ALL, messages
from tests.redis.conftest import Open
from tests.servers.redis_fleet import Cluster, connections
from tests.servers.redis_guarded import Guarded
from tests.servers.redis_server import MakeRedis
from tests.servers.waiting import until

ROOT = Path(__file__).parents[2]
READS_IN_LOOPS = """
import asyncio, gc, sys
from eventlog.adapters import from_url
backend = from_url(sys.argv[1])
async def read_all():
    await asyncio.gather(*(backend.aread(f"s{n}", limit=5) for n in range(9)))
for _ in range(3):
    asyncio.run(read_all())
    gc.collect()
assert not backend._clients._loops[list(backend._clients._loops)[-1]].pools
backend.close()
"""


@pytest.mark.parametrize("kind", ["server", "cluster", "guarded"])
def test_a_program_that_ends_its_loops_is_told_nothing(kind: str, request: pytest.FixtureRequest) -> None:
    """With every warning on: no connection is left open by `asyncio.run`, of servers or of sentinels."""
    if kind == "server":
        url = request.getfixturevalue("redis_url")
    else:
        fleet: Cluster | Guarded = request.getfixturevalue(kind)
        url = fleet.url
    words = [sys.executable, "-X", "dev", "-W", "always", "-c", READS_IN_LOOPS, url]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


async def test_closing_a_backend_closes_what_its_loops_hold(own_redis: MakeRedis, backend_of: Open) -> None:
    """The loop goes on; the connections do not."""
    server = own_redis()
    backend = backend_of(server.url)
    backend.append({"s": messages(1)})
    await asyncio.gather(*(backend.aread("s", limit=1) for _ in range(5)))
    assert connections(server) > 1
    backend.close()
    await asyncio.to_thread(until, lambda: connections(server) == 0)
    assert await backend.aread("s", limit=ALL) == messages(1)


async def test_a_burst_of_reads_opens_few_connections(
    own_redis: MakeRedis, backend_of: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks wait for their turn."""
    monkeypatch.setattr(redis_clients, "ASYNC_READS_MAX", 7)
    server = own_redis()
    backend = backend_of(server.url)
    backend.append({f"s{number}": messages(2, start=number) for number in range(300)})
    backend._clients.close()
    found = await asyncio.gather(*(backend.aread(f"s{number}", limit=ALL) for number in range(300)))
    assert found == [messages(2, start=number) for number in range(300)]
    assert 1 <= connections(server) <= 7


def test_loops_that_were_only_closed_are_forgotten(own_redis: MakeRedis, backend_of: Open) -> None:
    """A program that makes many of them by hand does not gather their connections."""
    server = own_redis()
    backend: RedisBackend = backend_of(server.url)
    backend.append({"s": messages(1)})
    for _ in range(20):
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(backend.aread("s", limit=ALL)) == messages(1)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        assert len(backend._clients._loops) == 1
    assert connections(server) == 1
