"""Room: what langchain-community's classes wrote <-> our records. Pure.

    Redis      a list <prefix><session>, newest element first        JSON text
    Momento    a list <prefix><session>, oldest element first        JSON text
    Rockset    a document, `_id` the session, an array, oldest first JSON objects
    Cassandra  a row a message, by TIMEUUID                          JSON text (legacy_rows.py)

Invariants:
* `element_of(value_of(element)) == element`, for any bytes: going back gives byte for byte what there was.
* The id of a list's element is made of the newest clear that there was, its place and its bytes: whoever imports it,
  however often, gives it the same. It sorts before whatever was added since, and its `at` is zero.
* Elements are told apart by their marks, a hash in the writer's bits of their ids. What is there is matched with what
  was imported: what follows is new; where nothing matches, an old program cleared the list and began again.
* An old clear hides what was imported, no more: its cut lies right above that. A list that expired hides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from eventlog.clock import id_at, is_damage, tick_of
from eventlog.codec import (
    IMPORTED,
    PAYLOAD_AT,
    PERMANENT,
    SLIDING,
    decode,
    encode_cleared,
    encode_message,
    is_cut,
)
from eventlog.errors import DamagedBody, MessageNotSerializable
from eventlog.events import ALL_OLD, WRITER_BYTES, HistoryCleared, MessageAdded

FOREVER_MS = 1 << 45
"""The deadline of sliding messages without one: they open no window, and go with the next that lapses."""
_HEAD = b"\x94\x00" + bytes((0xA0 | len(IMPORTED),)) + IMPORTED.encode()
"""How the body of a list's element begins, after its kind: four fields, `at` zero, the form."""
_VARIANT, _MARK_BITS = 0b10 << 62, 62

_KINDS = ("AI", "Human", "Chat", "System", "Function", "Tool")
TYPES = {"remove", *(kind.lower() for kind in _KINDS), *(f"{kind}MessageChunk" for kind in _KINDS)}

Page = Callable[[int, int | None], list[bytes]]
"""Gives the elements from one place up to another, or to the end, oldest first."""


class Look(NamedTuple):
    """What is asked of a list along with each read."""

    length: int
    newest: bytes | None
    """None where the store cannot tell at a small price."""
    deadline_ms: int = 0
    """When it goes, if nobody writes to it; 0 is never."""
    lapses: bool = False
    """Whether it may go by itself at a time that the store does not tell, at the latest its history's TTL from now."""


NOTHING = Look(0, b"")


def value_of(element: bytes) -> Any:
    """Give what an event keeps of an element: the JSON object, where it would come back byte for byte."""
    try:
        text = element.decode()
    except UnicodeDecodeError:
        return element
    try:
        value = _loads(element)
        return value if isinstance(value, dict) and json.dumps(value) == text else text
    except (ValueError, RecursionError):
        return text


def _loads(element: bytes) -> Any:
    try:
        return msgspec.json.decode(element)
    except (msgspec.DecodeError, UnicodeDecodeError):  # NaN, or no JSON
        return json.loads(element)


def element_of(value: Any) -> bytes:
    """Give the element of which `value_of` made a value."""
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def is_known_value(value: Any) -> bool:
    """Tell whether a version of langchain-core can have written a value; what else is there is kept, and not shown."""
    return isinstance(value, dict) and value.get("type") in TYPES and isinstance(value.get("data"), dict)


def body_of(element: bytes, kind: bytes, at_ms: int, ttl_ms: int) -> bytes:
    """Give the body of an element's event."""
    try:
        return encode_message(kind, at_ms, IMPORTED, value_of(element), ttl_ms)
    except MessageNotSerializable:  # an integer of more than 64 bits, a lone surrogate
        return encode_message(kind, at_ms, IMPORTED, element.decode(), ttl_ms)


def mark_of(element: bytes) -> bytes:
    """Give the mark of an element: 62 bits of a hash, as a writer's."""
    found = int.from_bytes(blake2b(element, digest_size=WRITER_BYTES).digest(), "big")
    return (_VARIANT | found >> (64 - _MARK_BITS)).to_bytes(WRITER_BYTES, "big")


class Known(NamedTuple):
    """What the records of a session tell of its list."""

    base: int
    """The tick of the newest clear, or zero."""
    covered: int
    """How many elements that clear hides without their having been imported."""
    seal: bytes
    hidden: bool
    """Whether that clear hides whatever there is."""
    imported: Sequence[bytes]

    @property
    def marks(self) -> list[bytes]:
        """The marks of what was imported, in its order."""
        return [record[WRITER_BYTES : 2 * WRITER_BYTES] for record in self.imported]

    @property
    def last_mark(self) -> bytes:
        """The mark of the last element that needs no import."""
        return self.imported[-1][WRITER_BYTES : 2 * WRITER_BYTES] if self.imported else self.seal

    @property
    def next_tick(self) -> int:
        """Where the next one goes."""
        return (tick_of(self.imported[-1]) if self.imported else self.base) + 1

    def is_over(self, now_ms: int) -> bool:
        """Tell whether what was imported last has gone by itself, with its list."""
        event = _event(self.imported[-1])
        return isinstance(event, MessageAdded) and 0 < event.ttl_ms <= now_ms


def known_of(records: Sequence[bytes], now_ms: int, *, cut: bool, pending: Callable[[bytes], bool]) -> Known:
    """Read off what is known; `cut` tells whether there is a clear, `pending` whether one is still on its way."""
    places = reversed(range(len(records))) if cut else ()
    at = next((place for place in places if is_cut(records[place]) and not is_damage(records[place], now_ms)), -1)
    stop = start = at + 1
    top = len(records)
    while stop < top:  # all of what was imported comes first
        middle = (stop + top) // 2
        stop, top = (middle + 1, top) if records[middle].startswith(_HEAD, PAYLOAD_AT) else (stop, middle)
    if at < 0:
        return Known(0, 0, b"", hidden=False, imported=records[start:stop])
    event = _event(records[at])
    clear = event if isinstance(event, HistoryCleared) else HistoryCleared(0)
    hidden = clear.covered == ALL_OLD and (clear.retain_ms != 0 or pending(records[at]))
    return Known(tick_of(records[at]), max(0, clear.covered), clear.seal, hidden, records[start:stop])


def news(known: Known, look: Look, page: Page, now_ms: int, ttl_ms: int = 0) -> list[bytes]:
    """Give the records that are to be added so that a session shows what its list holds; `page` is asked if need be.

    `ttl_ms`: how long after the last message a history goes as a whole; 0 where it does not.
    """
    if is_settled(known, look):
        return []
    deadline_ms = _deadline_ms(look, now_ms, ttl_ms)
    if not look.length:
        return [_old_clear(known)] if _was_cleared(known, look, now_ms) else []
    new, began_again = _new(known, look, page)
    if began_again and _was_cleared(known, look, now_ms):
        clear = _old_clear(known)
        return [clear, *made(tick_of(clear) + 1, new, deadline_ms)]
    return made(known.next_tick, new, deadline_ms)


def _deadline_ms(look: Look, now_ms: int, ttl_ms: int) -> int:
    if look.lapses and ttl_ms:
        return now_ms + ttl_ms
    return look.deadline_ms or (FOREVER_MS if ttl_ms else 0)


def _was_cleared(known: Known, look: Look, now_ms: int) -> bool:
    return not look.lapses and not known.is_over(now_ms)


def is_settled(known: Known, look: Look) -> bool:
    """Tell whether there is nothing new, which most reads find without asking any more."""
    count = len(known.imported)
    if known.hidden or not look.length:
        return known.hidden or not count
    same = look.newest is None or mark_of(look.newest) == known.last_mark
    return same and look.length in {count, count + known.covered}


def _new(known: Known, look: Look, page: Page) -> tuple[list[bytes], bool]:
    """Give the elements that are new, and whether the list was begun again."""
    start = known.covered + len(known.imported)
    if 0 < start <= look.length:
        found = page(start - 1, None)
        if found and mark_of(found[0]) == known.last_mark:
            return found[1:], False
    found = page(0, None)
    marks = [mark_of(element) for element in found]
    if 0 < known.covered <= len(marks) and marks[known.covered - 1] == known.seal:
        found, marks = found[known.covered :], marks[known.covered :]
    same = _overlap(known.marks, marks)
    return found[same:], bool(known.imported) and not same


def _overlap(before: list[bytes], after: list[bytes]) -> int:
    """Give how many of the last marks of before are the first ones of after."""
    first = after[0] if after else None
    places = (place for place in range(max(0, len(before) - len(after)), len(before)) if before[place] == first)
    return next((len(before) - place for place in places if before[place:] == after[: len(before) - place]), 0)


def made(tick: int, elements: Sequence[bytes], deadline_ms: int) -> list[bytes]:
    """Make records from a tick on, one for each element, all with the deadline of their list; 0 is none."""
    kind = SLIDING if deadline_ms else PERMANENT
    return [
        id_at(tick + place, mark_of(element)) + body_of(element, kind, 0, deadline_ms)
        for place, element in enumerate(elements)
    ]


def _old_clear(known: Known) -> bytes:
    """Make the clear of an old program, right above what it can have hidden: like that one, it is a deletion."""
    return id_at(known.next_tick, mark_of(known.last_mark)) + encode_cleared(HistoryCleared(0, 0))


def _event(record: bytes) -> object:
    try:
        return decode(record)
    except DamagedBody:
        return None
