"""Room: event <-> bytes.

A record is what lies in the journal's frames and in every backend, byte for byte:

    0                16        17      18
    | id (16 bytes)  | version | kind  | msgpack array: the fields of the event, in order |
    |                |<------------------------- body ------------------------------------>|

Rules:
* Sorting records sorts events: the id comes first, and of two bodies under one id the larger wins.
* A body is encoded once; copying between backends copies bytes.
* A reader never raises for an unknown kind or version (`UnknownEvent`); damaged bytes raise `DamagedBody` and nothing
  else. A field that a later writer appends to an array is ignored.
* What a message may hold is what msgpack has; other values become what JSON would make of them (a tuple is a list, a
  datetime its msgpack timestamp or text). Anything else is `MessageNotSerializable`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from eventlog.errors import DamagedBody, MessageNotSerializable
from eventlog.events import ID_BYTES, Event, HistoryCleared, Kind, MessageAdded, UnknownEvent

VERSION = 1
KIND_AT = ID_BYTES + 1
PAYLOAD_AT = ID_BYTES + 2

PERMANENT = bytes((VERSION, Kind.MESSAGE))
FIXED = bytes((VERSION, Kind.MESSAGE_FIXED))
SLIDING = bytes((VERSION, Kind.MESSAGE_SLIDING))
CLEARED = bytes((VERSION, Kind.CLEARED))
IMPORTED = "langchain-community"
"""The form of what an older layout held: the JSON object, or the text or bytes where these would not come back."""

_encode: Callable[[Any], bytes] = msgspec.msgpack.Encoder().encode
_decode_message: Callable[[bytes], MessageAdded] = msgspec.msgpack.Decoder(MessageAdded).decode
_decode_cleared: Callable[[bytes], HistoryCleared] = msgspec.msgpack.Decoder(HistoryCleared).decode
_DECODERS: dict[bytes, Callable[[bytes], Event]] = {
    PERMANENT: _decode_message,
    FIXED: _decode_message,
    SLIDING: _decode_message,
    CLEARED: _decode_cleared,
}


def encode_message(prefix: bytes, at_ms: int, form: str, message: Any, ttl_ms: int) -> bytes:
    """Give the body of one message; `MessageNotSerializable` names the type, never the text."""
    try:
        return prefix + _encode((at_ms, form, message, ttl_ms))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise MessageNotSerializable(_why(error)) from None


def encode_cleared(event: HistoryCleared) -> bytes:
    """Give the body of a cut; what only cuts over an older layout have is left out of the others."""
    short = (event.at_ms, event.retain_ms, event.erase, event.history_ttl_ms)
    return CLEARED + _encode(event if event.covered else short)


def decode(record: bytes) -> Event:
    """Read a record's event; `DamagedBody` if the bytes are not what their kind says."""
    decoder = _DECODERS.get(record[ID_BYTES:PAYLOAD_AT])
    if decoder is None:
        return _unknown(record)
    try:
        return decoder(record[PAYLOAD_AT:])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise DamagedBody(f"expected a body of kind {record[KIND_AT]}, found bytes that do not decode") from None


def decode_messages(records: Sequence[bytes]) -> list[MessageAdded]:
    """Read records that are all messages, as fast as it goes; `DamagedBody` if one does not decode."""
    try:
        return [_decode_message(record[PAYLOAD_AT:]) for record in records]
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise DamagedBody("expected bodies of messages, found one that does not decode") from None


def _unknown(record: bytes) -> UnknownEvent:
    if len(record) < PAYLOAD_AT:
        raise DamagedBody(f"expected a record of at least {PAYLOAD_AT} bytes, found {len(record)}")
    return UnknownEvent()


def is_imported(record: bytes) -> bool:
    """Tell whether an event was made of what an older layout held: its id is as old as that, not as its wait."""
    with suppress(DamagedBody):
        event = decode(record)
        return not event.at_ms or (isinstance(event, MessageAdded) and event.form == IMPORTED)
    return False


def is_cut(record: bytes) -> bool:
    """Tell whether a record is a clear."""
    return record[ID_BYTES:PAYLOAD_AT] == CLEARED


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "expected a message that msgpack can hold, found one that contains itself or is nested too deeply"
    if isinstance(error, UnicodeEncodeError):
        return "expected text that is valid Unicode, found a lone surrogate"
    if isinstance(error, OverflowError):
        return "expected integers of at most 64 bits, found a larger one"
    if isinstance(error, TypeError):
        return f"expected a message that msgpack can hold; {error}"
    return f"expected a message that msgpack can hold; its encoder found a {type(error).__name__}"
