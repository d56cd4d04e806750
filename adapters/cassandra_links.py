"""Room: our own connections to a Cassandra cluster: opened when needed, waited for no longer than asked.

Rules:
* Connecting happens in a thread of its own: a read waits 2 s for it, a batch longer, whoever comes meanwhile joins.
* The driver retries nothing that we write and never speculates: the core retries. A read whose connection breaks goes
  to the next host, once.
* A child process forgets the parent's connections and touches none of them.
* An event's id is 16 bytes on its way in both directions: no UUID object is made.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from threading import Lock, Thread
from typing import Any, NamedTuple

from cassandra import cluster as driver
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.cqltypes import BytesType, UUIDType
from cassandra.policies import (
    ConstantReconnectionPolicy,
    DCAwareRoundRobinPolicy,
    FallthroughRetryPolicy,
    TokenAwarePolicy,
)
from cassandra.protocol import ProtocolHandler, ResultMessage
from cassandra.query import tuple_factory

from eventlog.adapters.cassandra_places import Place
from eventlog.adapters.cassandra_table import Statements
from eventlog.errors import BackendUnavailable

READ_TIMEOUT_S = 2.0
WRITE_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 2.0
RECONNECT_S = 1.0
READS = "reads"

_inherited: list[Any] = []
_Result: Any = ProtocolHandler.message_types_by_opcode[ResultMessage.opcode]


class _ResultOfBytes(_Result):  # type: ignore[misc]
    """A result whose UUIDs are the bytes that came."""

    type_codes = {code: BytesType if kind is UUIDType else kind for code, kind in _Result.type_codes.items()}  # noqa: RUF012 (the driver's)


class _Handler(ProtocolHandler):  # type: ignore[misc]
    """The driver's handler, with that result."""

    message_types_by_opcode = {**ProtocolHandler.message_types_by_opcode, ResultMessage.opcode: _ResultOfBytes}  # noqa: RUF012


class _NextHostOnce(FallthroughRetryPolicy):  # type: ignore[misc]
    """For reads: a broken connection is a reason to ask the next host."""

    def on_request_error(self, query: Any, consistency: int, error: Any, retry_num: int) -> tuple[Any, Any]:
        """Give what to do."""
        del query, error
        return (self.RETRY_NEXT_HOST, consistency) if retry_num == 0 else (self.RETHROW, None)


class Link(NamedTuple):
    """Connections that are up."""

    session: Any
    statements: Statements

    def close(self) -> None:
        """Close all of them."""
        self.session.cluster.shutdown()


class Links:
    """The way to a link, for all threads of a process."""

    def __init__(self, place: Place, level: int, ready: Callable[[Any], Statements]) -> None:
        """Take the place; nothing is connected. `ready` is called with each new session."""
        self.place = place
        self._level, self._ready = level, ready
        self._lock, self._pid = Lock(), os.getpid()
        self._opening: Future[Link] | None = None

    def link(self, timeout_s: float) -> Link:
        """Give the link, opening it if there is none; raises what the driver raises."""
        try:
            return self._begun().result(timeout_s)
        except NotYet:
            raise _too_slow() from None

    async def alink(self) -> Link:
        """Do as `link`, in the running loop."""
        begun = self._begun()
        if begun.done():
            return begun.result()
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(begun)), READ_TIMEOUT_S)
        except TimeoutError:
            raise _too_slow() from None

    def _begun(self) -> Future[Link]:
        with self._lock:
            if self._opening is None or (self._opening.done() and self._opening.exception() is not None):
                self._opening = Future()
                self._start(self._open, self._opening)
            return self._opening

    def _start(self, work: Callable[..., None], *args: Any) -> None:
        Thread(target=work, args=args, name="eventlog-cassandra", daemon=True).start()

    def _open(self, opening: Future[Link]) -> None:
        cluster = None
        try:
            cluster = _cluster(self.place, self._level)
            session = cluster.connect()
            session.client_protocol_handler = _Handler
            opening.set_result(Link(session, self._ready(session)))
        except Exception as error:  # noqa: BLE001 (whoever waits is told)
            if cluster is not None:
                with contextlib.suppress(Exception):
                    cluster.shutdown()
            opening.set_exception(error)

    def renew(self, link: Link) -> None:
        """Have the next use make sure of the table again and prepare anew, unless another one just did."""
        with self._lock:
            opening = self._opening
            if opening is not None and opening.done() and not opening.exception() and opening.result() is link:
                self._opening = Future()
                self._start(self._prepare, self._opening, link)

    def _prepare(self, opening: Future[Link], link: Link) -> None:
        try:
            opening.set_result(link._replace(statements=self._ready(link.session)))
        except Exception as error:  # noqa: BLE001
            link.close()
            opening.set_exception(error)

    def after_fork(self) -> None:
        """Start anew without touching what there was, nor letting it be collected or shut down at exit."""
        _inherited.append((self._opening, _taken_from_driver() if os.getpid() != self._pid else None))
        self._lock, self._opening, self._pid = Lock(), None, os.getpid()

    def close(self) -> None:
        """Close what is connected, or will be."""
        with self._lock:
            opening, self._opening = self._opening, None
        if opening is not None:
            opening.add_done_callback(_close)


def _close(opening: Future[Link]) -> None:
    if opening.exception() is None:
        opening.result().close()


def _cluster(place: Place, level: int) -> Any:
    reads = _profile(place, level, READ_TIMEOUT_S, _NextHostOnce())
    writes = _profile(place, level, WRITE_TIMEOUT_S, FallthroughRetryPolicy())
    make: Any = Cluster
    reconnect: Any = ConstantReconnectionPolicy
    return make(
        **place.options,
        execution_profiles={EXEC_PROFILE_DEFAULT: writes, READS: reads},
        reconnection_policy=reconnect(RECONNECT_S, max_attempts=None),
        connect_timeout=CONNECT_TIMEOUT_S,
        control_connection_timeout=CONNECT_TIMEOUT_S,
    )


def _profile(place: Place, level: int, timeout_s: float, retries: Any) -> Any:
    return ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(place.local_dc or "")),
        retry_policy=retries,
        consistency_level=level,
        request_timeout=timeout_s,
        row_factory=tuple_factory,
    )


def _too_slow() -> BackendUnavailable:
    return BackendUnavailable("expected a connection to Cassandra in time, found it still being made")


def _taken_from_driver() -> list[Any]:
    """Take from the driver what it keeps of the parent: clusters to shut down at exit, an event loop without thread."""
    clusters: set[Any] = getattr(driver, "_clusters_for_shutdown", set())
    reactor: Any = sys.modules.get("cassandra.io.libevreactor")
    kept = [*clusters, getattr(reactor, "_global_loop", None)]
    clusters.clear()
    if reactor is not None:
        reactor._global_loop = None  # noqa: SLF001 (or else the driver closes the parent's connections)
    return kept
