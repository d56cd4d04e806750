"""Room: our own connections to a Momento cache, through its SDK.

Rules:
* Reads and writes have clients of their own, with a deadline on every call and without the SDK's retries: the core
  retries.
* gRPC cannot be used on the other side of a fork: clients are made when they are first used, and a child forgets its
  parent's, touches none of them and lets none be collected. Nobody is inside a call meanwhile (momento_gate.py).
* After a call that found nobody, the client is dropped: gRPC itself would wait longer and longer, up to two minutes,
  before it tries a server again that was away. It shares connections, with that wait, between clients of the same
  options: each of ours has an option of its own.
* One channel that nobody uses stays open: with the last one gRPC shuts down, in a thread of its own, and a child that
  is forked meanwhile hangs (tried: one in some hundred, and none in 160 with that channel).
* The SDK's async client is not used: gRPC's asyncio polls as long as the process lives, and one in twenty-four children
  that were forked meanwhile was aborted (tried). Async reads run in threads.
* What goes wrong in our calls is told by the core, once an outage; the SDK would log each of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import timedelta
from functools import cache
from itertools import count
from threading import Lock, Thread
from typing import Any, TypeVar

import grpc
from momento import CacheClient
from momento.config import Configuration
from momento.config.transport.transport_strategy import StaticGrpcConfiguration, StaticTransportStrategy
from momento.errors import SdkException
from momento.retry import FixedCountRetryStrategy

from eventlog.adapters.momento_gate import Gate
from eventlog.adapters.momento_places import Place
from eventlog.adapters.momento_words import finds_nobody
from eventlog.forks import rests_at_fork

READ_TIMEOUT_S = 2.0
WRITE_TIMEOUT_S = 5.0
HANDS = 8
"""Calls at once, where a batch needs many."""

T = TypeVar("T")
_KEEPALIVE_MS = 5000
_inherited: list[Any] = []
_numbers = count()
_ours: ContextVar[bool] = ContextVar("a call of ours is under way", default=False)


class _NotOurs(logging.Filter):
    """Lets the SDK log the calls of others."""

    def filter(self, record: logging.LogRecord) -> bool:
        del record
        return not _ours.get()


logging.getLogger("momentosdk").addFilter(_NotOurs())


@contextmanager
def _as_ours() -> Iterator[None]:
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)


def configuration(timeout_s: float) -> Configuration:
    """Give a deadline for every call, no retries, and connections that are nobody else's."""
    keepalive = timedelta(milliseconds=_KEEPALIVE_MS + next(_numbers) % _KEEPALIVE_MS)
    grpc_options = StaticGrpcConfiguration(timedelta(seconds=timeout_s), keepalive_time=keepalive)
    return Configuration(StaticTransportStrategy(grpc_options), FixedCountRetryStrategy(max_attempts=0))


@cache
def _anchor() -> Any:
    return grpc.insecure_channel("localhost:1")


class Clients:
    """Clients of a place: for writes and for reads."""

    def __init__(self, place: Place, ttl: timedelta) -> None:
        """Take the place; nothing is connected."""
        self.place, self._ttl = place, ttl
        self._gate = Gate()
        self._forget()
        rests_at_fork(self)

    def _forget(self) -> None:
        self._lock = Lock()
        self._clients: dict[float, CacheClient] = {}

    def rest(self) -> None:
        """Have nobody inside a call while the process forks (momento_gate.py)."""
        self._gate.shut(self.close)

    def go_on(self) -> None:
        """Be used again."""
        self._gate.open()

    def after_fork(self) -> None:
        """Start anew without touching what there was, nor letting it be collected."""
        _inherited.append(self._clients)
        self._forget()

    def close(self) -> None:
        """Close what is connected."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            _close(client)

    def ask(self, call: Callable[[CacheClient], Any], timeout_s: float) -> Any:
        """Make a call and give its response; an `SdkException` where that is an error."""
        with self._gate.entered(), _as_ours():
            client = self._client(timeout_s)
            response = call(client)
        error = getattr(response, "inner_exception", None)
        if error is None:
            return response
        if finds_nobody(error):
            self._drop(timeout_s, client)
        raise error

    def _client(self, timeout_s: float) -> CacheClient:
        with self._lock:
            client = self._clients.get(timeout_s)
            if client is None:
                _anchor()
                client = CacheClient(configuration(timeout_s), self.place.credentials, self._ttl)
                self._clients[timeout_s] = client
            return client

    def _drop(self, timeout_s: float, client: CacheClient) -> None:
        with self._lock:
            mine = self._clients.get(timeout_s) is client and bool(self._clients.pop(timeout_s))
        if mine:
            _close(client)


def _close(client: CacheClient) -> None:
    with suppress(SdkException):
        client.__exit__(None, None, None)


def at_once(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Do tasks with several hands and give their results in order; the first error ends it and is raised."""
    results: dict[int, T] = {}
    faults: list[BaseException] = []
    left = iter(enumerate(tasks))
    lock = Lock()

    def work() -> None:
        while not faults:
            with lock:
                number, task = next(left, (-1, None))
            if task is None:
                return
            try:
                results[number] = task()
            except BaseException as error:  # noqa: BLE001 (raised below, in the thread that asked)
                faults.append(error)

    helpers = _helpers(work, min(HANDS, len(tasks)) - 1)
    work()
    for helper in helpers:
        helper.join()
    if faults:
        raise faults[0]
    return [results[number] for number in range(len(tasks))]


def _helpers(work: Callable[[], None], number: int) -> list[Thread]:
    """Start threads; none where the interpreter is ending, and then one does it all."""
    helpers: list[Thread] = []
    with suppress(RuntimeError):
        for _ in range(number):
            helper = Thread(target=work, name="eventlog-momento", daemon=True)
            helper.start()
            helpers.append(helper)
    return helpers
