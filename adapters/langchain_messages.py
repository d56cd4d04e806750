"""Room: a LangChain message <-> the value that an event keeps: the message's own fields, without its defaults.

    {"type": "human", "content": "hi"}
    {"type": "ai", "content": "", "tool_calls": [...], "usage_metadata": {...}, "id": "run-1"}
    {"type": "tool", "content": "3", "tool_call_id": "call_1", "artifact": {"$tuple": [1, 2]}, "$": ["artifact"]}

Invariants:
* `type` names a class of langchain-core. A message of another class is kept as the nearest of those that it derives
  from, or else as a `ChatMessage` whose role is its type; fields that this class lacks become extra fields of it.
* A field at its default is not kept: a version of langchain-core that lacks it, or has one more, reads the same.
* What msgpack would bend or refuse is tagged (langchain_values.py), and "$" lists the fields that hold tags. An extra
  field whose own name begins with "$" is kept with one more of them.
* A message comes back equal and of the same class. No validator runs twice, and no two messages share a value.
* What cannot come back is refused before it is written.
* A read never raises for what it finds. What the plain API stored as a chat API's dict, or as LangChain's own, becomes
  the message that it means; anything else a `ChatMessage` with the role "unknown" and the text, or else the `repr`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec
from langchain_core import messages as langchain
from langchain_core.messages import BaseMessage, ChatMessage, convert_to_messages, message_to_dict, messages_from_dict

from eventlog.adapters.langchain_values import Unstorable, tagged, untagged
from eventlog.adapters.legacy import element_of
from eventlog.codec import IMPORTED
from eventlog.errors import MessageNotSerializable
from eventlog.events import MessageAdded

FORM = "langchain"
UNKNOWN_ROLE = "unknown"
_MISSING = object()
_STR = {str}
_STR_OR_NONE = {str, type(None)}
_ONLY_CONTENT = {"content"}
# How msgpack begins a timestamp: an aware datetime would come back equal, but without its own offset.
_TIMESTAMPS = (b"\xd6\xff", b"\xd7\xff", b"\xc7\x0c\xff")

_encode: Callable[[Any], bytes] = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes], Any] = msgspec.msgpack.Decoder().decode
_new, _set = object.__new__, object.__setattr__


class _Shape:
    """A class of langchain-core: its name in the store, its fields in their order, and their defaults."""

    __slots__ = ("cls", "defaults", "fresh", "kind", "names", "plain", "required", "template")

    def __init__(self, cls: type[BaseMessage]) -> None:
        defaults: dict[str, Any] = {
            name: _MISSING if field.is_required() else field.get_default(call_default_factory=True)
            for name, field in cls.model_fields.items()
        }
        self.cls = cls
        self.kind: str = defaults["type"]
        self.names = frozenset(defaults)
        self.required = {name for name, value in defaults.items() if value is _MISSING}
        self.template = defaults
        self.fresh = [(name, type(value)) for name, value in defaults.items() if isinstance(value, (dict, list))]
        self.plain = {name: value for name, value in defaults.items() if name != "content"}
        self.defaults = [(name, value) for name, value in defaults.items() if name != "type"]


def _has_type(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, BaseMessage) and not cls.model_fields["type"].is_required()


_BY_CLASS: dict[type, _Shape] = {
    cls: _Shape(cls) for cls in (getattr(langchain, name) for name in langchain.__all__) if _has_type(cls)
}
_BY_KIND = {shape.kind: shape for shape in _BY_CLASS.values()}


def pack(message: BaseMessage) -> msgspec.Raw:
    """Give the bytes of what is kept of a message; `MessageNotSerializable` names types, never text."""
    shape = _BY_CLASS.get(type(message))
    if shape is None:
        return _pack_outsider(message)
    rest = message.__dict__.copy()
    content = rest.pop("content", None)
    if rest == shape.plain and type(content) is str and not message.__pydantic_extra__:
        try:
            return msgspec.Raw(_encode({"type": shape.kind, "content": content}))
        except UnicodeEncodeError:
            pass
    return _pack(_stored(shape, message.__dict__, message.__pydantic_extra__))


def _pack_outsider(message: BaseMessage) -> msgspec.Raw:
    """Pack a message whose class is not of langchain-core as the nearest that is."""
    if not isinstance(message, BaseMessage):
        raise MessageNotSerializable(f"expected a LangChain message, found {type(message).__name__}")
    mro = type(message).__mro__
    shape = next((_BY_CLASS[base] for base in mro if base in _BY_CLASS), _BY_CLASS[ChatMessage])
    values = {"role": message.type, **message.__dict__} if shape.cls is ChatMessage else message.__dict__
    own = {name: values[name] for name in type(message).model_fields if name not in shape.names and name in values}
    return _pack(_stored(shape, values, own | (message.__pydantic_extra__ or {})))


def _stored(shape: _Shape, values: Mapping[str, Any], extra: dict[str, Any] | None) -> dict[str, Any]:
    """Give the fields that are kept, as they are."""
    stored: dict[str, Any] = {"type": shape.kind}
    for name, default in shape.defaults:
        value = values.get(name, default)
        if value is _MISSING:
            raise MessageNotSerializable(f"expected a whole {shape.cls.__name__}, found one without {name}")
        if value is not default and not (type(value) is type(default) and value == default):
            stored[name] = value
    for name, value in extra.items() if extra else ():
        stored[f"${name}" if name.startswith("$") else name] = value
    return stored


def _pack(stored: dict[str, Any]) -> msgspec.Raw:
    try:
        encoded = _encode(stored)
        if _is_faithful(encoded, stored):
            return msgspec.Raw(encoded)
    except (TypeError, ValueError, OverflowError, RecursionError):
        pass
    return _pack_odd(stored)


def _is_faithful(encoded: bytes, stored: dict[str, Any]) -> bool:
    if set(map(type, stored.values())) == _STR:
        return True
    return bool(_decode(encoded) == stored) and not any(mark in encoded for mark in _TIMESTAMPS)


def _pack_odd(stored: dict[str, Any]) -> msgspec.Raw:
    try:
        return msgspec.Raw(_encode(_with_tags(stored)))
    except RecursionError:
        found = "one that contains itself or is nested too deeply"
    raise MessageNotSerializable(f"expected a message that can be kept, found {found}")


def _with_tags(stored: dict[str, Any]) -> dict[str, Any]:
    kept = {name: _tagged(name, value) for name, value in stored.items()}
    odd = [name for name, value in stored.items() if kept[name] != value]
    return {**kept, "$": odd} if odd else kept


def _tagged(name: str, value: Any) -> Any:
    try:
        return tagged(value)
    except Unstorable as error:
        found = str(error)
    raise MessageNotSerializable(f"expected values in the field {name} that can be kept, found {found}")


def unpack(event: MessageAdded) -> BaseMessage | None:
    """Give the message that an event keeps; takes over the values that it holds.

    None for what an older class's data held that no version of it can have written: kept, and shown to operators.
    """
    if event.form == FORM:
        try:
            return _restored(event.message)
        except Exception:  # noqa: BLE001, S110 (written by another hand: whatever it is, it hides nothing else)
            pass
    return _imported(event.message) if event.form == IMPORTED else meant(event.message)


def as_element(event: MessageAdded) -> bytes:
    """Give what langchain-community's classes would have written of an event; what was imported, as it was."""
    if event.form == IMPORTED:
        return element_of(event.message)
    message = unpack(event)
    return json.dumps(message_to_dict(message)).encode() if message is not None else b""


def _imported(value: Any) -> BaseMessage | None:
    with suppress(Exception):
        kept = value if isinstance(value, dict) else json.loads(value)
        return _plain_old(kept) or _from_langchain(kept)
    return None


def _plain_old(value: Any) -> BaseMessage | None:
    """Give a message that says nothing but its text, its name and its id: most are, and need no validation."""
    data = value["data"]
    shape = _BY_KIND.get(value["type"])
    if shape is None or shape.required != _ONLY_CONTENT or type(data.get("content")) is not str:
        return None
    own = {name: data.get(name) for name in ("content", "id", "name")}
    if data != shape.plain | own or not {type(own["id"]), type(own["name"])} <= _STR_OR_NONE:
        return None
    return _bare(shape.cls, data, set(data), {})


def _restored(stored: dict[str, Any]) -> BaseMessage:
    shape, given, extra = _BY_KIND[stored["type"]], set(stored), {}
    if not shape.required <= given:
        raise KeyError(shape.kind)
    fields = shape.template.copy()
    for name, make in shape.fresh:
        fields[name] = make()
    fields.update(stored)
    given.discard("type")
    if len(fields) != len(shape.names):
        extra = _split(shape, fields)
        given = given & fields.keys() | extra.keys()
    return _bare(shape.cls, fields, given, extra)


def _bare(cls: type[BaseMessage], fields: dict[str, Any], given: set[str], extra: dict[str, Any]) -> BaseMessage:
    """Make a message of what a validator gave before."""
    message = _new(cls)
    _set(message, "__dict__", fields)
    _set(message, "__pydantic_fields_set__", given)
    _set(message, "__pydantic_extra__", extra)
    _set(message, "__pydantic_private__", None)
    return message


def _split(shape: _Shape, fields: dict[str, Any]) -> dict[str, Any]:
    """Take out of `fields` what is no field of the class; give the extra fields by their own names."""
    for name in fields.pop("$", ()):
        fields[name] = untagged(fields[name])
    extra = [name for name in fields if name not in shape.names]
    return {name.removeprefix("$"): fields.pop(name) for name in extra}


def meant(value: Any) -> BaseMessage:
    """Give the message that a value of another form stands for."""
    if isinstance(value, dict):
        for read in (_from_langchain, _from_chat_api, _with_role):
            with suppress(Exception):
                return read(value)
    return ChatMessage(role=UNKNOWN_ROLE, content=value if isinstance(value, str) else _shown(value))


def _from_langchain(value: dict[str, Any]) -> BaseMessage:
    return messages_from_dict([{"type": value["type"], "data": value["data"]}])[0]


def _from_chat_api(value: dict[str, Any]) -> BaseMessage:
    return convert_to_messages([value])[0]


def _with_role(value: dict[str, Any]) -> BaseMessage:
    return ChatMessage(role=value.get("role") or value["type"], content=value["content"])


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except RecursionError:
        return ""
