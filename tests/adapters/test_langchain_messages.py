"""Laws of a LangChain message in the log: it comes back equal, or it is refused before it is written."""

from __future__ import annotations

import copy
import pickle
import socket
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from typing import Any, Literal
from unittest.mock import ANY
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core import messages as langchain
from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    BaseMessageChunk,
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
    message_to_dict,
)
from pydantic import BaseModel

from eventlog.adapters.langchain_messages import FORM, UNKNOWN_ROLE, meant, pack, unpack
from eventlog.codec import PERMANENT, decode, encode_message
from eventlog.errors import MessageNotSerializable
from eventlog.events import MessageAdded

CALL: Any = {"name": "add", "args": {"a": 1, "b": [2, None]}, "id": "call_1", "type": "tool_call"}
BROKEN: Any = {"name": "add", "args": "{", "id": "call_2", "error": "no JSON", "type": "invalid_tool_call"}
RAW_CALL: Any = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
BLOCKS: Any = [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "data:,"}}, "and text"]
USAGE: Any = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3, "input_token_details": {"audio": 1}}
CHUNK: Any = {"name": "add", "args": '{"a":', "id": "call_1", "index": 0}

SAMPLES: list[BaseMessage] = [
    HumanMessage("hi"),
    HumanMessage(""),
    HumanMessage("Grüße, 世界 🌍"),
    HumanMessage(BLOCKS, name="ann", id="1"),
    HumanMessage([]),
    HumanMessage("hi", additional_kwargs={"a": {"b": [1, 2.5, None, True]}}, likes="tea", scores={"x": 1}),
    AIMessage("hello"),
    AIMessage("", tool_calls=[CALL], invalid_tool_calls=[BROKEN], usage_metadata=USAGE, id="run-1"),
    AIMessage("", additional_kwargs={"tool_calls": [RAW_CALL]}, response_metadata={"model_name": "m", "n": {"k": 1}}),
    AIMessage([{"type": "text", "text": "x", "index": 0}], name=""),
    SystemMessage("be kind"),
    ChatMessage(content="hi", role="narrator"),
    FunctionMessage(content="3", name="add"),
    ToolMessage("3", tool_call_id="call_1"),
    ToolMessage(["a", {"type": "text", "text": "b"}], tool_call_id="", artifact={"rows": [1]}, status="error"),
    RemoveMessage(id="1"),
    HumanMessageChunk(content="hi"),
    AIMessageChunk(content="he", tool_call_chunks=[CHUNK], usage_metadata=USAGE, id="run-1"),
    AIMessageChunk(content=""),
    SystemMessageChunk(content="be"),
    ChatMessageChunk(content="hi", role="narrator"),
    FunctionMessageChunk(content="3", name="add"),
    ToolMessageChunk(content="3", tool_call_id="call_1", artifact=b"\x00"),
]


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


def event_of(message: BaseMessage) -> MessageAdded:
    """Give the event that a reader meets after this message was added."""
    event = decode(bytes(16) + encode_message(PERMANENT, 0, FORM, pack(message), 0))
    assert isinstance(event, MessageAdded)
    return event


def again(message: BaseMessage) -> BaseMessage:
    """Give the message as a reader gets it."""
    return unpack(event_of(message))


def event(value: Any, form: str = "") -> MessageAdded:
    """Give an event that somebody else wrote."""
    return MessageAdded(0, form, value)


def test_samples_show_every_message_class_of_langchain_core() -> None:
    """A class that a new version brings fails here until there is a sample of it."""
    found = [getattr(langchain, name) for name in langchain.__all__]
    classes = {cls for cls in found if isinstance(cls, type) and issubclass(cls, BaseMessage)}
    assert {type(sample) for sample in SAMPLES} == classes - {BaseMessage, BaseMessageChunk}


@pytest.mark.parametrize("message", SAMPLES, ids=repr)
def test_message_comes_back_equal_and_of_its_class(message: BaseMessage) -> None:
    """Equal by ==, of the same class, with the same text in each of the ways to write it down."""
    back = again(message)
    assert back == message
    assert type(back) is type(message)
    assert repr(back) == repr(message)
    assert list(back.__dict__) == list(message.__dict__)
    assert back.model_dump_json() == message.model_dump_json()
    assert message_to_dict(back) == message_to_dict(message)


@pytest.mark.parametrize("message", SAMPLES, ids=repr)
def test_message_that_came_back_is_as_good_as_a_new_one(message: BaseMessage) -> None:
    """It is copied, pickled, validated and changed like any other."""
    back = again(message)
    assert copy.copy(back) == copy.deepcopy(back) == pickle.loads(pickle.dumps(back)) == message  # noqa: S301 (our own)
    assert back.model_copy(update={"id": "2"}).id == "2"
    assert back.model_dump(exclude_defaults=True) == message.model_dump(exclude_defaults=True)
    assert back.lc_attributes == message.lc_attributes
    back.id = "3"
    back.additional_kwargs["k"] = 1
    assert "id" in back.model_fields_set
    assert (back.id, back.additional_kwargs["k"]) == ("3", 1)
    assert back != message


@pytest.mark.parametrize("cls", [HumanMessage, AIMessage, AIMessageChunk])
def test_only_what_was_given_counts_as_given(cls: type[BaseMessage]) -> None:
    """A dump without defaults is as short as that of the message that was added."""
    message = cls(content="hi", id="1", mood="good")
    assert again(message).model_fields_set == message.model_fields_set == {"content", "id", "mood"}
    assert again(message).model_dump(exclude_unset=True) == message.model_dump(exclude_unset=True)


@pytest.mark.parametrize("cls", [HumanMessage, AIMessage, AIMessageChunk])
def test_no_two_messages_share_a_default(cls: type[BaseMessage]) -> None:
    """Changing a message in place changes no other, read before or after."""
    one, two = again(cls(content="hi")), again(cls(content="hi"))
    for name, value in vars(one).items():
        assert not isinstance(value, (dict, list)) or value is not vars(two)[name]
    one.additional_kwargs["k"] = one.response_metadata["k"] = 1
    assert two == again(cls(content="hi")) == cls(content="hi")


def test_chunks_that_came_back_add_up() -> None:
    """What was streamed in pieces and stored in pieces can be put together."""
    left: Any = AIMessageChunk(content="", tool_call_chunks=[CHUNK])
    right: Any = AIMessageChunk(content="", tool_call_chunks=[{"name": None, "args": "1}", "id": None, "index": 0}])
    whole: Any = again(left) + again(right)
    assert whole == left + right
    assert whole.tool_calls == [{"name": "add", "args": {"a": 1}, "id": "call_1", "type": "tool_call"}]


def test_validators_do_not_run_again() -> None:
    """What a program changed after the message was made is kept as the program left it."""
    message = AIMessage("", additional_kwargs={"tool_calls": [RAW_CALL]})
    message.tool_calls = []
    assert again(message) == message
    assert again(message).tool_calls == []  # type: ignore[attr-defined]


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


@pytest.mark.parametrize("value", ["text", {"role": "user", "content": "secret"}, None, ("human", "secret")])
def test_what_is_no_message_is_refused(value: Any) -> None:
    """Only messages are added, as before."""
    with pytest.raises(MessageNotSerializable, match=f"found {type(value).__name__}"):
        pack(value)


def test_message_without_its_content_is_refused() -> None:
    """A message that was put together without validation is kept only if it is whole."""
    with pytest.raises(MessageNotSerializable, match="without content"):
        pack(HumanMessage.model_construct())


class Guest(HumanMessage):
    """A message class of a user, with a field and a default of its own."""

    table: int = 4
    name: str | None = "guest"


class Shout(AIMessageChunk):
    """A message class of a user, with a type of its own."""

    type: Literal["shout"] = "shout"  # type: ignore[assignment]


class Note(BaseMessage):
    """A message class that derives from none of the others."""

    type: str = "note"
    colour: str = "yellow"


def test_class_of_a_user_comes_back_as_the_nearest_of_langchain() -> None:
    """Its fields come along; its type, which no other reader knows, does not."""
    extra: dict[str, Any] = {"seat": 1}
    assert again(Guest(content="hi", **extra)) == HumanMessage("hi", table=4, name="guest", seat=1)
    assert again(Guest(content="hi", name=None)) == HumanMessage("hi", table=4)
    assert again(Shout(content="hi")) == AIMessageChunk(content="hi")
    assert again(Note(content="hi")) == ChatMessage.model_validate(
        {"content": "hi", "role": "note", "colour": "yellow"}
    )
    assert again(BaseMessage(content="hi", type="critic")) == ChatMessage(content="hi", role="critic")


def test_store_holds_what_is_no_default_and_reads_well() -> None:
    """A program that reads the session through the plain API sees dicts that tell all."""
    assert event_of(HumanMessage("hi")).message == {"type": "human", "content": "hi"}
    full = event_of(AIMessage("", tool_calls=[CALL], id="run-1")).message
    assert full == {"type": "ai", "content": "", "id": "run-1", "tool_calls": [CALL]}
    odd = event_of(ToolMessage("3", tool_call_id="1", artifact=(1, 2))).message
    assert odd == {
        "type": "tool",
        "content": "3",
        "tool_call_id": "1",
        "artifact": {"$tuple": [1, 2]},
        "$": ["artifact"],
    }


def test_fields_of_another_version_are_no_trouble() -> None:
    """A field that this version lacks is an extra one; one that another lacked has its default."""
    found = unpack(event({"type": "human", "content": "hi", "of_tomorrow": 1}, FORM))
    assert found == HumanMessage("hi", of_tomorrow=1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"role": "user", "content": "hi"}, HumanMessage("hi")),
        ({"role": "user", "content": "hi", "name": "ann"}, HumanMessage("hi", name="ann")),
        ({"role": "user", "content": BLOCKS}, HumanMessage(BLOCKS)),
        ({"role": "assistant", "content": "hello"}, AIMessage("hello")),
        (
            {"role": "assistant", "content": None, "tool_calls": [RAW_CALL]},
            AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "call_1"}]),
        ),
        ({"role": "system", "content": "be kind"}, SystemMessage("be kind")),
        ({"role": "tool", "content": "3", "tool_call_id": "1"}, ToolMessage("3", tool_call_id="1")),
        ({"type": "human", "content": "hi"}, HumanMessage("hi")),
        ({"type": "ai", "content": "hello"}, AIMessage("hello")),
        (message_to_dict(ToolMessage("3", tool_call_id="1")), ToolMessage("3", tool_call_id="1")),
        (message_to_dict(AIMessageChunk(content="he")), AIMessageChunk(content="he")),
        ({"role": "narrator", "content": "once"}, ChatMessage(content="once", role="narrator")),
        ({"type": "narrator", "content": "once"}, ChatMessage(content="once", role="narrator")),
        ("just text", ChatMessage(content="just text", role=UNKNOWN_ROLE)),
        ({"role": "user", "content": 5}, ChatMessage(content="{'role': 'user', 'content': 5}", role=UNKNOWN_ROLE)),
        ({"text": "hi"}, ChatMessage(content="{'text': 'hi'}", role=UNKNOWN_ROLE)),
        ([1, None], ChatMessage(content="[1, None]", role=UNKNOWN_ROLE)),
        (None, ChatMessage(content="None", role=UNKNOWN_ROLE)),
        ({}, ChatMessage(content="{}", role=UNKNOWN_ROLE)),
        ({1: 2}, ChatMessage(content="{1: 2}", role=UNKNOWN_ROLE)),
    ],
)
def test_values_of_another_form_become_the_messages_that_they_mean(value: Any, expected: BaseMessage) -> None:
    """A history that a plain program began goes on in LangChain, and nothing in it stops a read."""
    assert unpack(event(value)) == expected
    assert unpack(event(value, "form of tomorrow")) == expected


@pytest.mark.parametrize(
    "value",
    [
        {"type": "developer", "content": "hi", "speed": 1},
        {"type": "human"},
        {"content": "hi"},
        {"type": ["human"]},
        "human",
        None,
        7,
        {"type": "human", "content": {"$int": "x"}, "$": ["content"]},
        {"type": "human", "content": "hi", "$": ["missing"]},
        {"type": "human", "content": "hi", "$": 7},
    ],
)
def test_damaged_value_under_our_form_is_shown_as_what_it_is(value: Any) -> None:
    """One message that nobody can make sense of hides no other."""
    assert isinstance(unpack(event(value, FORM)), BaseMessage)


def test_tag_of_a_later_version_stays_what_it_is() -> None:
    """What this version cannot turn back it shows as it is kept."""
    found = unpack(
        event({"type": "tool", "content": "", "tool_call_id": "", "artifact": {"$x": 1}, "$": ["artifact"]}, FORM)
    )
    assert found == ToolMessage("", tool_call_id="", artifact={"$x": 1})


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
