"""Who says what: whichever form a message came in."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core import messages as langchain

from eventlog.adapters.langchain_messages import pack
from eventlog.projections.speech import Speech, ToolCall, speech
from tests.core.examples import examples

CALL = ToolCall("clock", {"zone": 1}, "c1")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"role": "user", "content": "hi"}, Speech("user", "hi")),
        ({"type": "human", "content": "hi"}, Speech("human", "hi")),
        ({"type": "human", "data": {"content": "hi", "type": "human"}}, Speech("human", "hi")),
        ({"type": "ai", "content": [{"type": "text", "text": "a"}, "b"]}, Speech("ai", "a\nb")),
        ({"role": "user", "content": [{"type": "image"}]}, Speech("user", '{"type":"image"}')),
        ({"role": "user", "content": None}, Speech("user", "")),
        ({"role": "user", "text": "?"}, Speech("user", '{"role":"user","text":"?"}')),
        ("bare", Speech("message", '"bare"')),
        (None, Speech("message", "null")),
        ({"type": "ai", "tool_calls": [{"name": "clock", "args": {"zone": 1}, "id": "c1"}]}, Speech("ai", "", (CALL,))),
        (
            {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]},
            Speech("assistant", "", (ToolCall("f", "{}", "c"),)),
        ),
        (
            {"role": "assistant", "content": [{"type": "tool_use", "name": "clock", "input": {"zone": 1}, "id": "c1"}]},
            Speech("assistant", "", (CALL,)),
        ),
        ({"role": "assistant", "tool_calls": ["odd"]}, Speech("assistant", "", (ToolCall("", "odd"),))),
    ],
)
def test_a_message_is_read(message: Any, said: Speech) -> None:
    """Role, text, tool calls."""
    assert speech(message) == said


def test_a_message_of_the_drop_in_for_langchain_is_read() -> None:
    """As the drop-in stores it."""
    messages = [
        langchain.HumanMessage("hi"),
        langchain.AIMessage("", tool_calls=[{"name": "clock", "args": {"zone": 1}, "id": "c1"}]),
        langchain.ToolMessage("12", tool_call_id="c1"),
        langchain.SystemMessage([{"type": "text", "text": "be kind"}]),
    ]
    assert [speech(msgspec.msgpack.decode(pack(message))) for message in messages] == [
        Speech("human", "hi"),
        Speech("ai", "", (CALL,)),
        Speech("tool", "12"),
        Speech("system", "be kind"),
    ]


KEYS = ["role", "type", "data", "content", "tool_calls", "function", "name", "args", "arguments", "id", "input", "text"]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(values)
@examples(300)
def test_no_message_makes_it_fail(message: Any) -> None:
    """Whatever it holds, there is something to show."""
    assert isinstance(speech(message).text, str)
