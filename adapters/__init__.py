"""Room: the stores. One file each; a client library is imported only when its store is opened."""

from __future__ import annotations

from importlib import import_module
from urllib.parse import urlsplit

from eventlog.errors import ConfigurationError
from eventlog.ports import Backend

_MODULES = {
    "memory": "eventlog.adapters.memory",
    "sqlite": "eventlog.adapters.sqlite",
    "redis": "eventlog.adapters.redis",
    "rediss": "eventlog.adapters.redis",
    "unix": "eventlog.adapters.redis",
    "redis+cluster": "eventlog.adapters.redis",
    "rediss+cluster": "eventlog.adapters.redis",
    "redis+sentinel": "eventlog.adapters.redis",
    "rediss+sentinel": "eventlog.adapters.redis",
    "momento": "eventlog.adapters.momento",
    "rockset": "eventlog.adapters.rockset",
    "cassandra": "eventlog.adapters.cassandra",
    "cassandra+astra": "eventlog.adapters.cassandra",
}
SCHEMES = tuple(_MODULES)


def from_url(url: str) -> Backend:
    """Open the backend that a URL names; `ConfigurationError` for one that none of ours takes."""
    scheme = urlsplit(url).scheme
    name = _MODULES.get(scheme)
    if name is None:
        known = ", ".join(f"{known}:" for known in SCHEMES)
        raise ConfigurationError(f"expected a URL that begins with one of {known}; found {scheme or 'no scheme'!r}")
    backend: Backend = import_module(name).from_url(url)
    return backend


def missing(extra: str, module: str) -> ConfigurationError:
    """Say which command installs what a backend needs."""
    return ConfigurationError(f"expected the package {module!r}, found none; run: pip install 'chat-eventlog[{extra}]'")
