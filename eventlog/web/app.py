"""Room: what the web server answers. It reads; nothing here writes.

/  /session?id=…  /health                        pages
/api/sessions?prefix=&after=                     a page of the list
/api/outline?id=&since=&stamp=                   all moments of a session
/api/entries?id=&from=&to=[&full=1]              what some events say
/api/live?id=                                    server-sent events: "there is something new"
/api/health                                      the backends, and their lag over time
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from eventlog.errors import EventLogError
from eventlog.log import EventLog
from eventlog.web import payload
from eventlog.web.guard import Guard
from eventlog.web.lags import SAMPLE_S, Lags
from eventlog.web.page import SCRIPTS, served
from eventlog.web.views import LOOK_S, Views

SESSIONS_A_PAGE = 200
LIST_KEPT_S = 5.0
HEARTBEAT_S = 15.0


class _Sessions:
    """The list of sessions, kept for a moment: pages of it come one after another."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._kept: tuple[float, str, list[str]] = (float("-inf"), "", [])

    def page(self, prefix: str, after: str) -> dict[str, Any]:
        until_s, kept_prefix, names = self._kept
        if kept_prefix != prefix or monotonic() > until_s or not after:
            names = self._log.sessions(prefix)
            self._kept = monotonic() + LIST_KEPT_S, prefix, names
        start = bisect_right(names, after) if after else 0
        stop = start + SESSIONS_A_PAGE
        return {"sessions": names[start:stop], "total": len(names), "more": stop < len(names)}


class Site:
    """The answers, over one log."""

    def __init__(self, log: EventLog) -> None:
        """Open nothing yet."""
        self._views, self._sessions, self.lags = Views(log), _Sessions(log), Lags(log)

    def sessions(self, request: Request) -> Response:
        """Give a page of the list."""
        query = request.query_params
        return _json(self._sessions.page(query.get("prefix", ""), query.get("after", "")))

    def outline(self, request: Request) -> Response:
        """Give what is new of a session's outline."""
        query = request.query_params
        return _json(self._views.of(query["id"]).outline(int(query.get("since", 0)), query.get("stamp", "")))

    def entries(self, request: Request) -> Response:
        """Give what a few events say."""
        query = request.query_params
        start = max(0, int(query["from"]))
        stop = min(int(query["to"]), start + payload.PIECE_EVENTS)
        clip_chars = 1 << 30 if "full" in query else payload.CLIP_CHARS
        return _json(payload.entries(self._views.of(query["id"]).entries(start, stop), clip_chars))

    def health(self, request: Request) -> Response:
        """Give the backends' standing."""
        del request
        return _json(self.lags.standing())

    async def live(self, request: Request) -> Response:
        """Say each time that there is something new in a session."""
        view = self._views.of(request.query_params["id"])
        return StreamingResponse(_news(view.version), media_type="text/event-stream")


async def _news(version: Callable[[], Any]) -> AsyncIterator[bytes]:
    told: Any = None
    silent_since_s = monotonic()
    yield b"retry: 1000\n\n"
    while True:
        with suppress(EventLogError):  # strict reads in an outage: the next look may succeed
            now = await run_in_threadpool(version)
            if now != told:
                told, silent_since_s = now, monotonic()
                yield b"event: news\ndata: " + payload.encode(now) + b"\n\n"
        if monotonic() - silent_since_s > HEARTBEAT_S:
            silent_since_s = monotonic()
            yield b": still here\n\n"
        await asyncio.sleep(LOOK_S)


def _json(value: Any) -> Response:
    return Response(payload.encode(value), media_type="application/json")


def _refused(request: Request, error: Exception) -> Response:
    del request
    status = 503 if isinstance(error, EventLogError) else 400
    words = "expected a parameter that is missing" if isinstance(error, KeyError) else str(error)
    return Response(payload.encode({"error": words}), status, media_type="application/json")


def _page(name: str) -> Callable[[Request], Response]:
    def page(request: Request) -> Response:
        del request
        return HTMLResponse(served(name))

    return page


def build(log: EventLog, token: str | None = None) -> Starlette:
    """Make the application."""
    site = Site(log)

    @asynccontextmanager
    async def sampling(app: Starlette) -> AsyncIterator[None]:
        del app
        task = asyncio.create_task(_sample(site.lags))
        yield
        task.cancel()

    pages = [Route("/" if name == "sessions" else f"/{name}", _page(name), methods=["GET"]) for name in SCRIPTS]
    names = ("sessions", "outline", "entries", "health", "live")
    answers = [Route(f"/api/{name}", getattr(site, name), methods=["GET"]) for name in names]
    static = Mount("/static", StaticFiles(packages=[("eventlog.web", "static")]))
    return Starlette(
        routes=[*pages, *answers, static],
        middleware=[Middleware(Guard, token=token)],
        exception_handlers={EventLogError: _refused, ValueError: _refused, KeyError: _refused},
        lifespan=sampling,
    )


async def _sample(lags: Lags) -> None:
    while True:
        await run_in_threadpool(lags.sample)
        await asyncio.sleep(SAMPLE_S)
