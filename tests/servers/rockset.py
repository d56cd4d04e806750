"""Room: a server of ours that speaks Rockset's REST API to the vendor's own SDK.

Invariants:
* The semantics of documents are rockset_store.py's, those of queries rockset_sql.py's; here are the paths, the key that
  they need, the rate limit, the limit of a reply, and faults on order.
* What it has not is answered with 404 or 501, never with something invented.
* Of the real service it lacks: sources and other ways in than the documents API, roles, most of SQL, query lambdas,
  virtual instances, retention, and pages of results after the first.
"""

from __future__ import annotations

import re
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, RLock, Thread
from time import time_ns
from typing import Any

import msgspec

from tests.servers.faults import Orders, When
from tests.servers.rockset_sql import BadQuery, run
from tests.servers.rockset_store import Collection, Limits, Refused

HOST = "127.0.0.1"
ROWS_MAX = 10_000
_COLLECTION = r"/v1/orgs/self/ws/(?P<workspace>[^/]+)/collections"
_CASTS: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "bool": lambda text: text == "True"}

Body = dict[str, Any]


class _Hangup(Exception):
    """The connection is cut instead of an answer."""


class RocksetServer:
    """Workspaces behind a port of their own. Every call is counted by its name."""

    def __init__(self, *, api_key: str | None = None, limits: Limits | None = None) -> None:
        """Say what callers need and may; nothing runs yet."""
        self.api_key, self.limits = api_key, limits or Limits()
        self.orders, self.calls = Orders(), Counter[str]()
        self.collections: dict[tuple[str, str], Collection] = {}
        self.calls_max: int | None = None
        """How many calls are let through before the rate limit; None is no limit."""
        self.rows_max = ROWS_MAX
        """How many rows the first page of a reply holds."""
        self.delay_ms = 0
        """The delay of collections that are made from now on."""
        self.port = 0
        self._ahead_ms = 0
        self._lock = RLock()
        self._connections: set[socket.socket] = set()
        self._http: ThreadingHTTPServer | None = None
        self._stopping = Event()

    # running

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Listen, on the port of before if there was one; what was stored is there again."""
        server = self

        class Handler(_Handler):
            rockset = server

        self._stopping.clear()
        self._http = _Http((HOST, self.port), Handler)
        self.port = self._http.server_address[1]
        Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Cut every connection; what was stored stays."""
        assert self._http is not None
        self._stopping.set()
        self._http.shutdown()
        self._http.server_close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def advance(self, duration: timedelta) -> None:
        """Move the clock that delays go by."""
        self._ahead_ms += int(duration.total_seconds() * 1000)

    def now_ms(self) -> int:
        """Tell the server's time."""
        return time_ns() // 1_000_000 + self._ahead_ms

    def make_collection(self, name: str, workspace: str = "commons") -> Collection:
        """Make an empty collection."""
        collection = self.collections[workspace, name] = Collection(self.now_ms, self.limits)
        collection.delay_ms = self.delay_ms
        return collection

    # calls

    def answer(self, method: str, path: str, key: str, body: bytes) -> tuple[int, Body]:
        """Do a call, with the fault that was ordered for it, if any."""
        for call, pattern, work in self._calls():
            found = re.fullmatch(f"{call.partition(' ')[0]} {pattern}", f"{method} {path}")
            if found:
                try:
                    return 200, self._do(call.partition(" ")[2], work, key, found.groupdict(), body)
                except Refused as refused:
                    return refused.status, {"type": refused.kind, "message": refused.message}
        return 501, {"type": "NOT_IMPLEMENTED", "message": f"{method} {path}"}

    def _calls(self) -> list[tuple[str, str, Callable[[dict[str, str], Body, int], Body]]]:
        one = _COLLECTION + r"/(?P<collection>[^/]+)"
        return [
            ("POST query", r"/v1/orgs/self/queries", self._query),
            ("GET collection", one, self._get),
            ("POST create", _COLLECTION, self._create),
            ("POST add", one + "/docs", self._add),
            ("PATCH patch", one + "/docs", self._patch),
            ("DELETE delete", one + "/docs", self._delete),
            ("POST fence", one + "/offsets/commit", self._fence),
        ]

    def _do(self, call: str, work: Any, key: str, names: dict[str, str], body: bytes) -> Body:
        self.calls[call] += 1
        self._play(call, "before")
        self._admit(key)
        with self._lock:
            reply: Body = work(names, msgspec.json.decode(body or b"{}"), len(body))
        self._play(call, "after")
        return reply

    def _play(self, call: str, when: When) -> None:
        fault = self.orders.take(call, when)
        if fault is not None:
            self._stopping.wait(fault.delay_s)
            if fault.silent:
                raise _Hangup
            if fault.error:
                raise Refused(fault.error, "ONORDER", "on order")

    def _admit(self, key: str) -> None:
        scheme, _, given = key.partition(" ")
        if self.api_key is not None and (scheme.lower(), given) != ("apikey", self.api_key):
            raise Refused(401, "AUTHEXCEPTION", "authorization failed")
        if self.calls_max is not None:
            self.calls_max -= 1
            if self.calls_max < 0:
                raise Refused(429, "RATELIMIT", "too many requests")

    def _found(self, names: dict[str, str]) -> Collection:
        collection = self.collections.get((names["workspace"], names["collection"]))
        if collection is None:
            raise Refused(404, "NOTFOUND", f"collection {names['workspace']}.{names['collection']} does not exist")
        return collection

    def _get(self, names: dict[str, str], _: Body, __: int) -> Body:
        self._found(names)
        return {"data": {"name": names["collection"], "workspace": names["workspace"], "status": "READY"}}

    def _create(self, names: dict[str, str], body: Body, _: int) -> Body:
        if (names["workspace"], body["name"]) in self.collections:
            raise Refused(409, "ALREADYEXISTS", "the collection exists")
        self.make_collection(body["name"], names["workspace"])
        return {"data": {"name": body["name"], "workspace": names["workspace"], "status": "CREATED"}}

    def _add(self, names: dict[str, str], body: Body, size_bytes: int) -> Body:
        answers, offset = self._found(names).add(body["data"], size_bytes)
        return {"data": answers, "last_offset": offset}

    def _patch(self, names: dict[str, str], body: Body, size_bytes: int) -> Body:
        answers, offset = self._found(names).patch(body["data"], size_bytes)
        return {"data": answers, "last_offset": offset}

    def _delete(self, names: dict[str, str], body: Body, size_bytes: int) -> Body:
        ids = [document["_id"] for document in body["data"]]
        answers, offset = self._found(names).delete(ids, size_bytes)
        return {"data": answers, "last_offset": offset}

    def _fence(self, names: dict[str, str], body: Body, _: int) -> Body:
        offsets = body.get("name") or []
        return {"data": {"fence": max(offsets, default=""), "passed": self._found(names).passed(offsets)}}

    def _query(self, _: dict[str, str], body: Body, __: int) -> Body:
        sql = body["sql"]
        parameters = {one["name"]: _CASTS.get(one["type"], str)(one["value"]) for one in sql.get("parameters") or ()}

        def rows(workspace: str, collection: str, equal: Any) -> Any:
            return self._found({"workspace": workspace, "collection": collection}).seen().rows(equal)

        try:
            found = run(sql["query"], parameters, rows)
        except BadQuery as error:
            raise Refused(400, "INVALIDINPUT", str(error)) from error
        return {"results": found[: self.rows_max], "results_total_doc_count": len(found), "query_id": "q"}


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: callers that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    rockset: RocksetServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.rockset._connections.add(self.connection)

    def finish(self) -> None:
        self.rockset._connections.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            status, reply = self.rockset.answer(self.command, self.path, self.headers.get("Authorization", ""), body)
        except _Hangup:
            self.close_connection = True
            return
        text = msgspec.json.encode(reply)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = _handle  # noqa: N815 (the name that http.server calls)
    do_POST = _handle  # noqa: N815
    do_PATCH = _handle  # noqa: N815
    do_DELETE = _handle  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        """Say nothing."""


@contextmanager
def running_rockset(*collections: str, **options: Any) -> Iterator[RocksetServer]:
    """Give a running server with these collections in the workspace `commons`."""
    server = RocksetServer(**options)
    for name in collections:
        server.make_collection(name)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def main(names: list[str]) -> None:
    """Serve collections of these names until the input ends; print the port."""
    with running_rockset(*names) as server:
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
