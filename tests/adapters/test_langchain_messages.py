"""Laws of a LangChain message in the log: it comes back equal, and the store reads well."""

from __future__ import annotations

import copy
import pickle
from typing import Any, Literal

import pytest
from langchain_core import messages as langchain
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    BaseMessageChunk,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    message_to_dict,
)

from eventlog.adapters.langchain_messages import FORM, UNKNOWN_ROLE, pack, unpack
from eventlog.errors import MessageNotSerializable
from tests.adapters.langchain_help import (
    BLOCKS,
    CALL,
    CHUNK,
    RAW_CALL,
    SAMPLES,
    again,
    event,
    event_of,
)


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
