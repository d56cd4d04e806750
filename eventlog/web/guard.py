"""Room: who may look, and what a browser may do with what it gets.

Rules:
* With a token: nothing without it, be it in the address (it becomes a cookie at once), in a cookie or in an
  Authorization header.
* Without one: only requests for a name of this machine's loopback, so that no page from elsewhere can have its name
  resolve to it.
* A browser runs and loads what this server sends, and nothing else; it keeps nothing.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from secrets import compare_digest
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_COOKIE = "eventlog-token"


def is_loopback(host: str) -> bool:
    """Tell whether a host's name or address is this machine's own."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Guard:
    """Stands before the pages."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        """Let through to `app` who has the token, or, where there is none, who asks on this machine."""
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._choose(scope)(scope, receive, guarded)

    def _choose(self, scope: Scope) -> ASGIApp:
        headers = Headers(scope=scope)
        if self._token is None:
            return self._app if is_loopback(_without_port(headers.get("host", ""))) else _MISDIRECTED
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = dict(query).get("token")
        if given is not None and self._right(given):
            return self._welcome(scope, [pair for pair in query if pair[0] != "token"])
        known = _cookie(headers) or headers.get("authorization", "").removeprefix("Bearer ")
        return self._app if self._right(known) else _UNKNOWN

    def _right(self, given: str) -> bool:
        return compare_digest(given.encode(), (self._token or "").encode())

    def _welcome(self, scope: Scope, query: list[tuple[str, str]]) -> ASGIApp:
        """Put the token into a cookie, and take it out of the address."""
        path = "/" + scope["path"].lstrip("/")
        answer = RedirectResponse(path + ("?" + urlencode(query) if query else ""), 303)
        answer.set_cookie(_COOKIE, self._token or "", httponly=True, samesite="strict", path="/")
        return answer


_MISDIRECTED = PlainTextResponse("expected a request for localhost\n", 421)
_UNKNOWN = PlainTextResponse("expected the token: open the address that `eventlog serve` printed\n", 401)


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return name if port.isdigit() and name else host


def _cookie(headers: Headers) -> str:
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[_COOKIE].value if _COOKIE in cookies else ""
