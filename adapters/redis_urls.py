"""Room: URLs of Redis stores.

    redis://[user:password@]host[:6379][/database][?option=value]         one server, or the cluster it belongs to
    unix://[user:password@]/path[?db=database]                            a socket on this host
    redis+cluster://[user:password@]host[:6379][,host2[:port2]]           a cluster, by several of its nodes
    redis+sentinel://[user:password@]host[:26379][,host2[:port2]][/service[/database]]
    rediss://, rediss+cluster://, rediss+sentinel://                      the same with TLS, to the sentinels too

Rules:
* An option is one of redis-py's connections: `ssl_ca_certs`, `ssl_cert_reqs`, `client_name` and so on.
* Sentinels get the user and password of the URL and, where they do not take them, none; or only theirs:
  `sentinel_username`, `sentinel_password`.
* A URL that cannot be read is never repeated, for it may hold a password.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

import redis

from eventlog.adapters.redis_places import Address, Options, Place, cluster, direct, guarded
from eventlog.errors import ConfigurationError

PORT, SENTINEL_PORT = 6379, 26379
SERVICE = "mymaster"
_FORMS = (
    "redis[s]://[user:password@]host[:port][/database][?option=value], unix:///path, "
    "redis[s]+cluster://host[:port][,host2[:port2]] or redis[s]+sentinel://host[:port][,host2[:port2]]/service[/database]"
)
_THEIRS = "sentinel_"


def place_of_url(url: str) -> Place:
    """Read a URL; no server is asked."""
    try:
        return _place(urlsplit(url))
    except (ValueError, redis.RedisError):
        raise ConfigurationError(f"expected {_FORMS}; found a URL that does not parse") from None


def _place(parts: SplitResult) -> Place:
    scheme, _, way = parts.scheme.partition("+")
    if way == "cluster":
        return _cluster(parts, scheme)
    return _sentinel(parts, scheme) if way == "sentinel" else _direct(parts)


def _direct(parts: SplitResult) -> Place:
    url = f"{parts.scheme}://{parts.netloc}{parts.path}?{parts.query}"
    return direct(redis.Redis.from_url(url).connection_pool)


def _cluster(parts: SplitResult, scheme: str) -> Place:
    if parts.path.strip("/") not in ("", "0"):
        raise ValueError(parts.path)
    node = _direct(parts._replace(scheme=scheme, netloc=_who(parts) + "localhost"))
    return cluster(_hosts(parts, PORT), node.kind, node.options)


def _sentinel(parts: SplitResult, scheme: str) -> Place:
    service, _, database = parts.path.strip("/").partition("/")
    given = parse_qsl(parts.query, keep_blank_values=True)
    theirs = {name.removeprefix(_THEIRS): value for name, value in given if name.startswith(_THEIRS)}
    query = urlencode([(name, value) for name, value in given if not name.startswith(_THEIRS)])
    path = f"/{int(database or 0)}"
    server = _direct(parts._replace(scheme=scheme, netloc=_who(parts) + "localhost", path=path, query=query))
    sentinels = [
        Place("", server.kind, {**options, "host": host, "port": port})
        for host, port in _hosts(parts, SENTINEL_PORT)
        for options in _for_sentinels(server.options, theirs)
    ]
    return guarded(service or SERVICE, sentinels, tls=scheme == "rediss", options=server.options)


def _for_sentinels(options: Options, theirs: Options) -> list[Options]:
    """Give the options for one sentinel, those to be tried first first."""
    who = {name: options[name] for name in ("username", "password") if name in options}
    rest = {name: value for name, value in options.items() if name not in (*who, "db")}
    if theirs or not who:
        return [rest | theirs]
    return [rest | who, rest]


def _who(parts: SplitResult) -> str:
    return "".join(parts.netloc.rpartition("@")[:2])


def _hosts(parts: SplitResult, port: int) -> Iterator[Address]:
    for text in parts.netloc.rpartition("@")[2].split(","):
        one = urlsplit(f"//{text}")
        yield one.hostname or "localhost", one.port or port
