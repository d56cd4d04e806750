"""The messages of a session: laws of the fold, for any events whatever, and its rules one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.codec import FIXED, PERMANENT, SLIDING, encode_cleared, encode_message
from eventlog.events import HistoryCleared
from eventlog.projections.messages import Folded, fold, fold_merged, merge
from tests.core.examples import examples
from tests.core.records import DAY_MS, NOON_MS, cut, eid, fixed, said, sliding
from tests.projections.model import Kind, Row, unreadable, visible

PREFIXES = {"stays": PERMANENT, "fixed": FIXED, "sliding": SLIDING}
SPAN_MS = 100
kinds: st.SearchStrategy[Kind] = st.sampled_from(
    ["stays", "fixed", "sliding", "sliding", "clear", "unknown", "damaged"]
)
offsets_ms = st.integers(0, SPAN_MS) | st.integers(DAY_MS - 60, DAY_MS + 60)
times_ms = st.integers(NOON_MS - 10, NOON_MS + SPAN_MS + 10)


@st.composite
def histories(draw: st.DrawFn) -> list[Row]:
    """Draw the events of a session: every kind, clocks that disagree with the order, and ids from tomorrow."""
    count = draw(st.integers(0, 12))
    ids = draw(st.lists(st.tuples(offsets_ms, st.integers(0, 3)), min_size=count, max_size=count, unique=True))
    rows = []
    for number, (ms, counter) in enumerate(sorted(ids)):
        at_ms = NOON_MS + draw(st.just(ms % DAY_MS) | st.integers(0, SPAN_MS))
        kind: Kind = draw(kinds)
        ttl_ms = draw(st.integers(1, 40)) if kind in ("fixed", "sliding") else 0
        rows.append(Row(bytes(eid(NOON_MS + ms, counter)), kind, at_ms, ttl_ms, number))
    return rows


def record(row: Row) -> bytes:
    """Give a row's bytes."""
    if row.kind == "clear":
        return row.event_id + encode_cleared(HistoryCleared(row.at_ms))
    if row.kind == "unknown":
        return row.event_id + b"\x01\x63something new"
    if row.kind == "damaged":
        return row.event_id + PERMANENT + b"\xc1" + bytes([row.at_ms % 256])
    return row.event_id + encode_message(PREFIXES[row.kind], row.at_ms, "", row.message, row.ttl_ms)


def records(rows: Sequence[Row]) -> list[bytes]:
    """Give the bytes of rows."""
    return [record(row) for row in rows]


def texts(folded: Folded) -> list[Any]:
    """Give what is visible."""
    return [event.message for event in folded.messages]


@given(histories(), times_ms)
@examples(300)
def test_the_fold_is_what_the_design_says(rows: list[Row], now_ms: int) -> None:
    """Visible messages, reported ids and unknown kinds: as in the model."""
    folded = fold(records(rows), now_ms)
    assert texts(folded) == [row.message for row in visible(rows, now_ms)]
    assert sorted(folded.quarantined) == unreadable(rows, now_ms)
    assert folded.unknown == sum(row.kind == "unknown" for row in rows)


@given(histories(), times_ms)
@examples(200)
def test_a_session_of_sliding_messages_alone_is_folded_as_any_other(rows: list[Row], now_ms: int) -> None:
    """It has a short way of its own, which gives what the long one gives."""
    alone = [row._replace(kind="sliding", ttl_ms=row.ttl_ms or 20) for row in rows]
    assert texts(fold(records(alone), now_ms)) == [row.message for row in visible(alone, now_ms)]


@given(histories(), times_ms, st.data())
@examples(100)
def test_any_order_of_arrival_and_any_doubles_give_the_same(rows: list[Row], now_ms: int, data: st.DataObject) -> None:
    """A history has one state, however it travelled."""
    straight = fold(records(rows), now_ms)
    again = data.draw(st.lists(st.sampled_from(rows), max_size=10)) if rows else []
    shuffled = data.draw(st.permutations(records(rows) + records(again)))
    assert fold(shuffled, now_ms) == straight


@given(histories(), times_ms, st.data())
@examples(150)
def test_the_fold_of_the_newest_is_the_fold_of_all_restricted_to_them(
    rows: list[Row], now_ms: int, data: st.DataObject
) -> None:
    """So a read may go backwards and stop."""
    start = data.draw(st.integers(0, len(rows)))
    kept = {row.message for row in rows[start:]}
    whole = [text for text in texts(fold(records(rows), now_ms)) if text in kept]
    newest = fold(records(rows[start:]), now_ms)
    assert texts(newest) == whole
    if newest.cut:
        assert texts(newest) == texts(fold(records(rows), now_ms)), "before a clear nothing is visible"


@given(histories(), times_ms)
@examples(100)
def test_what_has_expired_does_not_come_back(rows: list[Row], now_ms: int) -> None:
    """Later, the same events show no more, but for messages that a broken clock's clear did not hide yet."""
    sane = [row for row in rows if row.ms <= NOON_MS + SPAN_MS]
    earlier, later = (texts(fold(records(sane), at)) for at in (now_ms, now_ms + 7))
    assert set(later) <= set(earlier)


@given(histories(), times_ms, st.integers(0, 12))
@examples(100)
def test_events_that_are_gone_show_less_never_more(rows: list[Row], now_ms: int, start: int) -> None:
    """A store that let go of its oldest events, or of expired ones of hosts whose clocks agree, brings nothing back."""
    shown = set(texts(fold(records(rows), now_ms)))
    assert set(texts(fold(records(rows[start:]), now_ms))) <= shown
    agreed = [row._replace(at_ms=row.ms) for row in rows]
    left = [row for row in agreed if row.kind != "fixed" or row.at_ms + row.ttl_ms > now_ms]
    assert texts(fold(records(left), now_ms)) == texts(fold(records(agreed), now_ms))


@given(st.lists(st.binary(max_size=40).map(lambda body: bytes(eid(NOON_MS)) + body), max_size=5), times_ms)
@examples(100)
def test_no_bytes_make_a_fold_fail(garbage: list[bytes], now_ms: int) -> None:
    """What does not decode is counted, and what stands around it is shown."""
    around = [said(eid(NOON_MS - 1), "before"), said(eid(NOON_MS + 1), "after")]
    shown = texts(fold(around + garbage, now_ms))
    assert shown[-1] == "after"
    assert shown[0] == "before" or any(body[16:18] == b"\x01\x10" for body in garbage)


@given(histories(), st.data())
@examples(100)
def test_merging_any_runs_gives_each_id_once_in_order(rows: list[Row], data: st.DataObject) -> None:
    """Runs overlap, are empty, are not sorted: the merge is the same."""
    whole = records(rows)
    runs = [data.draw(st.lists(st.sampled_from(whole), max_size=8)) if whole else [] for _ in range(3)]
    flat = [record for run in runs for record in run]
    assert merge(*runs) == sorted(set(flat))
    assert fold_merged(merge(*runs), NOON_MS) == fold(flat, NOON_MS)


def test_of_two_bodies_under_one_id_the_larger_wins() -> None:
    """In any order and from any run."""
    small, large = sorted([said(eid(NOON_MS), "a"), said(eid(NOON_MS), "b")])
    assert merge([small], [large]) == merge([large], [small]) == merge([large, small]) == [large]


def test_a_fixed_message_goes_its_ttl_after_it_was_said() -> None:
    """At that very millisecond, whatever its neighbours do."""
    history = [
        fixed(eid(NOON_MS), "goes", 1000),
        said(eid(NOON_MS + 1), "stays"),
        fixed(eid(NOON_MS + 2), "later", 5000),
    ]
    assert texts(fold(history, NOON_MS + 999)) == ["goes", "stays", "later"]
    assert texts(fold(history, NOON_MS + 1000)) == ["stays", "later"]
    assert texts(fold(history, NOON_MS + 10_000)) == ["stays"]


def test_expiry_reckons_with_the_writers_clock_and_not_with_the_id() -> None:
    """A session that was pushed ahead does not live longer."""
    assert texts(fold([fixed(eid(NOON_MS + 5000), "x", 1000, at_ms=NOON_MS)], NOON_MS + 1000)) == []


def test_sliding_messages_go_together_after_the_last_of_them() -> None:
    """Each write renews all that are there; others are not touched."""
    history = [sliding(eid(NOON_MS + 800 * number), number, 1000) for number in range(4)] + [
        said(eid(NOON_MS, 1), "stays")
    ]
    assert texts(fold(history, NOON_MS + 3399)) == [0, "stays", 1, 2, 3]
    assert texts(fold(history, NOON_MS + 3400)) == ["stays"]


def test_what_had_lapsed_when_a_sliding_write_came_stays_gone() -> None:
    """A late renewal renews nothing that was over; a write without a TTL ends the window too."""
    history = [sliding(eid(NOON_MS), "old", 1000), sliding(eid(NOON_MS + 1000), "new", 1000)]
    assert texts(fold(history, NOON_MS + 1500)) == ["new"]
    history = [sliding(eid(NOON_MS), "old", 1000), said(eid(NOON_MS + 1000), "stays")]
    assert texts(fold(history, NOON_MS + 1000)) == ["stays"]


def test_a_clear_hides_all_that_sorts_before_it_also_what_comes_later() -> None:
    """Arrival does not matter, order does; the window closes too."""
    history = [said(eid(NOON_MS + 1), "before"), sliding(eid(NOON_MS + 2), "too", 1000), cut(eid(NOON_MS + 3))]
    late, after = said(eid(NOON_MS), "late"), sliding(eid(NOON_MS + 5000), "after", 1000)
    assert texts(fold([*history, after, late], NOON_MS + 5000)) == ["after"]


@pytest.mark.parametrize(("ahead_ms", "shown"), [(DAY_MS, []), (DAY_MS + 1, ["kept"])])
def test_a_clear_from_more_than_a_day_ahead_hides_nothing(ahead_ms: int, shown: list[str]) -> None:
    """It is damage, and reported; a day and less is a clock that runs fast."""
    history = [said(eid(NOON_MS), "kept"), cut(eid(NOON_MS + ahead_ms))]
    assert texts(fold(history, NOON_MS)) == shown
    assert len(fold(history, NOON_MS).quarantined) == len(shown)
    assert texts(fold(history, NOON_MS + ahead_ms)) == []


def test_a_message_from_more_than_a_day_ahead_is_shown() -> None:
    """Nobody's words are dropped for a broken clock."""
    assert texts(fold([said(eid(NOON_MS + 400 * DAY_MS), "x")], NOON_MS)) == ["x"]


def test_an_empty_history_is_empty() -> None:
    """No events, no messages, nothing to report."""
    assert fold([], NOON_MS) == Folded([], [], 0, cut=False)
