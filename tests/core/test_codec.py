"""Events and bytes: what is kept exactly, what is refused, what is damaged."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.codec import (
    CLEARED,
    FIXED,
    KIND_AT,
    PERMANENT,
    SLIDING,
    VERSION,
    decode,
    encode_cleared,
    encode_message,
)
from eventlog.errors import DamagedBody, MessageNotSerializable
from eventlog.events import HistoryCleared, Kind, MessageAdded, UnknownEvent
from tests.core.examples import examples
from tests.core.records import NOON_MS, cut, eid, fixed, said, sliding

EID = eid(NOON_MS)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary()
)
values = st.recursive(
    scalars,
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text() | st.integers(0, 99), children, max_size=4)
    ),
    max_leaves=12,
)


def kept(message: Any) -> Any:
    """Give what comes back of a message."""
    event = decode(said(EID, message))
    assert isinstance(event, MessageAdded)
    return event.message


@given(values)
@examples(100)
def test_every_msgpack_value_reads_back_as_it_was(message: Any) -> None:
    """None, booleans, integers of 64 bits, floats, text, bytes, lists and dicts of them."""
    assert kept(message) == message


@dataclass
class Point:
    """A value that msgspec knows how to take apart."""

    x: int
    y: int


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ((1, (2, 3)), [1, [2, 3]]),
        (Point(1, 2), {"x": 1, "y": 2}),
        (Decimal("1.50"), "1.50"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        ({3}, [3]),
        (bytearray(b"x"), b"x"),
        (datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)),
        (timedelta(hours=1), "PT3600S"),
    ],
)
def test_other_values_become_what_json_would_make_of_them(message: Any, expected: Any) -> None:
    """A tuple is a list, a dataclass a dict, a decimal its text."""
    assert kept(message) == expected


@given(st.integers(0, 2**48), st.text(max_size=20), values, st.integers(1, 2**50))
@examples(50)
def test_a_message_keeps_its_time_its_form_and_its_ttl(at_ms: int, form: str, message: Any, ttl_ms: int) -> None:
    """For each of the three kinds, which the second byte tells."""
    for prefix, kind in ((PERMANENT, Kind.MESSAGE), (FIXED, Kind.MESSAGE_FIXED), (SLIDING, Kind.MESSAGE_SLIDING)):
        record = EID + encode_message(prefix, at_ms, form, message, ttl_ms)
        assert decode(record) == MessageAdded(at_ms, form, message, ttl_ms)
        assert (record[KIND_AT - 1], record[KIND_AT]) == (VERSION, kind)


@given(st.integers(0, 2**48), st.none() | st.integers(0, 2**50), st.booleans(), st.integers(0, 2**50))
@examples(50)
def test_a_cut_reads_back(at_ms: int, retain_ms: int | None, erase: bool, ttl_ms: int) -> None:  # noqa: FBT001
    """With its retention, whether it erases, and the TTL of its history."""
    event = HistoryCleared(at_ms, retain_ms, erase, ttl_ms)
    record = EID + encode_cleared(event)
    assert decode(record) == event


def circle() -> Any:
    """Give a list that contains itself."""
    items: list[Any] = ["secret text"]
    items.append(items)
    return items


def nested(depth: int) -> Any:
    """Give lists in lists."""
    message: Any = "secret text"
    for _ in range(depth):
        message = [message]
    return message


UNSERIALIZABLE: dict[str, Callable[[], Any]] = {
    "an object": lambda: {"text": "secret text", "what": object()},
    "a socket": lambda: {"text": "secret text", "what": socket.socket()},
    "a function": lambda: ["secret text", lambda: None],
    "a class": lambda: ["secret text", int],
    "a circle": circle,
    "a deep nest": lambda: nested(100_000),
    "an integer of 65 bits": lambda: ["secret text", 2**64],
    "a huge negative integer": lambda: ["secret text", -(2**63) - 1],
    "a lone surrogate": lambda: ["secret text", "\ud800"],
    "a lone surrogate as key": lambda: {"secret text": 1, "\udfff": 2},
    "a complex number": lambda: ["secret text", 1j],
}


@pytest.mark.parametrize("what", UNSERIALIZABLE)
def test_a_message_without_bytes_is_refused_and_never_shown(what: str) -> None:
    """`MessageNotSerializable` is a `TypeError`, names the type and repeats no text, nor does its context."""
    message = UNSERIALIZABLE[what]()
    with pytest.raises(MessageNotSerializable) as caught:
        encode_message(PERMANENT, NOON_MS, "", message, 0)
    assert isinstance(caught.value, TypeError)
    assert "secret text" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_the_type_without_bytes_is_named() -> None:
    """So that a person finds it."""
    with pytest.raises(MessageNotSerializable, match="socket"):
        encode_message(PERMANENT, NOON_MS, "", {"what": socket.socket()}, 0)


@given(st.binary(max_size=60), st.sampled_from([PERMANENT, FIXED, SLIDING, CLEARED]))
@examples(200)
def test_any_bytes_decode_or_are_damaged(garbage: bytes, prefix: bytes) -> None:
    """No bytes whatever raise anything but `DamagedBody`."""
    with suppress(DamagedBody):
        assert isinstance(decode(EID + prefix + garbage), MessageAdded | HistoryCleared)


@pytest.mark.parametrize("record", [said(EID, "hello"), fixed(EID, "hello", 5), sliding(EID, "hello", 5), cut(EID)])
def test_a_cut_off_body_is_damaged(record: bytes) -> None:
    """Every proper prefix of it; the error names the kind and not the text."""
    for size in range(16, len(record)):
        with pytest.raises(DamagedBody) as caught:
            decode(record[:size])
        assert "hello" not in str(caught.value)


@pytest.mark.parametrize("start", [bytes((VERSION, 9)), bytes((VERSION, 255)), bytes((VERSION + 1, 1)), bytes((0, 0))])
def test_an_unknown_kind_or_version_is_kept_as_such(start: bytes) -> None:
    """Whatever follows, a reader of today steps over what a writer of tomorrow says."""
    for rest in (b"", b"\xc1", msgspec.msgpack.encode([NOON_MS, "later"])):
        assert isinstance(decode(EID + start + rest), UnknownEvent)


def test_fields_that_a_later_writer_appends_are_ignored() -> None:
    """Old readers go on reading."""
    body = PERMANENT + msgspec.msgpack.encode([NOON_MS, "form", "hello", 0, "new field", {"another": 1}])
    assert decode(EID + body) == MessageAdded(NOON_MS, "form", "hello")
    body = CLEARED + msgspec.msgpack.encode([NOON_MS, None, False, 0, 0, b"", "new field"])
    assert decode(EID + body) == HistoryCleared(NOON_MS)


def test_fields_that_an_earlier_writer_did_not_have_take_their_defaults() -> None:
    """New readers read on."""
    assert decode(EID + PERMANENT + msgspec.msgpack.encode([NOON_MS, "", "hello"])) == MessageAdded(
        NOON_MS, "", "hello"
    )
    assert decode(EID + CLEARED + msgspec.msgpack.encode([NOON_MS])) == HistoryCleared(NOON_MS)
