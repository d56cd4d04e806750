"""Room: the web server's life: where it listens, with which token, until Ctrl-C."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable

import uvicorn

from eventlog.errors import ConfigurationError
from eventlog.log import EventLog
from eventlog.web.app import build
from eventlog.web.guard import is_loopback

TOKEN_CHARS_MIN = 16


def token_for(host: str, given: str | None) -> str | None:
    """Give the token that a host needs: none on loopback unless one is given, else a new one."""
    if given is not None and len(given) < TOKEN_CHARS_MIN:
        raise ConfigurationError(f"expected a token of at least {TOKEN_CHARS_MIN} characters, found {len(given)}")
    if given is None and not is_loopback(host):
        return secrets.token_urlsafe(24)
    return given


def serve(log: EventLog, host: str, port: int, token: str | None, tell: Callable[[str], None]) -> None:
    """Answer until a signal comes; `tell` gets the address to open."""
    listener = _listen(host, port)
    token = token_for(host, token)
    config = uvicorn.Config(
        build(log, token),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    tell(_address(host, listener.getsockname()[1], token))
    uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(
            f"expected a free address to listen at, found {host} port {port}: {error.strerror or error}"
        ) from None


def _address(host: str, port: int, token: str | None) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")
