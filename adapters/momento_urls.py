"""Room: URLs of Momento caches.

    momento://cache-name                            key: $MOMENTO_API_KEY; endpoint: in the key, or $MOMENTO_ENDPOINT
    momento://cache-name?endpoint=host              another endpoint of the service, over TLS
    momento://cache-name?endpoint=host:port         one that speaks its protocol, without TLS unless the port is 443
    …&create=true                                   make the cache if it is missing
    …&longest_ttl_s=86400                           how long the account may keep an item

Rules:
* The key is never in the URL, and no error repeats it.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from momento import CredentialProvider
from momento.errors import SdkException

from eventlog.errors import ConfigurationError

KEY_VARIABLE, ENDPOINT_VARIABLE = "MOMENTO_API_KEY", "MOMENTO_ENDPOINT"
_FORM = "momento://cache-name[?endpoint=host[:port]][&create=true][&longest_ttl_s=seconds]"


def read_url(url: str) -> tuple[CredentialProvider, str, dict[str, Any]]:
    """Give the credentials, the name of the cache, and the options of the backend; no server is asked."""
    parts = urlsplit(url)
    name = unquote(parts.netloc)
    if not name or "@" in name or parts.path.strip("/"):
        raise ConfigurationError(f"expected {_FORM}; the key stands in ${KEY_VARIABLE}")
    asked = _asked(parts)
    credentials = credentials_for(asked.pop("endpoint", None) or os.environ.get(ENDPOINT_VARIABLE))
    return credentials, name, _options(asked)


def _asked(parts: SplitResult) -> dict[str, str]:
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = asked.keys() - {"endpoint", "create", "longest_ttl_s"}
    if unknown:
        raise ConfigurationError(f"expected {_FORM}; found the option {min(unknown)!r}")
    return asked


def _options(asked: dict[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = {"create": asked.get("create", "").lower() in ("1", "true", "yes")}
    if "longest_ttl_s" in asked:
        try:
            options["longest_ttl"] = timedelta(seconds=float(asked["longest_ttl_s"]))
        except (ValueError, OverflowError):
            raise ConfigurationError(f"expected {_FORM}; found no number as longest_ttl_s") from None
        if options["longest_ttl"] < timedelta(seconds=1):
            raise ConfigurationError("expected longest_ttl_s of at least 1")
    return options


def credentials_for(endpoint: str | None, key: str | None = None) -> CredentialProvider:
    """Make credentials of any kind of key; `ConfigurationError` naming what is missing."""
    key = key or os.environ.get(KEY_VARIABLE) or ""
    host, _, port = (endpoint or "").partition(":")
    if port:
        return CredentialProvider(key, host, host, host, _number(port))
    if not key:
        raise ConfigurationError(f"expected a Momento API key in ${KEY_VARIABLE}, found none")
    try:
        return CredentialProvider.from_api_key_v2(key, host) if host else CredentialProvider.from_disposable_token(key)
    except (SdkException, ValueError, KeyError):
        wanted = f"or, for a key of the second version, an endpoint in ${ENDPOINT_VARIABLE} or ?endpoint="
        raise ConfigurationError(f"expected a Momento API key that names its endpoint, {wanted}") from None


def _number(port: str) -> int:
    if not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise ConfigurationError("expected ?endpoint=host:port with a port of 1 to 65535")
    return int(port)
