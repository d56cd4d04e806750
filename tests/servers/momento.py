"""Room: a server of ours that speaks Momento's gRPC, over the published wire types, to the vendor's own SDK.

Invariants:
* The semantics are momento_store.py's; here are the calls, the key that they need, the rate limit and faults on order.
* What it has not is refused as UNIMPLEMENTED, never answered with something invented.
* Of the real service it lacks: eviction under pressure, replicas, topics, dictionaries and plain sets, and how the
  service itself reckons the size of an item.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from threading import Event, RLock
from time import time_ns
from typing import Any

import grpc
from momento_wire_types import cacheclient_pb2 as cache_pb
from momento_wire_types import controlclient_pb2 as control_pb

from tests.servers.faults import Orders, When
from tests.servers.momento_store import Cache, Limits, Refused

HOST = "127.0.0.1"
_THREADS = 16
_MESSAGE_BYTES_MAX = 8 << 20
Work = Callable[[Any, Any], Any]


class MomentoServer:
    """Caches behind a port of their own. Every call is counted by its name."""

    def __init__(self, *, api_key: str | None = None, limits: Limits | None = None) -> None:
        """Say what callers need and may; nothing runs yet."""
        self.api_key, self.limits = api_key, limits or Limits()
        self.orders, self.calls = Orders(), Counter[str]()
        self.caches: dict[str, Cache] = {}
        self.calls_max: int | None = None
        """How many calls are let through before the rate limit; None is no limit."""
        self.port = 0
        self._ahead_ms = 0
        self._lock = RLock()
        self._server: Any = None
        self._stopping = Event()

    # running

    def start(self) -> None:
        """Listen, on the port of before if there was one; what was stored is there again."""
        options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX)]
        self._server = grpc.server(ThreadPoolExecutor(_THREADS), options=options)
        controls = {"CreateCache": self._create, "DeleteCache": self._drop, "FlushCache": self._flush}
        on_caches = self._service("cache_client.Scs", cache_pb, _ON_CACHES, on_cache=True)
        on_all = self._service("control_client.ScsControl", control_pb, controls, on_cache=False)
        self._server.add_generic_rpc_handlers((on_caches, on_all))
        self.port = self._server.add_insecure_port(f"{HOST}:{self.port}")
        self._server.start()

    def stop(self) -> None:
        """Cut every connection; what was stored stays."""
        self._stopping.set()
        self._server.stop(None).wait()
        self._stopping.clear()

    def advance(self, duration: timedelta) -> None:
        """Move the clock that TTLs go by."""
        self._ahead_ms += int(duration.total_seconds() * 1000)

    def now_ms(self) -> int:
        """Tell the server's time."""
        return time_ns() // 1_000_000 + self._ahead_ms

    def make_cache(self, name: str) -> Cache:
        """Make an empty cache."""
        cache = self.caches[name] = Cache(self.now_ms, self.limits)
        return cache

    # calls

    def _answer(self, name: str, work: Work, on_cache: bool, request: Any, context: Any) -> Any:  # noqa: FBT001 (partial gives it)
        self.calls[name] += 1
        try:
            return self._do(name, work, on_cache, request, context)
        except Refused as refused:
            context.set_trailing_metadata((("err", refused.cause),) if refused.cause else ())
            context.abort(getattr(grpc.StatusCode, refused.status), refused.details)

    def _do(self, name: str, work: Work, on_cache: bool, request: Any, context: Any) -> Any:  # noqa: FBT001
        metadata = dict(context.invocation_metadata())
        self._play(name, "before", context)
        self._admit(metadata)
        with self._lock:
            reply = work(self._cache(metadata) if on_cache else self, request)
        self._play(name, "after", context)
        return reply

    def _play(self, name: str, when: When, context: Any) -> None:
        fault = self.orders.take(name, when)
        if fault is None:
            return
        self._stopping.wait(fault.delay_s)
        if fault.silent:
            ended = Event()
            if context.add_callback(ended.set):
                ended.wait()
            raise Refused("UNAVAILABLE", "", "nobody hears this")
        if fault.error:
            raise Refused(fault.error, "", "on order")

    def _admit(self, metadata: dict[str, Any]) -> None:
        if self.api_key is not None and metadata.get("authorization") != self.api_key:
            raise Refused("UNAUTHENTICATED", "", "Invalid signature")
        if self.calls_max is not None:
            self.calls_max -= 1
            if self.calls_max < 0:
                raise Refused("RESOURCE_EXHAUSTED", "operations_rate_limit_exceeded", "Operations limit exceeded")

    def _cache(self, metadata: dict[str, Any]) -> Cache:
        cache = self.caches.get(str(metadata.get("cache")))
        if cache is None:
            raise Refused("NOT_FOUND", "", "Cache not found")
        return cache

    def _create(self, _: object, request: Any) -> Any:
        if request.cache_name in self.caches:
            raise Refused("ALREADY_EXISTS", "", "Cache with this name already exists")
        self.make_cache(request.cache_name)
        return control_pb._CreateCacheResponse()

    def _drop(self, _: object, request: Any) -> Any:
        if self.caches.pop(request.cache_name, None) is None:
            raise Refused("NOT_FOUND", "", "Cache not found")
        return control_pb._DeleteCacheResponse()

    def _flush(self, _: object, request: Any) -> Any:
        self._cache({"cache": request.cache_name}).clear()
        return control_pb._FlushCacheResponse()

    def _service(self, name: str, types: Any, works: Mapping[str, Work], *, on_cache: bool) -> Any:
        return grpc.method_handlers_generic_handler(
            name,
            {
                call: grpc.unary_unary_rpc_method_handler(
                    partial(self._answer, call, work, on_cache),
                    request_deserializer=getattr(types, f"_{call}Request").FromString,
                    response_serializer=getattr(types, f"_{call}Response").SerializeToString,
                )
                for call, work in works.items()
            },
        )


def _put(cache: Cache, request: Any) -> Any:
    elements = {element.value: element.score for element in request.elements}
    cache.put(request.set_name, elements, request.ttl_milliseconds, refresh=request.refresh_ttl)
    return cache_pb._SortedSetPutResponse()


def _fetch(cache: Cache, request: Any) -> Any:
    held = cache.sorted_set(request.set_name)
    if held is None:
        return cache_pb._SortedSetFetchResponse(missing={})
    descending = request.order == cache_pb._SortedSetFetchRequest.DESCENDING
    if request.WhichOneof("range") == "by_score":
        by = request.by_score
        low = by.min_score.score if by.HasField("min_score") else None
        high = by.max_score.score if by.HasField("max_score") else None
        entries = held.by_score(low, high, by.offset, by.count, descending=descending)
    else:
        index = request.by_index
        begin = index.inclusive_start_index if index.HasField("inclusive_start_index") else None
        end = index.exclusive_end_index if index.HasField("exclusive_end_index") else None
        entries = held.by_rank(begin, end, descending=descending)
    response = cache_pb._SortedSetFetchResponse(found={"values_with_scores": {}})
    add = response.found.values_with_scores.elements.add
    for score, value in entries:
        add(value=value, score=score)
    return response


def _remove(cache: Cache, request: Any) -> Any:
    if request.WhichOneof("remove_elements") == "all":
        cache.delete(request.set_name)
    else:
        cache.remove(request.set_name, request.some.values)
    return cache_pb._SortedSetRemoveResponse()


def _increment(cache: Cache, request: Any) -> Any:
    refresh = request.refresh_ttl
    ttl_ms = request.ttl_milliseconds
    score = cache.increment(request.set_name, request.value, request.amount, ttl_ms, refresh=refresh)
    return cache_pb._SortedSetIncrementResponse(score=score)


def _push_back(cache: Cache, request: Any) -> Any:
    return cache_pb._ListPushBackResponse(list_length=_pushed(cache, request, [request.value]))


def _concatenate_back(cache: Cache, request: Any) -> Any:
    return cache_pb._ListConcatenateBackResponse(list_length=_pushed(cache, request, list(request.values)))


def _pushed(cache: Cache, request: Any, values: list[bytes]) -> int:
    keep = request.truncate_front_to_size
    return cache.push_back(request.list_name, values, request.ttl_milliseconds, refresh=request.refresh_ttl, keep=keep)


def _list_fetch(cache: Cache, request: Any) -> Any:
    held = cache.value_list(request.list_name)
    if held is None:
        return cache_pb._ListFetchResponse(missing={})
    return cache_pb._ListFetchResponse(found={"values": held})


def _list_length(cache: Cache, request: Any) -> Any:
    held = cache.value_list(request.list_name)
    if held is None:
        return cache_pb._ListLengthResponse(missing={})
    return cache_pb._ListLengthResponse(found={"length": len(held)})


def _delete(cache: Cache, request: Any) -> Any:
    cache.delete(request.cache_key)
    return cache_pb._DeleteResponse()


_ON_CACHES: dict[str, Work] = {
    "SortedSetPut": _put,
    "SortedSetFetch": _fetch,
    "SortedSetRemove": _remove,
    "SortedSetIncrement": _increment,
    "ListPushBack": _push_back,
    "ListConcatenateBack": _concatenate_back,
    "ListFetch": _list_fetch,
    "ListLength": _list_length,
    "Delete": _delete,
}


@contextmanager
def running_momento(*caches: str, **options: Any) -> Iterator[MomentoServer]:
    """Give a running server with these caches."""
    server = MomentoServer(**options)
    for name in caches:
        server.make_cache(name)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def main(names: Sequence[str]) -> None:
    """Serve caches of these names until the input ends; print the port."""
    with running_momento(*names) as server:
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
