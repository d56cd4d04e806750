"""Room: values that msgpack would bend or refuse <-> what it keeps as it is. Pure.

    (1, 2)           {"$tuple": [1, 2]}              2 ** 70           {"$int": "0x400000000000000000"}
    {1, 2}           {"$set": [1, 2]}                1 + 2j            {"$complex": [1.0, 2.0]}
    a datetime       {"$datetime": "2026-01-01T..."} a lone surrogate  {"$str": bytes, "surrogatepass"}
    a Decimal, UUID  {"$decimal": "1.5"}             {1: "a"}          {"$dict": [[1, "a"]]}

Invariants:
* `untagged(tagged(value)) == value` for the types above, their subclasses, and any nesting of them in lists and dicts.
* A dict that looks like a tag is itself kept as a "$dict": no value is taken for a tag.
* An enum, a dataclass and a pydantic model become the plain values that they hold.
* Anything else is `Unstorable`, which names the type; a value that contains itself is a `RecursionError`.
* A tag that a later version wrote stays the dict that it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic import BaseModel

_INT_MIN, _INT_MAX = -(1 << 63), (1 << 64) - 1
_SURROGATES = "surrogatepass"


class Unstorable(TypeError):
    """A value of a type that has no bytes."""


def tagged(value: Any) -> Any:
    """Give what msgpack keeps as it is; the same value where nothing in it is odd."""
    for cls in type(value).__mro__:
        write = _WRITERS.get(cls)
        if write is not None:
            return write(value)
    if is_dataclass(value) and not isinstance(value, type):
        return _write_dict({field.name: getattr(value, field.name) for field in fields(value)})
    raise Unstorable(type(value).__name__)


def untagged(value: Any) -> Any:
    """Give what was tagged."""
    if isinstance(value, list):
        return [untagged(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(tag, inner)] = value.items()
        if tag in _READERS:
            return _READERS[tag](inner)
    return {key: untagged(item) for key, item in value.items()}


def _write_str(value: str) -> Any:
    text = str.__str__(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return {"$str": text.encode(errors=_SURROGATES)}
    return text


def _write_int(value: int) -> Any:
    number = int.__int__(value)
    return number if _INT_MIN <= number <= _INT_MAX else {"$int": hex(number)}


def _write_list(value: list[Any]) -> Any:
    return [tagged(item) for item in value]


def _write_dict(value: dict[Any, Any]) -> Any:
    pairs = [(tagged(key), tagged(item)) for key, item in value.items()]
    looks_like_tag = len(pairs) == 1 and str(pairs[0][0]).startswith("$")
    if looks_like_tag or any(type(key) is not str for key, _ in pairs):
        return {"$dict": pairs}
    return dict(pairs)


def _as_list(tag: str) -> Callable[[Any], Any]:
    return lambda value: {tag: [tagged(item) for item in value]}


def _as(tag: str, write: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: {tag: write(value)}


def _itself(value: Any) -> Any:
    return value


# The first class of a value's MRO that stands here decides: a bool before int, an IntEnum before int.
_WRITERS: dict[type, Callable[[Any], Any]] = {
    type(None): _itself,
    bool: _itself,
    float: float,
    bytes: bytes,
    bytearray: bytes,
    memoryview: bytes,
    str: _write_str,
    int: _write_int,
    list: _write_list,
    dict: _write_dict,
    tuple: _as_list("$tuple"),
    set: _as_list("$set"),
    frozenset: _as_list("$frozenset"),
    datetime: _as("$datetime", datetime.isoformat),
    date: _as("$date", date.isoformat),
    time: _as("$time", time.isoformat),
    timedelta: _as("$timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    Decimal: _as("$decimal", Decimal.__str__),
    UUID: _as("$uuid", UUID.__str__),
    complex: _as("$complex", lambda value: [value.real, value.imag]),
    Enum: lambda value: tagged(value.value),
    BaseModel: lambda value: _write_dict(dict(value)),
}

_READERS: dict[Any, Callable[[Any], Any]] = {
    "$str": lambda kept: kept.decode(errors=_SURROGATES),
    "$int": lambda kept: int(kept, 16),
    "$dict": lambda kept: {untagged(key): untagged(item) for key, item in kept},
    "$tuple": lambda kept: tuple(map(untagged, kept)),
    "$set": lambda kept: set(map(untagged, kept)),
    "$frozenset": lambda kept: frozenset(map(untagged, kept)),
    "$datetime": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$time": time.fromisoformat,
    "$timedelta": lambda kept: timedelta(*kept),
    "$decimal": Decimal,
    "$uuid": UUID,
    "$complex": lambda kept: complex(*kept),
}
