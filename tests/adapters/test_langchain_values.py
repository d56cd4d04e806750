"""Laws of what a message holds: any value that has bytes comes back equal, any other is refused unwritten."""

from __future__ import annotations

import copy
import socket
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from typing import Any
from unittest.mock import ANY
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    ChatMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    SystemMessage,
    ToolMessage,
    ToolMessageChunk,
)
from pydantic import BaseModel

from eventlog.adapters.langchain_messages import FORM, meant, pack, unpack
from eventlog.errors import MessageNotSerializable
from tests.adapters.langchain_help import (
    CALL,
    USAGE,
    again,
    event,
)


class Colour(Enum):
    """An enum whose values stand for themselves nowhere."""

    RED = "red"


class Level(IntEnum):
    """An enum that is a number."""

    HIGH = 3


class Name(str):
    """A text of a class of its own."""

    __slots__ = ()


Point = namedtuple("Point", "x y")  # noqa: PYI024 (the kind that libraries hand out)

ODD: list[Any] = [
    (1, "a", (2, [3])),
    Point(1, 2),
    {1, 2},
    frozenset({"a"}),
    {(1, 2), (3,)},
    datetime(2026, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001 (a naive one is what is tried)
    datetime(2026, 1, 2, 3, 4, 5, 6, timezone(timedelta(hours=5, minutes=30))),
    datetime(1969, 1, 2, tzinfo=UTC),
    datetime(2600, 1, 2, microsecond=1, tzinfo=UTC),
    date(2026, 1, 2),
    time(1, 2, 3),
    time(1, 2, 3, 4, tzinfo=UTC),
    timedelta(days=-3, microseconds=1),
    Decimal("1.50"),
    Decimal("-Infinity"),
    UUID(int=7),
    1 + 2j,
    2**64,
    -(2**63) - 1,
    7**9000,
    float("inf"),
    "\ud800",
    "\ud83d\ude00",
    b"\xff\x00",
    bytearray(b"ab"),
    {1: "a", None: 2, False: 3, 1.5: 4, b"b": 5},
    {(1, 2): "a", frozenset({1}): "b"},
    {"\ud800": 1},
    {"$tuple": [1, 2]},
    {"$dict": []},
    {"$": 1},
    {"$later": {"$set": [1]}, "a": (1,)},
    Level.HIGH,
    Name("ann"),
    OrderedDict(a=1),
]


@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("place", ["additional_kwargs", "response_metadata", "artifact", "content", "extra", "deep"])
def test_odd_value_comes_back_equal_wherever_it_stands(value: Any, place: str) -> None:
    """Tuples, sets, times, decimals, huge numbers, broken text: equal, and of the type that they had."""
    places: dict[str, Any] = {
        "additional_kwargs": {"additional_kwargs": {"k": value}},
        "response_metadata": {"response_metadata": {"k": [value]}},
        "artifact": {"artifact": value},
        "content": {"content": [{"type": "x", "x": value}]},
        "extra": {"mine": value},
        "deep": {"artifact": {"a": [{"b": (value, {"c": value})}]}},
    }
    message = ToolMessage(**{"content": "x", "tool_call_id": "1", **places[place]})
    back = again(message)
    assert back == message
    assert back.content == message.content


@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
def test_odd_value_keeps_its_type(value: Any) -> None:
    """A naive datetime stays naive, an aware one keeps its offset; subclasses become what they derive from."""
    back = again(ToolMessage("x", tool_call_id="1", artifact=value)).artifact  # type: ignore[attr-defined]
    assert isinstance(value, (type(back), bytearray))
    if isinstance(value, (datetime, time)):
        assert back.isoformat() == value.isoformat()


def test_not_a_number_comes_back_as_one() -> None:
    """NaN, which equals nothing, is kept as what it is."""
    back = again(HumanMessage("x", additional_kwargs={"score": float("nan"), "more": (1,)}))
    assert repr(back.additional_kwargs) == "{'score': nan, 'more': (1,)}"


@pytest.mark.parametrize("name", ["$", "$$", "$tuple", "type_", "form", "0"])
def test_extra_field_of_any_name_comes_back(name: str) -> None:
    """The names that the store uses itself are no trap."""
    message = HumanMessage("x", **{name: ("a",), "other": 1})
    assert again(message) == message
    plain = HumanMessage("x", **{name: ["a"]})
    assert again(plain) == plain


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud83d\ude00"])
def test_broken_text_in_the_content_comes_back(text: str) -> None:
    """A lone surrogate, which UTF-8 does not have, breaks nothing."""
    message = HumanMessage.model_construct(content=text)
    assert again(message) == message


@dataclass
class Row:
    """A value as programs have them."""

    number: int
    at: tuple[int, int]


class Model(BaseModel):
    """Another one."""

    rows: list[Row]
    when: date


def test_nested_models_come_back_as_plain_values() -> None:
    """A model, a dataclass, a document, a message and an enum become what they hold, odd values and all."""
    model = Model(rows=[Row(1, (2, 3))], when=date(2026, 1, 2))
    artifact = [model, Document("text", metadata={"page": 1}), HumanMessage("hi"), Colour.RED]
    back = again(ToolMessage("x", tool_call_id="1", artifact=artifact)).artifact  # type: ignore[attr-defined]
    assert back[0] == {"rows": [{"number": 1, "at": (2, 3)}], "when": date(2026, 1, 2)}
    assert back[1] == {"id": None, "metadata": {"page": 1}, "page_content": "text", "type": "Document"}
    assert back[2] == HumanMessage("hi").__dict__
    assert back[3] == "red"


def cycle() -> list[Any]:
    """Give a list that holds itself."""
    found: list[Any] = ["secret"]
    found.append(found)
    return found


@pytest.mark.parametrize(
    "value",
    [socket.socket(), cycle(), object(), Fraction(1, 2), print, HumanMessage, {"k": {"k": object()}}, ({1: cycle()},)],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("name", ["additional_kwargs", "artifact", "mine"])
def test_what_has_no_bytes_is_refused_without_its_text(value: Any, name: str) -> None:
    """A socket, a cycle, a function: an error that is a TypeError too, and says no word of the message."""
    fields: dict[str, Any] = {"content": "secret", "tool_call_id": "1", name: {"k": value, "secret": "secret"}}
    message = ToolMessage.model_construct(**fields)
    with pytest.raises(MessageNotSerializable) as found:
        pack(message)
    assert "secret" not in str(found.value)
    assert isinstance(found.value, TypeError)


def test_value_that_says_it_equals_a_default_is_not_taken_for_one() -> None:
    """What stands there is looked at, not what it says of itself."""
    with pytest.raises(MessageNotSerializable):
        pack(ToolMessage("x", tool_call_id="1", artifact=ANY))


def test_nesting_has_a_limit_and_it_is_an_error_of_ours() -> None:
    """A value too deep for the stack is refused, one of a hundred levels is kept."""
    deep: Any = ("x",)
    for _ in range(100):
        deep = [deep]
    message = ToolMessage("x", tool_call_id="1", artifact=deep)
    assert again(message) == message
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(MessageNotSerializable):
        pack(ToolMessage.model_construct(content="x", tool_call_id="1", artifact=deep))


texts = st.text(st.characters(exclude_categories=()))
names = st.text(max_size=9)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | texts
    | st.binary()
    | st.datetimes()
    | st.datetimes(timezones=st.timezones().map(lambda _: UTC))
    | st.dates()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.complex_numbers(allow_nan=False)
)
hashables = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(names, inner, max_size=4)
        | st.dictionaries(st.sampled_from(["$tuple", "$set", "$dict", "$", "$int"]), inner, max_size=1)
        | st.dictionaries(hashables, inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.sets(hashables, max_size=3)
    ),
    max_leaves=12,
)
contents = texts | st.lists(texts | st.dictionaries(names, values, max_size=3), max_size=3)
calls = st.builds(lambda name, args: {**CALL, "name": name, "args": args}, names, st.dictionaries(names, values))
common = {
    "content": contents,
    "additional_kwargs": st.dictionaries(names, values, max_size=3),
    "response_metadata": st.dictionaries(names, values, max_size=3),
    "name": st.none() | names,
    "id": st.none() | names,
}
given_messages = (
    st.fixed_dictionaries({"cls": st.sampled_from([HumanMessage, HumanMessageChunk, SystemMessage]), **common})
    | st.fixed_dictionaries({"cls": st.just(AIMessage), **common, "tool_calls": st.lists(calls, max_size=2)})
    | st.fixed_dictionaries({"cls": st.just(AIMessageChunk), **common, "usage_metadata": st.none() | st.just(USAGE)})
    | st.fixed_dictionaries(
        {"cls": st.sampled_from([ToolMessage, ToolMessageChunk]), **common, "tool_call_id": names, "artifact": values}
    )
    | st.fixed_dictionaries({"cls": st.sampled_from([ChatMessage, ChatMessageChunk]), **common, "role": names})
)


@settings(max_examples=400, deadline=None)
@given(given_messages, st.dictionaries(st.sampled_from(["$", "$$x", "mine", "text_"]), values, max_size=2))
def test_any_message_comes_back_equal(fields: dict[str, Any], extra: dict[str, Any]) -> None:
    """Whatever a message of any class holds: equal, of the same class."""
    message = fields.pop("cls").model_construct(**fields, **extra)
    back = again(message)
    assert back == message
    assert type(back) is type(message)


@settings(max_examples=200, deadline=None)
@given(values | st.dictionaries(st.sampled_from(["role", "type", "content", "data", "name"]), values | st.just("user")))
def test_any_value_reads_as_a_message(value: Any) -> None:
    """Whatever a store holds, under our form or another, a read gives a message for it."""
    for form in ("", FORM):
        assert isinstance(unpack(event(copy.deepcopy(value), form)), BaseMessage)
    assert isinstance(meant(value), BaseMessage)
