"""What the tests of LangChain's histories share: a message of every kind, ways to add it and to run a program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
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
)

from eventlog.adapters.langchain import RedisChatMessageHistory
from eventlog.adapters.langchain_messages import FORM, pack, unpack
from eventlog.codec import PERMANENT, decode, encode_message
from eventlog.events import MessageAdded

ROOT = Path(__file__).parents[2]
WAIT_S = 20

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


def event_of(message: BaseMessage) -> MessageAdded:
    """Give the event that a reader meets after this message was added."""
    event = decode(bytes(16) + encode_message(PERMANENT, 0, FORM, pack(message), 0))
    assert isinstance(event, MessageAdded)
    return event


def again(message: BaseMessage) -> BaseMessage:
    """Give the message as a reader gets it."""
    found = unpack(event_of(message))
    assert found is not None
    return found


def event(value: Any, form: str = "") -> MessageAdded:
    """Give an event that somebody else wrote."""
    return MessageAdded(0, form, value)


def run(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own; it must end well."""
    done = subprocess.run(
        [sys.executable, *options, "-c", dedent(code)],
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=WAIT_S * 2,
    )
    assert done.returncode == 0, done.stderr
    return done


def delivered(history: RedisChatMessageHistory) -> RedisChatMessageHistory:
    """Wait until all is in the server."""
    assert history.log.flush(WAIT_S)
    return history
