"""What every test gets: a journal of its own, and servers that no other test shares data with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.chaos.report import pytest_terminal_summary
from tests.contract.suite import PASSWORD
from tests.servers.cassandra_fixtures import (
    cassandra,
    cassandra_address,
    cassandra_keyspace,
    cassandra_session,
    pytest_collection_modifyitems,
)
from tests.servers.momento import MomentoServer, running_momento
from tests.servers.redis_server import MakeRedis, RedisServer, make_redis
from tests.servers.rockset import RocksetServer, running_rockset

__all__ = [
    "cassandra",
    "cassandra_address",
    "cassandra_keyspace",
    "cassandra_session",
    "pytest_collection_modifyitems",
    "pytest_terminal_summary",
]

DATABASES = 16


@pytest.fixture(autouse=True)
def _own_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a test from the journals and the settings of whoever runs it."""
    monkeypatch.setenv("EVENTLOG_JOURNAL", str(tmp_path / "journal"))
    monkeypatch.delenv("EVENTLOG_URL", raising=False)
    monkeypatch.delenv("EVENTLOG_ACK", raising=False)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """Give the server that the tests of one worker share; who wants to break it takes `own_redis`."""
    with make_redis("--databases", str(DATABASES)) as server:
        yield server


@pytest.fixture(scope="session")
def _turns() -> Iterator[int]:
    return count()


@pytest.fixture
def redis_url(redis_server: RedisServer, _turns: Iterator[int]) -> str:
    """Give an empty database; the next test gets another one, so that a straggler's write meets nobody."""
    url = f"redis://127.0.0.1:{redis_server.port}/{next(_turns) % DATABASES}"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def own_redis() -> Iterator[MakeRedis]:
    """Give a maker of running servers, with the arguments of `RedisServer`; they stop with the test."""
    with ExitStack() as servers:

        def start(*extra: str, **options: Any) -> RedisServer:
            return servers.enter_context(make_redis(*extra, **options))

        yield start


@pytest.fixture(scope="session")
def momento_server() -> Iterator[MomentoServer]:
    """Give the Momento server that the tests of one worker share; each has a cache of its own."""
    with running_momento(api_key=PASSWORD) as server:
        yield server


@pytest.fixture(scope="session")
def rockset_server() -> Iterator[RocksetServer]:
    """Give the Rockset server that the tests of one worker share; each has a collection of its own."""
    with running_rockset(api_key=PASSWORD) as server:
        yield server
