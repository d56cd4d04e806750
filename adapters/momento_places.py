"""Room: where a Momento cache is and the key to it, learned from a client that somebody made.

Rules:
* The key is never shown, neither by `repr` nor in an error.
* The SDK has no public way from a client to what it was made with: what is read here is its own, checked against its
  version by the tests, and whoever has another version gives the `CredentialProvider` itself.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from momento import CacheClient, CredentialProvider

from eventlog.errors import ConfigurationError

_TLS_PORT = 443
_AUTHORIZATION = "authorization"


class Place:
    """Where a cache is, and the key to it, which nothing shows."""

    __slots__ = ("credentials",)

    def __init__(self, credentials: CredentialProvider) -> None:
        """Take what the SDK needs."""
        self.credentials = credentials

    @property
    def address(self) -> str:
        """The endpoint, with its port where that is not the usual one."""
        found = self.credentials
        return found.cache_endpoint if found.port == _TLS_PORT else f"{found.cache_endpoint}:{found.port}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and vars(self.credentials) == vars(other.credentials)

    def __hash__(self) -> int:
        return hash(self.address)


def place_of(client: CacheClient | CredentialProvider) -> Place:
    """Learn from a client where it is connected to, or take it from what clients are made of."""
    if isinstance(client, CredentialProvider):
        return Place(client)
    try:
        return Place(_credentials_of(client))
    except (AttributeError, IndexError, StopIteration, ValueError):
        raise ConfigurationError(
            f"expected a momento.CacheClient of a known version or a CredentialProvider, found {type(client).__name__};"
            " give the CredentialProvider that the client was made with"
        ) from None


def _credentials_of(client: Any) -> CredentialProvider:
    """Read what the SDK keeps and has no public name for."""
    data = client._data_clients[0]
    target = data._grpc_manager._channel._channel.target().decode().rpartition("/")[2]
    port = int(target.removeprefix(f"{data.endpoint}:")) if target != data.endpoint else _TLS_PORT
    headers = data._grpc_manager._stub.Get._interceptor.headers_to_add_every_time
    token = next(header.value for header in headers if header.name == _AUTHORIZATION)
    return CredentialProvider(token, client._control_client.endpoint, data.endpoint, data.endpoint, port)


def default_ttl_of(client: CacheClient) -> timedelta | None:
    """Give how long what a client puts lives where nothing is said; None where that cannot be known."""
    found: Any = client
    try:
        return timedelta(seconds=found._data_clients[0]._default_ttl.total_seconds())
    except (AttributeError, IndexError):
        return None
