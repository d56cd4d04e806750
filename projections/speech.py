"""Room: who says what in a message, whichever form it came in. Pure and total.

    {"role": "user", "content": "hi"}                                    as the chat APIs have it
    {"type": "ai", "content": "", "tool_calls": [{"name", "args"}]}      as LangChain has it
    {"type": "human", "data": {"content": "hi"}}                         as LangChain wrote it to stores

Invariants:
* Nothing that was said is left out: what has no known shape is given as JSON.
* It never raises, whatever a message holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

ROLE_UNKNOWN = "message"


class ToolCall(msgspec.Struct, frozen=True):
    """A tool that the bot called. A call of a shape that is not known has no name, and all of it as arguments."""

    name: str
    arguments: Any
    id: str = ""


class Speech(msgspec.Struct, frozen=True):
    """One message for a reader."""

    role: str
    text: str
    tool_calls: tuple[ToolCall, ...] = ()


def speech(message: Any) -> Speech:
    """Read a message."""
    if not isinstance(message, Mapping):
        return Speech(ROLE_UNKNOWN, as_text(message))
    inner = message.get("data")
    fields = inner if isinstance(inner, Mapping) and "content" not in message else message
    calls = tuple(_calls(fields))
    lines = list(_content(fields.get("content")))
    calls = calls or tuple(_used(fields.get("content")))
    if not lines and not calls and "content" not in fields:
        return Speech(_role(message), as_text(message))
    return Speech(_role(message), "\n".join(lines), calls)


def as_text(value: Any) -> str:
    """Give any value as JSON."""
    try:
        return msgspec.json.encode(value, enc_hook=str).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        return f"({type(value).__name__}, which JSON cannot show)"


def _role(message: Mapping[Any, Any]) -> str:
    return str(message.get("role") or message.get("type") or ROLE_UNKNOWN)


def _content(content: Any) -> Iterator[str]:
    if isinstance(content, list):
        yield from filter(None, (_block(block) for block in content if not _is_use(block)))
    elif content is not None and content != "":
        yield content if isinstance(content, str) else as_text(content)


def _block(block: Any) -> str:
    text = block.get("text") if isinstance(block, Mapping) else block
    return text if isinstance(text, str) else as_text(block)


def _is_use(block: Any) -> bool:
    """Tell whether a block of content is a call of a tool, as Anthropic's messages have it."""
    return isinstance(block, Mapping) and block.get("type") == "tool_use" and "name" in block


def _used(content: Any) -> Iterator[ToolCall]:
    for block in content if isinstance(content, list) else ():
        if _is_use(block):
            yield ToolCall(str(block["name"]), block.get("input", {}), str(block.get("id") or ""))


def _calls(fields: Mapping[Any, Any]) -> Iterator[ToolCall]:
    calls = fields.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        inner = call.get("function") if isinstance(call, Mapping) else None
        named = inner if isinstance(inner, Mapping) else call
        if isinstance(named, Mapping) and "name" in named:
            arguments = named.get("args", named.get("arguments", {}))
            yield ToolCall(str(named["name"]), arguments, str(call.get("id") or ""))
        else:
            yield ToolCall("", call)
