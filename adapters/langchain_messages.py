"""Room: a LangChain message <-> the value that an event keeps: the message's own fields, without its defaults.

    {"type": "human", "content": "hi"}
    {"type": "ai", "content": "", "tool_calls": [...], "usage_metadata": {...}, "id": "run-1"}
    {"type": "tool", "content": "3", "tool_call_id": "call_1", "artifact": {"$tuple": [1, 2]}, "$": ["artifact"]}

Invariants:
* `type` names a class of langchain-core. A message of another class is kept as the nearest of those that it derives
  from, or else as a `ChatMessage` whose role is its type; fields that this class lacks become extra fields of it.
* A field at its default is not kept: a version of langchain-core that lacks it, or has one more, reads the same.
* What msgpack would bend or refuse (odd_values.py) is tagged, and "$" lists the fields that hold tags. An extra field
  whose own name begins with "$" is kept with one more of them.
* A message comes back equal and of the same class. No validator runs twice, and no two messages share a value.
* What cannot come back is refused before it is written. An enum, a dataclass and a nested model are kept as the plain
  values that they hold.
* A read never raises for what it finds. What the plain API stored as a chat API's dict, or as LangChain's own, becomes
  the message that it means; anything else a `ChatMessage` with the role "unknown" and the text, or else the `repr`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

import msgspec
from langchain_core import messages as langchain
from langchain_core.messages import BaseMessage, ChatMessage, convert_to_messages, messages_from_dict

from eventlog.adapters.odd_values import TIMESTAMPS, Unstorable, tagged, untagged
from eventlog.errors import MessageNotSerializable

FORM = "langchain"
UNKNOWN_ROLE = "unknown"
_TYPE: Final = "type"
_TAGGED: Final = "$"
_STR: Final = {str}
_MISSING: Final = object()

_encode: Callable[[Any], bytes] = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes], Any] = msgspec.msgpack.Decoder().decode


class _Shape:
    """A class of langchain-core: its name in the store, its fields in order, and their defaults."""

    __slots__ = ("cls", "defaults", "kind", "names", "plain", "required", "size", "template")

    def __init__(self, cls: type[BaseMessage]) -> None:
        fields = cls.model_fields
        self.cls = cls
        self.kind: str = fields[_TYPE].default
        self.names = [name for name in fields if name != _TYPE]
        self.defaults = {
            name: field.get_default(call_default_factory=True)
            for name, field in fields.items()
            if not field.is_required()
        }
        self.required = frozenset(name for name in self.names if name not in self.defaults)
        self.plain = {name: value for name, value in self.defaults.items() if name != "content"}
        self.template = _encode({name: self.defaults.get(name) for name in fields})
        self.size = len(fields)


def _shapes() -> Iterable[_Shape]:
    for name in langchain.__all__:
        found = getattr(langchain, name)
        if isinstance(found, type) and issubclass(found, BaseMessage) and found.model_fields[_TYPE].default:
            yield _Shape(found)


def _is_concrete(cls: object) -> bool:
    return isinstance(cls, type) and issubclass(cls, BaseMessage) and not cls.model_fields[_TYPE].is_required()


_BY_CLASS = {
    cls: _Shape(cls) for cls in (getattr(langchain, name) for name in langchain.__all__) if _is_concrete(cls)
}
_BY_KIND = {shape.kind: shape for shape in _BY_CLASS.values()}


def pack(message: BaseMessage) -> msgspec.Raw:
    """Give the bytes of what is kept of a message; `MessageNotSerializable` names types, never text."""
    shape = _BY_CLASS.get(type(message))
    if shape is not None:
        rest = message.__dict__.copy()
        content = rest.pop("content", None)
        if rest == shape.plain and type(content) is str and not message.__pydantic_extra__:
            with suppress(UnicodeEncodeError):
                return msgspec.Raw(_encode({_TYPE: shape.kind, "content": content}))
    return _pack_any(message)


def _pack_any(message: BaseMessage) -> msgspec.Raw:
    if not isinstance(message, BaseMessage):
        raise MessageNotSerializable(f"expected a LangChain message, found {type(message).__name__}")
    stored = _stored(message)
    with suppress(TypeError, ValueError, OverflowError, RecursionError):
        encoded = _encode(stored)
        if _is_faithful(encoded, stored):
            return msgspec.Raw(encoded)
    return msgspec.Raw(_pack_tagged(stored))
