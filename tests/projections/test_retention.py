"""What may be removed: laws for any events whatever, and the rules one by one."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given

from eventlog.codec import encode_cleared
from eventlog.events import HistoryCleared
from eventlog.projections.messages import fold
from eventlog.projections.retention import MARKER_MS, due
from tests.core.examples import examples
from tests.core.records import HOUR_MS, NOON_MS, eid, fixed, said, sliding
from tests.projections.model import Row
from tests.projections.test_messages import histories, offsets_ms, records, texts, times_ms

THIRTY_DAYS_MS = timedelta(days=30) // timedelta(milliseconds=1)


def cleared(ms: int, retain_ms: int | None, *, erase: bool = False) -> bytes:
    """Give the record of a clear that lets go after a while."""
    return eid(ms) + encode_cleared(HistoryCleared(ms, retain_ms, erase=erase))


@examples(200)
@given(histories(), times_ms, times_ms)
def test_removing_what_is_due_changes_no_answer_now_or_later(rows: list[Row], now_ms: int, more_ms: int) -> None:
    """The messages stay what they were, at the moment of the removal and at every later one."""
    all_of_them = records(rows)
    left = [record for record in all_of_them if record not in due(all_of_them, now_ms)]
    for then_ms in (now_ms, max(now_ms, more_ms), now_ms + HOUR_MS):
        assert texts(fold(left, then_ms)) == texts(fold(all_of_them, then_ms))


@examples(200)
@given(histories(), times_ms)
def test_what_is_left_is_not_due(rows: list[Row], now_ms: int) -> None:
    """A second removal at the same moment finds nothing."""
    all_of_them = records(rows)
    left = [record for record in all_of_them if record not in due(all_of_them, now_ms)]
    assert due(left, now_ms) == []


@examples(200)
@given(histories(), times_ms, offsets_ms)
def test_what_comes_late_stays_hidden_by_the_clears_that_are_left(rows: list[Row], now_ms: int, late_ms: int) -> None:
    """A message that was on its way for less than ninety days finds what hides it."""
    late = said(eid(NOON_MS + late_ms, 9), "late")
    all_of_them = records(rows)
    left = [record for record in all_of_them if record not in due(all_of_them, now_ms)]
    assert texts(fold([*left, late], now_ms)) == texts(fold([*all_of_them, late], now_ms))


def test_what_a_clear_hid_goes_when_its_retention_is_over() -> None:
    """Not a millisecond earlier; the clear itself stays, to hide what comes late."""
    hidden, cut = said(eid(NOON_MS), "hidden"), cleared(NOON_MS + 1, THIRTY_DAYS_MS)
    assert due([hidden, cut], NOON_MS + THIRTY_DAYS_MS) == []
    assert due([hidden, cut], NOON_MS + 1 + THIRTY_DAYS_MS) == [hidden]


def test_what_is_retained_for_ever_stays() -> None:
    """`retain=None` lets nothing go."""
    assert due([said(eid(NOON_MS), "hidden"), cleared(NOON_MS + 1, None)], NOON_MS + 400 * MARKER_MS) == []


def test_a_clear_goes_when_it_is_old_and_hides_nothing_any_more() -> None:
    """Ninety days, after which no late event may be delivered below it."""
    cut = cleared(NOON_MS, 0)
    assert due([cut], NOON_MS + MARKER_MS - 1) == []
    assert due([cut], NOON_MS + MARKER_MS) == [cut]


def test_a_newer_clear_subsumes_older_ones() -> None:
    """Ten thousand clears leave one, once what they hid is gone."""
    cuts = [cleared(NOON_MS + number, 0) for number in range(10)]
    assert due(cuts, NOON_MS + HOUR_MS) == cuts[:-1]


def test_a_clear_stays_while_what_it_hides_is_retained() -> None:
    """A replay of the moment between two clears needs the first."""
    first, between = cleared(NOON_MS + 1, None), said(eid(NOON_MS + 2), "between")
    history = [said(eid(NOON_MS), "before"), first, between, cleared(NOON_MS + 3, None)]
    assert due(history, NOON_MS + HOUR_MS) == []


def test_expired_messages_go_and_others_stay() -> None:
    """Each fixed one by its own clock, sliding ones together."""
    gone, stays = fixed(eid(NOON_MS), "gone", 10), said(eid(NOON_MS + 1), "stays")
    lapsed = [sliding(eid(NOON_MS + 2), "a", 10), sliding(eid(NOON_MS + 3), "b", 10)]
    assert due([gone, stays, *lapsed], NOON_MS + 12) == [gone]
    assert due([gone, stays, *lapsed], NOON_MS + 13) == [gone, *lapsed]


def test_an_erased_session_leaves_only_the_cut() -> None:
    """Whatever its retention says."""
    hidden, cut = said(eid(NOON_MS), "hidden"), cleared(NOON_MS + 1, None, erase=True)
    assert due([hidden, cut], NOON_MS + 2) == [hidden]
