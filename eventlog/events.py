"""Room: values. What an event is, with no I/O and no bytes but its id's.

Rules:
* `EventId` is 16 bytes, a valid UUIDv7 (RFC 9562): 48 bits Unix ms, 12 bits counter, 62 bits writer. Its byte order is
  the order of events, on every backend.
* Order is the id's; time is not: an event carries `at_ms`, the writer's wall clock, and expiry reckons with that.
* An event never holds its id: the id names it, the body is what it says.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Self
from uuid import UUID

import msgspec

ID_BYTES = 16
WRITER_BYTES = 8
SESSION_BYTES_MAX = 1024
MS = timedelta(milliseconds=1)
_SECONDS_MAX = timedelta.max.total_seconds()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ALL_OLD = -1
_VERSION_7 = 0x70
_VARIANT_RFC = 0x80


class EventId(bytes):
    """The name and the place of an event: a UUIDv7 as 16 bytes, `str` gives the UUID's text."""

    __slots__ = ()

    def __new__(cls, value: bytes) -> Self:
        """Take 16 bytes that are a UUIDv7; `ValueError` otherwise."""
        if len(value) != ID_BYTES or value[6] & 0xF0 != _VERSION_7 or value[8] & 0xC0 != _VARIANT_RFC:
            found = bytes(value[: ID_BYTES + 1]).hex()
            raise ValueError(f"expected the 16 bytes of a UUIDv7 as event id, found {found!r}")
        return bytes.__new__(cls, value)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the UUID's text; `ValueError` if it is none."""
        return cls(UUID(text).bytes)

    @property
    def ms(self) -> int:
        """The id's time in Unix milliseconds (the order's clock, not always the wall's)."""
        return int.from_bytes(self[:6], "big")

    @property
    def time(self) -> datetime:
        """The id's time, aware, UTC."""
        return EPOCH + self.ms * MS

    @property
    def writer(self) -> bytes:
        """The 8 bytes that name the process incarnation which wrote the event."""
        return bytes(self[WRITER_BYTES:])

    def __str__(self) -> str:
        """Give the UUID's text."""
        return str(UUID(bytes=bytes(self)))

    def __repr__(self) -> str:
        """Show the text, since sixteen raw bytes help nobody."""
        return f"EventId('{self}')"


class Kind(IntEnum):
    """What the second byte of a body says. New kinds are added, never renumbered."""

    MESSAGE = 1
    """A message that stays."""
    MESSAGE_FIXED = 2
    """A message that goes `ttl_ms` after its `at_ms`."""
    MESSAGE_SLIDING = 3
    """A message that goes with its session's other sliding ones, `ttl_ms` after the last of them."""
    CLEARED = 16
    """A cut: it hides every event of the session with a smaller id."""


class MessageAdded(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One message, opaque: `form` names how its value is to be read ('' is: as it was given)."""

    at_ms: int
    form: str
    message: Any
    ttl_ms: int = 0


class HistoryCleared(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A cut. `retain_ms`: how long what it hid stays readable for replay, None for ever."""

    at_ms: int
    retain_ms: int | None = None
    erase: bool = False
    history_ttl_ms: int = 0
    """The TTL of the history that was cleared; 0 where it had none."""
    covered: int = 0
    """How many elements of an older layout's list lie below it; `ALL_OLD`: all, and they go with what it hides."""
    seal: bytes = b""
    """The mark of the last of them."""


class UnknownEvent(msgspec.Struct, frozen=True):
    """An event of a kind or version that this reader does not know: kept, skipped, counted."""

    at_ms: int = 0


Event = MessageAdded | HistoryCleared | UnknownEvent


def to_ms(value: timedelta | float | None, name: str) -> int | None:
    """Turn a duration (timedelta or seconds) into ms; `ValueError` naming `name` unless it is positive."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, timedelta)):
        raise ValueError(f"expected {name} as timedelta or seconds, found {type(value).__name__}")  # noqa: TRY004 (settled)
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if not 0 < seconds <= _SECONDS_MAX:
        raise ValueError(f"expected {name} greater than zero (and finite), found {value!r}")
    return max(1, round(seconds * 1000))


def session_bytes(session: str) -> bytes:
    """Encode a session id; `ValueError` naming the limit if it is none."""
    if not isinstance(session, str):
        raise ValueError(f"expected a session id as str, found {type(session).__name__}")  # noqa: TRY004 (settled)
    try:
        encoded = session.encode()
    except UnicodeEncodeError:
        raise ValueError("expected a session id that is valid Unicode, found a lone surrogate") from None
    if not 1 <= len(encoded) <= SESSION_BYTES_MAX:
        raise ValueError(f"expected a session id of 1 to {SESSION_BYTES_MAX} bytes, found {len(encoded)}")
    return encoded
