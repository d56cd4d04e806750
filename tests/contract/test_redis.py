"""The Redis adapter keeps the contract on a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from eventlog.adapters import from_url
from eventlog.adapters.redis import RedisBackend
from eventlog.demo.server import hold_port
from eventlog.errors import BackendUnavailable, ConfigurationError
from tests.contract.redis_laws import RedisLaws
from tests.contract.suite import ALL, PASSWORD, messages
from tests.servers.redis_server import MakeRedis


class TestRedis(RedisLaws):
    """An empty database of the shared server for each test."""

    @pytest.fixture
    def client(self, redis_url: str) -> Iterator[redis.Redis]:
        """Give a client of it."""
        with redis.Redis.from_url(redis_url) as client:
            yield client

    @pytest.fixture
    def backend(self, redis_url: str) -> Iterator[RedisBackend]:
        """Give the adapter."""
        backend = RedisBackend(redis.Redis.from_url(redis_url))
        yield backend
        backend.close()

    @pytest.fixture
    def unreachable(self) -> Iterator[RedisBackend]:
        """Give one whose port nobody listens on."""
        port, holder = hold_port()
        yield RedisBackend(redis.Redis.from_url(f"redis://user:{PASSWORD}@127.0.0.1:{port}/0"))
        holder.close()


def test_it_has_one_identity_from_a_url_and_from_an_object() -> None:
    """Host, port and database; whatever the user, the password and the options are."""
    same = [
        from_url("redis://localhost:6379/0"),
        from_url("redis://localhost"),
        from_url(f"redis://user:{PASSWORD}@localhost:6379"),
        from_url("redis://localhost?socket_timeout=3"),
        RedisBackend(redis.Redis()),
        RedisBackend(redis.Redis(password=PASSWORD, decode_responses=True)),
    ]
    assert {backend.identity for backend in same} == {"redis:localhost:6379/0"}
    others = [
        "redis://localhost:6380",
        "redis://localhost/1",
        "redis://elsewhere",
        f"unix://:{PASSWORD}@/run/redis.sock",
    ]
    assert len({from_url(url).identity for url in others} | {same[0].identity}) == 5


@pytest.mark.parametrize(
    "url", [f"redis://user:{PASSWORD}/x@localhost:port", f"redis://:{PASSWORD}@localhost:99999999"]
)
def test_a_url_that_cannot_be_read_is_refused_without_repeating_it(url: str) -> None:
    """A password with an unescaped letter is no reason to print it."""
    with pytest.raises(ConfigurationError) as caught:
        from_url(url).read("s", limit=1)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_wrong_password_is_unavailable_and_told_as_such(own_redis: MakeRedis) -> None:
    """A person reads what is wrong; no password is in it."""
    server = own_redis(password=PASSWORD)
    wrong = f"{PASSWORD}-not"
    backend = RedisBackend(redis.Redis(port=server.port, password=wrong))
    with pytest.raises(BackendUnavailable, match="wrong password") as caught:
        backend.append({"s": messages(1)})
    assert PASSWORD not in str(caught.value)
    nobody = RedisBackend(redis.Redis(port=server.port))
    with pytest.raises(BackendUnavailable, match="wrong password"):
        nobody.read("s", limit=1)
    right = from_url(server.url)
    right.append({"s": messages(1)})
    assert right.read("s", limit=ALL) == messages(1)


def test_a_server_that_is_full_is_unavailable(own_redis: MakeRedis) -> None:
    """It may have room again."""
    server = own_redis("--maxmemory", "1", "--maxmemory-policy", "noeviction")
    with pytest.raises(BackendUnavailable, match="out of memory"):
        from_url(server.url).append({"s": messages(1)})


def test_a_replica_is_unavailable_for_writes(own_redis: MakeRedis) -> None:
    """It says what it is."""
    replica = own_redis(replica_of=own_redis())
    with pytest.raises(BackendUnavailable, match="read-only replica"):
        from_url(replica.url).append({"s": messages(1)})


async def test_a_frozen_server_is_unavailable_in_time(own_redis: MakeRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read gives up, sync and async, and works again when the server does."""
    monkeypatch.setattr("eventlog.adapters.redis_clients.READ_TIMEOUT_S", 0.1)
    server = own_redis()
    backend = from_url(server.url)
    backend.append({"s": messages(1)})
    server.freeze()
    with pytest.raises(BackendUnavailable, match="no answer in time"):
        backend.read("s", limit=1)
    with pytest.raises(BackendUnavailable, match="no answer in time"):
        await backend.aread("s", limit=1)
    server.thaw()
    assert backend.read("s", limit=1) == await backend.aread("s", limit=1) == messages(1)


def test_a_server_that_was_away_serves_again(own_redis: MakeRedis) -> None:
    """Broken connections are replaced without a word from anyone."""
    server = own_redis(durable=True)
    backend = from_url(server.url)
    backend.append({"s": messages(1)})
    server.kill()
    with pytest.raises(BackendUnavailable, match="unreachable"):
        backend.append({"s": messages(2)})
    server.restart()
    backend.append({"s": messages(2)})
    assert backend.read("s", limit=ALL) == messages(2)
