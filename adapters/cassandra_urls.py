"""Room: URLs of Cassandra tables.

    cassandra://[user:password@]host[:9042][,host2[:port2]]/keyspace[?option=value]
    cassandra+astra://[:token@]/keyspace?bundle=/path/to/secure-connect.zip[&option=value]

    table=eventlog              consistency=LOCAL_QUORUM      dc=the data center to stay in
    replication=3               or dc1:3,dc2:2, for a keyspace that is to be made
    provision=false             make neither keyspace nor table
    tls=true                    and ca=, cert=, key=: files, where the system's authorities do not know the servers

Rules:
* The token of Astra is the password of the URL or $ASTRA_DB_APPLICATION_TOKEN.
* A URL that cannot be read is never repeated, for it may hold a password.
"""

from __future__ import annotations

import json
import os
import ssl
import zipfile
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from cassandra.auth import PlainTextAuthProvider

from eventlog.adapters.cassandra_places import PORT, Place, listed, with_protocol
from eventlog.errors import ConfigurationError

_FORMS = (
    "cassandra://[user:password@]host[:port][,host2[:port2]]/keyspace[?table=, consistency=, replication=, dc=, "
    "provision=, tls=, ca=, cert=, key=] or cassandra+astra://[:token@]/keyspace?bundle=FILE"
)
_FOR_BACKEND = ("table", "consistency")
_KNOWN = frozenset({*_FOR_BACKEND, "replication", "dc", "provision", "tls", "ca", "cert", "key", "bundle"})
_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def place_of_url(url: str) -> tuple[Place, str, dict[str, Any]]:
    """Give the place, the keyspace and what else the backend is to be made with; no server is asked."""
    try:
        parts = urlsplit(url)
        given = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        return _read(parts, given)
    except (ValueError, KeyError) as error:
        reason = f"; {error}" if isinstance(error, _Unknown) else ""
        raise ConfigurationError(f"expected {_FORMS}; found a URL that does not parse{reason}") from None


class _Unknown(ValueError):
    """An option that nobody knows; its name is no secret."""


def _read(parts: SplitResult, given: dict[str, str]) -> tuple[Place, str, dict[str, Any]]:
    unknown = given.keys() - _KNOWN
    if unknown:
        raise _Unknown(f"it has the option {min(unknown)!r}")
    options: dict[str, Any] = {name: given[name] for name in _FOR_BACKEND if name in given}
    if "replication" in given:
        options["replication"] = _replication(given["replication"])
    if "provision" in given:
        options["provision"] = _TRUTHS[given["provision"].lower()]
    keyspace = unquote(parts.path.strip("/"))
    place = _astra(parts, given) if parts.scheme.endswith("+astra") else _cluster(parts, given)
    return place, keyspace, options


def _cluster(parts: SplitResult, given: dict[str, str]) -> Place:
    if "bundle" in given:
        raise _Unknown("a bundle belongs to cassandra+astra")
    points = [_point(text) for text in parts.netloc.rpartition("@")[2].split(",")]
    options: dict[str, Any] = {"contact_points": points, "port": PORT}
    who, _, _ = parts.netloc.rpartition("@")
    if who:
        user, _, password = who.partition(":")
        options["auth_provider"] = PlainTextAuthProvider(unquote(user), unquote(password))
    if _TRUTHS[given.get("tls", "true" if "ca" in given else "false").lower()]:
        options["ssl_context"] = _tls(given)
    return Place(listed(points, PORT), with_protocol(options), given.get("dc"))


def _point(text: str) -> tuple[str, int]:
    one = urlsplit(f"//{text}")
    return one.hostname or "127.0.0.1", one.port or PORT


def _tls(given: dict[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=given.get("ca"))
        context.check_hostname = "ca" not in given  # one's own authority vouches for addresses that the ring tells
        if "cert" in given:
            context.load_cert_chain(given["cert"], given.get("key"))
    except OSError as error:
        raise ConfigurationError(f"expected readable certificates in ca, cert and key; found {error}") from None
    return context


def _astra(parts: SplitResult, given: dict[str, str]) -> Place:
    bundle = given["bundle"]
    token = unquote(parts.netloc.rpartition("@")[0].rpartition(":")[2]) or os.environ.get("ASTRA_DB_APPLICATION_TOKEN")
    if not token:
        raise ConfigurationError("expected Astra's token in the URL or in ASTRA_DB_APPLICATION_TOKEN, found none")
    options = {"cloud": {"secure_connect_bundle": bundle}, "auth_provider": PlainTextAuthProvider("token", token)}
    return Place(f"astra:{_host_of(bundle)}", with_protocol(options), given.get("dc"))


def _host_of(bundle: str) -> str:
    """Read the name of the database's host off a secure-connect bundle."""
    try:
        with zipfile.ZipFile(bundle) as archive:
            host = json.loads(archive.read("config.json"))["host"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ConfigurationError(
            f"expected a secure-connect bundle at {bundle!r}, found {type(error).__name__}"
        ) from None
    return str(host)


def _replication(text: str) -> int | dict[str, int]:
    if ":" not in text:
        return int(text)
    return {name: int(count) for name, _, count in (part.partition(":") for part in text.split(","))}
