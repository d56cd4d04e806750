"""The timeline of a session: the same as `fold` at every moment, and what it says of each event."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.codec import encode_cleared
from eventlog.events import HistoryCleared
from eventlog.projections.messages import fold
from eventlog.projections.outline import Lifetimes, Outline, id_ms, row
from eventlog.projections.timeline import Place, TimelineEntry, entry, summary
from tests.core.examples import examples
from tests.core.records import DAY_MS, NOON_MS, cut, eid, fixed, said, sliding
from tests.projections.model import Row, visible
from tests.projections.test_messages import histories, record, records, texts, times_ms


def outlined(rows: list[bytes]) -> Outline:
    """Give the outline of records in order."""
    return Outline(map(row, rows))


def timeline(rows: list[bytes], now_ms: int) -> list[TimelineEntry]:
    """Give the entries of records in order."""
    lives = Lifetimes(outlined(rows), now_ms)
    return [entry(lives, number, each, Place()) for number, each in enumerate(rows)]


def seen(lives: Lifetimes, outline: Outline, rows: list[Row], moment: int) -> list[Any]:
    """Give what a moment shows."""
    return [rows[number].message for number in range(len(outline)) if lives.visible(number, moment)]


@given(histories(), times_ms)
@examples(400)
def test_at_every_moment_the_timeline_shows_what_the_fold_gives(rows: list[Row], now_ms: int) -> None:
    """The session as of each event that is not from the future, and now."""
    outline = outlined(records(rows))
    lives = Lifetimes(outline, now_ms)
    for moment, last in enumerate(rows):
        if id_ms(last.event_id) <= now_ms:
            then = fold(records(rows[: moment + 1]), id_ms(last.event_id))
            assert seen(lives, outline, rows, moment) == texts(then)
    assert seen(lives, outline, rows, len(rows)) == texts(fold(records(rows), now_ms))


@given(histories(), times_ms)
@examples(200)
def test_an_entry_is_visible_just_when_the_message_is(rows: list[Row], now_ms: int) -> None:
    """And what is not says why: a clear that is there and applies, or a time that is over."""
    entries = timeline(records(rows), now_ms)
    shown = visible(rows, now_ms)
    assert [each.id for each in entries if each.state == "visible"] == [each.event_id for each in shown]
    for each in entries:
        if each.state == "cleared":
            (by,) = [other for other in entries if other.id == each.cleared_by]
            assert (by.kind, by.state) == ("clear", "applied")
            assert by.id > each.id
        if each.state == "expired":
            assert each.expires is not None


@given(histories(), st.data())
@examples(100)
def test_rows_that_come_in_any_pieces_give_one_outline(rows: list[Row], data: st.DataObject) -> None:
    """What came late stands where it belongs."""
    order = data.draw(st.permutations([row(record(each)) for each in rows]))
    outline = Outline()
    while order:
        size = data.draw(st.integers(1, len(order)))
        outline.add(Outline(sorted(order[:size])))
        order = order[size:]
    assert list(outline) == list(outlined(records(rows)))
    assert all(each.event_id in outline for each in rows)
    assert eid(NOON_MS + 3 * DAY_MS) not in outline


@given(histories(), times_ms, st.integers(0, 12))
@examples(150)
def test_the_entries_of_the_newest_are_those_of_all_restricted_to_them(
    rows: list[Row], now_ms: int, start: int
) -> None:
    """So what is new in a long session is told without going through all of it."""
    start = min(start, len(rows))
    newest = Lifetimes(outlined(records(rows)).since(start), now_ms)
    found = [entry(newest, number, record(each), Place()) for number, each in enumerate(rows[start:])]
    assert found == timeline(records(rows), now_ms)[start:]


@given(st.lists(st.binary(max_size=30), max_size=4), times_ms)
@examples(100)
def test_no_bytes_make_a_timeline_fail(bodies: list[bytes], now_ms: int) -> None:
    """Every event has an entry."""
    rows = [bytes(eid(NOON_MS + n)) + body for n, body in enumerate(bodies)]
    assert len(timeline(rows, now_ms)) == len(rows)


def test_an_entry_says_what_was_said_and_when_and_by_whom() -> None:
    """Its id's writer, its writer's clock, the message as it was given."""
    message = {"role": "assistant", "content": "hi", "tool_calls": [{"name": "f", "args": {"x": 1}, "id": "c"}]}
    (each,) = timeline([said(eid(NOON_MS), message, at_ms=NOON_MS - 5000)], NOON_MS)
    assert (each.kind, each.state, each.role, each.text) == ("message", "visible", "assistant", "hi")
    assert [(call.name, call.arguments, call.id) for call in each.tool_calls] == [("f", {"x": 1}, "c")]
    assert each.message == message
    assert each.time.timestamp() * 1000 == NOON_MS - 5000
    assert each.writer == "8000000000000001"
    assert each.expires is None


def test_what_expired_before_a_clear_says_so() -> None:
    """The first thing that took it counts."""
    history = [
        fixed(eid(NOON_MS), "short", 10),
        fixed(eid(NOON_MS, 1), "long", 1000),
        said(eid(NOON_MS + 1), "stays"),
        cut(eid(NOON_MS + 20)),
        fixed(eid(NOON_MS + 30), "after", 10),
    ]
    entries = timeline(history, NOON_MS + 100)
    assert [each.state for each in entries] == ["expired", "cleared", "cleared", "applied", "expired"]
    assert [each.cleared_by for each in entries[1:3]] == [eid(NOON_MS + 20)] * 2
    assert entries[0].expires is not None
    assert entries[0].expires.timestamp() * 1000 == NOON_MS + 10


def test_sliding_messages_tell_when_they_went_together() -> None:
    """The last one's time, for all of them."""
    history = [sliding(eid(NOON_MS + 800 * n), n, 1000) for n in range(3)] + [said(eid(NOON_MS + 5000), "later")]
    entries = timeline(history, NOON_MS + 5000)
    assert [each.state for each in entries] == ["expired"] * 3 + ["visible"]
    assert {each.expires and each.expires.timestamp() * 1000 for each in entries[:3]} == {NOON_MS + 2600}


def test_what_was_erased_has_no_word_left() -> None:
    """Also when it was cleared before, and where a backend has it still."""
    erased = eid(NOON_MS + 9) + encode_cleared(HistoryCleared(NOON_MS + 9, 0, erase=True))
    history = [said(eid(NOON_MS), "secret"), cut(eid(NOON_MS + 1)), said(eid(NOON_MS + 2), "secret"), erased]
    entries = timeline(history, NOON_MS + 10)
    assert [(each.kind, each.state) for each in entries] == [
        ("message", "erased"),
        ("clear", "applied"),
        ("message", "erased"),
        ("erase", "applied"),
    ]
    assert "secret" not in repr(entries)


def test_a_clear_from_a_broken_clock_is_ignored_and_what_cannot_be_read_is_named() -> None:
    """As the fold does."""
    history = [
        said(eid(NOON_MS), "kept"),
        eid(NOON_MS, 1) + b"\x01\x63later",
        said(eid(NOON_MS, 2), "x")[:-3],
        cut(eid(NOON_MS + DAY_MS + 1)),
    ]
    found = [(each.kind, each.state) for each in timeline(history, NOON_MS)]
    assert found == [
        ("message", "visible"),
        ("unknown", "unreadable"),
        ("damaged", "unreadable"),
        ("clear", "ignored"),
    ]


@pytest.mark.parametrize("at_ms", [1 << 62, -(1 << 62), (1 << 64) - 1])
def test_a_time_that_no_clock_shows_is_the_nearest_that_one_does(at_ms: int) -> None:
    """A broken body breaks no page."""
    entries = timeline([fixed(eid(NOON_MS), "x", at_ms, at_ms=at_ms), said(eid((1 << 48) - 1), "y")], NOON_MS)
    assert [each.text for each in entries] == ['"x"', '"y"']
    for each in entries:
        for time in filter(None, (each.time, each.expires)):
            assert time.astimezone(timezone(timedelta(hours=14))) == time


def test_a_summary_counts() -> None:
    """Messages, clears, writers, the first and the last time."""
    other = bytes.fromhex("bfffffffffffffff")
    history = [said(eid(NOON_MS), "a"), cut(eid(NOON_MS + 1)), said(eid(NOON_MS + 2, writer=other), "b")]
    outline = outlined(history)
    found = summary(Lifetimes(outline, NOON_MS + 3))
    assert (found.events, found.messages, found.visible, found.clears) == (3, 2, 1, 1)
    assert found.writers == {"8000000000000001": 2, other.hex(): 1}
    assert found.first is not None
    assert found.last is not None
    assert found.last - found.first == timedelta(milliseconds=2)
    assert summary(Lifetimes(Outline(), NOON_MS)).last is None
