"""Laws of the old layouts, without a server: bytes come back, ids are the same for whoever makes them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import BaseMessage, HumanMessage, message_to_dict, messages_from_dict

from eventlog.adapters.langchain_messages import unpack
from eventlog.adapters.legacy import (
    FOREVER_MS,
    NOTHING,
    Known,
    Look,
    body_of,
    element_of,
    known_of,
    mark_of,
    news,
    value_of,
)
from eventlog.clock import id_at
from eventlog.codec import PERMANENT, SLIDING, decode, encode_cleared, encode_message, is_cut, is_imported
from eventlog.events import ALL_OLD, EventId, HistoryCleared, MessageAdded
from eventlog.projections.messages import fold, merge
from eventlog.projections.retention import due
from tests.adapters.langchain_help import SAMPLES

NOW_MS = 1_900_000_000_000
WRITER = b"\x80" + bytes(7)
OLDEST = '{"type": "human", "data": {"content": "hi!", "additional_kwargs": {}, "type": "human", "example": false}}'
ODD = [
    b"\xff\xfe",
    b"",
    b"{",
    b'{"type":"human"}',
    b'{"a": 1, "a": 2}',
    b'{"a": NaN}',
    b'{"a": 18446744073709551616}',
    b'{"a": "\\ud800"}',
    b'{"a": 1e400}',
    '{"a": "é"}'.encode(),
    b"[" * 5000,
    b"null",
]


def look_at(elements: list[bytes], deadline_ms: int = 0) -> Look:
    """Give what a list tells of itself."""
    return Look(len(elements), elements[-1], deadline_ms) if elements else NOTHING


def page_of(elements: list[bytes]) -> Callable[[int, int | None], list[bytes]]:
    """Give the way to read a list."""
    return lambda start, stop: elements[start:stop]


def known(records: list[bytes], *, pending: bool = False) -> Known:
    """Give what records tell of a list."""
    return known_of(records, NOW_MS, cut=any(map(is_cut, records)), pending=lambda _: pending)


def added(records: list[bytes], elements: list[bytes], look: Look | None = None, ttl_ms: int = 0) -> list[bytes]:
    """Give a session's records after a read that met a list."""
    look = look_at(elements) if look is None else look
    return merge(records, news(known(records), look, page_of(elements), NOW_MS, ttl_ms))


def shown(records: list[bytes], now_ms: int = NOW_MS) -> list[bytes]:
    """Give what is to be seen of a session, as elements."""
    return [element_of(event.message) for event in fold(records, now_ms).messages]


def message(tick: int, text: str) -> bytes:
    """Give a message that a new program added."""
    return id_at(tick, WRITER) + encode_message(PERMANENT, NOW_MS, "", text, 0)


def clear(tick: int, covered: int = 0, seal: bytes = b"", retain_ms: int | None = 0) -> bytes:
    """Give a clear that a new program made."""
    return id_at(tick, WRITER) + encode_cleared(HistoryCleared(NOW_MS, retain_ms, covered=covered, seal=seal))


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.builds(json.dumps, st.dictionaries(st.text(), st.integers())).map(str.encode)
)
def test_every_element_comes_back_byte_for_byte(element: bytes) -> None:
    """Whatever bytes were there, an event keeps them."""
    event = decode(bytes(16) + body_of(element, PERMANENT, 0, 0))
    assert isinstance(event, MessageAdded)
    assert element_of(event.message) == element


@pytest.mark.parametrize("element", ODD)
def test_odd_elements_come_back_and_are_not_shown(element: bytes) -> None:
    """What no version wrote is kept as it is, and no message is made up of it."""
    event = decode(bytes(16) + body_of(element, PERMANENT, 0, 0))
    assert isinstance(event, MessageAdded)
    assert element_of(event.message) == element
    assert unpack(event) is None


@pytest.mark.parametrize("sample", [*map(message_to_dict, SAMPLES[:-1]), json.loads(OLDEST)])
def test_what_the_old_classes_wrote_is_kept_as_an_object(sample: dict[str, object]) -> None:
    """The page and the command line can show it, and it becomes the message that it was."""
    element = json.dumps(sample).encode()
    value = value_of(element)
    assert value == sample
    event = decode(bytes(16) + body_of(element, PERMANENT, 0, 0))
    assert isinstance(event, MessageAdded)
    found = unpack(event)
    assert found is not None
    assert found.type == sample["type"]


@pytest.mark.parametrize(
    "text", ['{"type":"human","data":{"content":"é"}}', '{"type": "human", "data": {"content": "é"}}']
)
def test_what_another_hand_wrote_is_read_as_the_old_classes_read_it(text: str) -> None:
    """JSON with other spaces and escapes is kept as text, and is a message all the same."""
    event = decode(bytes(16) + body_of(text.encode(), PERMANENT, 0, 0))
    assert isinstance(event, MessageAdded)
    assert event.message == text
    assert unpack(event) == HumanMessage("é")


@pytest.mark.parametrize("sample", SAMPLES[:-1])
def test_what_was_imported_equals_what_the_old_class_gave(sample: BaseMessage) -> None:
    """With the same fields set, whether or not its way was the short one."""
    stored = json.loads(json.dumps(message_to_dict(sample), default=str))
    event = decode(bytes(16) + body_of(json.dumps(stored).encode(), PERMANENT, 0, 0))
    assert isinstance(event, MessageAdded)
    found, [expected] = unpack(event), messages_from_dict([stored])
    assert found is not None
    assert (found, found.model_fields_set, found.__dict__) == (expected, expected.model_fields_set, expected.__dict__)
    assert list(found.__dict__) == list(expected.__dict__)


def test_ids_are_the_same_for_everybody_and_before_all_that_was_added() -> None:
    """Two programs that import at once agree; ids are valid, rise with the place, and need no time."""
    old = [b"a", b"b", b"a"]
    first, second = added([], old), added([message(1 << 50, "new")], old)
    assert first == second[:3]
    assert [EventId(record[:16]).ms for record in first] == [0, 0, 0]
    assert shown(second) == [b"a", b"b", b"a", b"new"]
    assert all(map(is_imported, first))
    assert not is_imported(second[3])


def test_nothing_new_is_nothing_to_add() -> None:
    """Once imported, a list that did not change is not read again."""

    def page(_start: int, _stop: int | None) -> list[bytes]:
        raise AssertionError

    records = added([message(1 << 50, "new")], [b"a", b"b"])
    assert news(known(records), look_at([b"a", b"b"]), page, NOW_MS) == []
    assert news(known([]), NOTHING, page, NOW_MS) == []


def test_what_an_old_program_appends_comes_before_what_new_ones_added() -> None:
    """Only what is new is read, with one element before it."""
    asked = []

    def page(start: int, stop: int | None) -> list[bytes]:
        asked.append((start, stop))
        return [b"a", b"b", b"c"][start:stop]

    records = added([message(1 << 50, "new")], [b"a", b"b"])
    records += news(known(records), look_at([b"a", b"b", b"c"]), page, NOW_MS)
    assert shown(records) == [b"a", b"b", b"c", b"new"]
    assert asked == [(1, None)]


@pytest.mark.parametrize("after", [[], [b"c"], [b"c", b"d"], [b"c", b"d", b"e"]])
def test_old_clear_hides_only_what_was_imported(after: list[bytes]) -> None:
    """Whatever the list holds when it is met again, however long it is."""
    records = added(added([message(1 << 50, "new")], [b"a", b"b"]), after)
    assert shown(records) == [*after, b"new"]
    assert added(records, after) == records
    assert shown(added(records, [*after, b"f"])) == [*after, b"f", b"new"]


@pytest.mark.parametrize("now_ms", [NOW_MS - 1, NOW_MS])
def test_deadline_of_the_list_is_that_of_its_messages(now_ms: int) -> None:
    """They go when the list does, if nobody writes."""
    records = added([], [b"a"], Look(1, b"a", NOW_MS))
    assert records[0][16:18] == SLIDING
    assert shown(records, now_ms) == ([b"a"] if now_ms < NOW_MS else [])


def test_list_that_expired_hides_nothing() -> None:
    """A new program that goes on with a session keeps the old messages alive, as the old class did."""
    records = added([], [b"a"], Look(1, b"a", NOW_MS))
    renewed = id_at(1 << 50, WRITER) + encode_message(SLIDING, NOW_MS - 10, "", "new", 1000)
    records = added([*records, renewed], [])
    assert shown(records) == [b"a", b"new"]
    records = added(records, [b"b"])
    assert shown(records) == [b"a", b"b", b"new"]
    assert added(records, [b"b"]) == records


def test_list_without_deadline_goes_with_the_next_window_that_lapses() -> None:
    """In a history with a TTL: until somebody writes, it stays."""
    records = added([], [b"a"], ttl_ms=1000)
    assert shown(records, FOREVER_MS - 1) == [b"a"]
    records.append(id_at(1 << 50, WRITER) + encode_message(SLIDING, NOW_MS, "", "new", 1000))
    assert shown(records, NOW_MS + 999) == [b"a", b"new"]
    assert shown(records, NOW_MS + 1000) == []


def test_list_of_a_cache_goes_at_the_latest_with_its_ttl_and_hides_nothing() -> None:
    """A cache tells neither when a list goes nor why it went."""
    records = added([], [b"a"], Look(1, None, lapses=True), ttl_ms=1000)
    assert shown(records, NOW_MS + 999) == [b"a"]
    assert shown(records, NOW_MS + 1000) == []
    assert added(records, [], Look(0, None, lapses=True)) == records
    assert shown(added(records, [b"b"], Look(1, None, lapses=True), ttl_ms=1000)) == [b"a"]
    assert shown(added(records, [b"b", b"c"], Look(2, None, lapses=True), ttl_ms=1000)) == [b"a", b"b", b"c"]


def test_what_lapsed_is_kept_as_long_as_its_list_is() -> None:
    """Compaction would only have it imported again, and shown."""
    records = added([], [b"a"], ttl_ms=1000)
    records.append(id_at(1 << 50, WRITER) + encode_message(SLIDING, NOW_MS, "", "new", 1000))
    kept = merge([record for record in records if record not in due(records, NOW_MS + 1000)])
    assert shown(added(kept, [b"a"], ttl_ms=1000), NOW_MS + 1000) == []


def test_clear_that_removes_hides_all_until_it_is_delivered() -> None:
    """Then the list is gone, and what comes into it is new."""
    records = [*added([], [b"a"]), clear(1 << 50, ALL_OLD)]
    waiting = known(records, pending=True)
    assert news(waiting, look_at([b"a", b"b"]), page_of([b"a", b"b"]), NOW_MS) == []
    assert shown(added(records, [])) == []
    assert shown(added(records, [b"c"])) == [b"c"]


@pytest.mark.parametrize(("after", "expected"), [([b"a", b"b"], []), ([b"a", b"b", b"c"], [b"c"]), ([b"d"], [b"d"])])
def test_clear_that_keeps_hides_what_it_covered(after: list[bytes], expected: list[bytes]) -> None:
    """What was there stays hidden; what was appended since, or is in a list begun anew, is shown."""
    records = [*added([], [b"a"]), clear(1 << 50, 2, mark_of(b"b"), None)]
    assert shown(added(records, after)) == expected
    again = added(records, after)
    assert added(again, after) == again


def test_fields_over_an_old_layout_cost_other_clears_nothing() -> None:
    """The bytes of a clear that covers nothing are what they were."""
    assert len(encode_cleared(HistoryCleared(1, 0))) + 3 == len(encode_cleared(HistoryCleared(1, 0, covered=ALL_OLD)))
