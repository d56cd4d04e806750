"""Where a store is: what URLs and clients say of it, without asking a server."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
import redis
import redis.asyncio
from redis.cluster import ClusterNode, RedisCluster
from redis.sentinel import Sentinel

from eventlog.adapters import from_url
from eventlog.adapters.redis import RedisBackend
from eventlog.adapters.redis_places import GuardedPlace, place_of
from eventlog.adapters.redis_urls import place_of_url
from eventlog.errors import ConfigurationError

Node: Any = ClusterNode
Sentinels: Any = Sentinel
PASSWORD = "s3cret-pa55word"  # noqa: S105 - it opens nothing


def cluster_client(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int], **options: Any) -> RedisCluster:
    """Give a client that believes it has found its nodes."""
    monkeypatch.setattr("redis.cluster.NodesManager.initialize", lambda *_, **__: None)
    monkeypatch.setattr("redis.cluster.CommandsParser", Mock())
    client = RedisCluster(startup_nodes=[Node(*address) for address in addresses], **options)
    node = Node("10.0.0.9", 7009, redis_connection=redis.Redis("10.0.0.9", 7009, **options))
    monkeypatch.setattr(client, "get_primaries", lambda: [node])
    monkeypatch.setattr(client, "get_redis_connection", lambda node: node.redis_connection)
    return client


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("redis://", "redis:localhost:6379/0"),
        (f"rediss://u:{PASSWORD}@Host:7000/3?ssl_cert_reqs=none", "redis:host:7000/3"),
        (f"unix://u:{PASSWORD}@/run/redis.sock?db=2", "redis:unix:/run/redis.sock/2"),
        (f"redis+cluster://u:{PASSWORD}@b:7001,a,c:7000/0?client_name=x", "redis:a:6379,b:7001,c:7000/0"),
        ("rediss+cluster://[::1]:7000,localhost:7001", "redis:127.0.0.1:7001,::1:7000/0"),
        ("redis+cluster://only:7000", "redis:only:7000/0"),
        ("redis://only:7000", "redis:only:7000/0"),
        ("redis+sentinel://", "redis:sentinel:localhost:26379/mymaster/0"),
        ("redis+sentinel://h/", "redis:sentinel:h:26379/mymaster/0"),
        (f"redis+sentinel://u:{PASSWORD}@b:5,a/chat/4", "redis:sentinel:a:26379,b:5/chat/4"),
        ("rediss+sentinel://a,b:5/chat/4?ssl_cert_reqs=none", "redis:sentinel:a:26379,b:5/chat/4"),
        (f"redis+sentinel://a,b:5/chat/4?sentinel_password={PASSWORD}", "redis:sentinel:a:26379,b:5/chat/4"),
    ],
)
def test_an_identity_is_the_place_without_credentials_options_or_order(url: str, identity: str) -> None:
    """It names cursors and stands in logs."""
    backend = from_url(url)
    assert backend.identity == identity
    assert backend.scheme == "redis"
    assert PASSWORD not in repr(place_of_url(url))


def test_a_cluster_has_one_identity_from_urls_and_from_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the nodes that it was begun with, in any order, whatever others were found since."""
    here = cluster_client(monkeypatch, ("b", 7001), ("a", 7000), password=PASSWORD)
    there = cluster_client(monkeypatch, ("a", 7000), ("b", 7001), decode_responses=True)
    urls = ["redis+cluster://a:7000,b:7001", f"rediss+cluster://:{PASSWORD}@b:7001,a:7000"]
    found = {RedisBackend(client).identity for client in (here, there)} | {from_url(url).identity for url in urls}
    assert found == {"redis:a:7000,b:7001/0"}


def test_a_guarded_master_has_one_identity_from_urls_and_from_objects() -> None:
    """By its sentinels in any order, its name and its database; for whom the client reads does not matter."""
    sentinels = [("b", 26380), ("a", 26379)]
    guards = [
        Sentinels(sentinels, sentinel_kwargs={"password": PASSWORD}),
        Sentinels(sentinels[::-1], password=PASSWORD, decode_responses=True),
    ]
    clients = [guard.master_for("chat", db=1) for guard in guards] + [guards[0].slave_for("chat", db=1)]
    urls = ["redis+sentinel://a,b:26380/chat/1", f"redis+sentinel://u:{PASSWORD}@b:26380,a/chat/1"]
    found = {RedisBackend(client).identity for client in clients} | {from_url(url).identity for url in urls}
    assert found == {"redis:sentinel:a:26379,b:26380/chat/1"}


def test_new_credentials_are_another_place_of_the_same_identity() -> None:
    """So a rotated password is used at once, and the journal goes on where it was."""
    old, new, same = (RedisBackend(redis.Redis(password=word)) for word in ("old", "new", "old"))
    assert old.identity == new.identity == same.identity
    clients = old._clients
    old.renew(same)
    assert old._clients is clients
    old.renew(new)
    assert old._clients is new._clients


def test_sentinels_get_the_credentials_of_the_url_then_none_or_their_own() -> None:
    """Theirs may be others, or none, while the master has some."""

    def asked(url: str) -> list[tuple[str | None, str | None]]:
        place = place_of_url(url)
        assert isinstance(place, GuardedPlace)
        return [(guard.options.get("username"), guard.options.get("password")) for guard in place.sentinels]

    assert asked("redis+sentinel://a/m") == [(None, None)]
    assert asked("redis+sentinel://u:p@a/m") == [("u", "p"), (None, None)]
    assert asked("redis+sentinel://:p@a/m?sentinel_username=s&sentinel_password=q%40") == [("s", "q@")]
    place = place_of_url("redis+sentinel://u:p@a/m/3?sentinel_password=q&client_name=c")
    assert {name: place.options[name] for name in ("username", "password", "db", "client_name")} == {
        "username": "u",
        "password": "p",
        "db": 3,
        "client_name": "c",
    }


def test_tls_goes_to_sentinels_and_servers_alike() -> None:
    """Nobody is asked in the clear by a URL that says TLS."""
    place = place_of_url("rediss+sentinel://:p@a/m?ssl_cert_reqs=none")
    assert isinstance(place, GuardedPlace)
    kinds = [
        place.kind,
        place.async_kind,
        *(kind for guard in place.sentinels for kind in (guard.kind, guard.async_kind)),
    ]
    assert all("SSL" in kind.__name__ for kind in kinds)
    assert all(guard.options["ssl_cert_reqs"] == "none" for guard in (place, *place.sentinels))
    node = place_of_url("rediss+cluster://a,b")
    assert (node.kind, node.async_kind) == (redis.SSLConnection, redis.asyncio.SSLConnection)


def test_what_a_client_does_with_replies_and_retries_is_its_own_affair() -> None:
    """Connections of ours have none of it, and time-outs of their own."""
    theirs: Any = {"decode_responses": True, "retry_on_error": [OSError], "health_check_interval": 1, "protocol": 3}
    given = redis.Redis(**theirs, username="u")
    options = place_of(given).pool(None, 2.0, 1.0).connection_kwargs
    assert (options["protocol"], options["retry"]._retries) == (2, 0)
    assert (options["socket_timeout"], options["socket_connect_timeout"], options["username"]) == (2.0, 1.0, "u")
    assert not {"decode_responses", "retry_on_error", "health_check_interval"} & set(options)


@pytest.mark.parametrize(
    ("options", "in_a_thread"),
    [
        ({}, False),
        ({"ssl": True}, False),
        ({"ssl": True, "ssl_check_hostname": False, "ssl_cert_reqs": "none"}, False),
        ({"unix_socket_path": "/run/redis.sock"}, False),
        ({"ssl": True, "ssl_validate_ocsp": True}, True),
    ],
)
def test_async_reads_are_made_as_safely_as_others(options: dict[str, Any], *, in_a_thread: bool) -> None:
    """What asyncio's connections cannot check is read in a thread by those that can."""
    place = place_of(redis.Redis(**options))
    assert place.reads_async is not in_a_thread
    if place.reads_async:
        given = place.async_pool(None, 2.0, 1.0)
        connection = given.make_connection()
        assert type(connection).__name__ == place.kind.__name__
        assert all(given.connection_kwargs[name] == options[name] for name in options if name.startswith("ssl_"))


def test_connections_of_a_users_own_kind_read_in_a_thread() -> None:
    """Nobody knows their async twin."""

    class Own(redis.Connection):
        pass

    pool = redis.ConnectionPool(connection_class=Own)
    assert not place_of(redis.Redis(connection_pool=pool)).reads_async


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{PASSWORD}@localhost:port",
        f"redis+cluster://:{PASSWORD}@a:7000,b:port",
        f"redis+cluster://:{PASSWORD}@a:7000/3",
        f"redis+sentinel://:{PASSWORD}@a:99999999/m",
        f"redis+sentinel://:{PASSWORD}@a/m/database",
        f"redis://:{PASSWORD}@localhost?socket_timeout=soon",
        f"redis://:{PASSWORD}@localhost?no_such_option=1",
        f"redis+cluster://:{PASSWORD}@localhost?no_such_option=1",
        f"redis+sentinel://:{PASSWORD}@localhost?no_such_option=1",
        f"redis+what://:{PASSWORD}@localhost",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_at_once_without_repeating_it(url: str) -> None:
    """A mistake is told when the log is opened, and not by the first delivery."""
    with pytest.raises(ConfigurationError) as caught:
        from_url(url)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("client", [redis.asyncio.Redis(), object(), None])
def test_what_is_no_client_is_refused_with_what_is_one(client: object) -> None:
    """An async client is none: ours reads async with a client of its own."""
    with pytest.raises(ConfigurationError, match=r"expected a redis\.Redis or redis\.RedisCluster"):
        RedisBackend(client)  # type: ignore[arg-type]
