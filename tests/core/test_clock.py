"""The hybrid logical clock: ids rise, are never shared, and follow what was seen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from eventlog.clock import AHEAD_MAX_MS, Clock, first_id_at, is_damage, new_writer, now_ms, tick_of
from eventlog.events import EventId
from tests.core.examples import examples
from tests.core.records import DAY_MS, HOUR_MS, NOON_MS, WRITER, eid

sessions = st.sampled_from([b"a", b"b", b"c"])
skews_ms = st.sampled_from([-DAY_MS, -HOUR_MS, -1, 0, 1, 2, HOUR_MS, DAY_MS, DAY_MS + 1, 30 * DAY_MS])


class ClockLaws(RuleBasedStateMachine):
    """Whatever the wall does and whatever is seen, the three invariants hold."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(WRITER)
        self.wall_ms = NOON_MS
        self.floor: dict[bytes, bytes] = {}
        self.made: list[bytes] = []
        self.seen_ms = 0

    @rule(step_ms=st.sampled_from([-HOUR_MS, -5, -1, 1, 5, HOUR_MS]))
    def step(self, step_ms: int) -> None:
        """Set the wall clock, also back."""
        self.wall_ms += step_ms

    @rule(session=sessions, count=st.integers(1, 3))
    def add(self, session: bytes, count: int) -> None:
        """Make ids: each above all of its session that was made or seen."""
        for _ in range(count):
            event_id = self.clock.next(session, self.wall_ms)
            assert event_id > self.floor.get(session, b"")
            self.floor[session] = event_id
            self.made.append(event_id)

    @rule(session=sessions, skew_ms=skews_ms, counter=st.integers(0, 4095))
    def see(self, session: bytes, skew_ms: int, counter: int) -> None:
        """Meet an id of another host."""
        event_id = eid(self.wall_ms + skew_ms, counter, bytes.fromhex("bfffffffffffffff"))
        self.clock.observe(session, event_id, self.wall_ms)
        if skew_ms <= AHEAD_MAX_MS:
            self.floor[session] = max(event_id, self.floor.get(session, b""))
            self.seen_ms = max(self.seen_ms, event_id.ms)

    @invariant()
    def no_id_is_made_twice(self) -> None:
        """Sessions never share one."""
        assert len(self.made) == len(set(self.made))

    @invariant()
    def nothing_runs_away(self) -> None:
        """No id lies beyond the wall's and the seen ids' highest time, but for counters."""
        highest = max([NOON_MS, self.seen_ms, *(int.from_bytes(made[:6], "big") for made in self.made[-1:])])
        assert self.clock.last_ms <= max(highest, self.wall_ms) + len(self.made)


ClockLaws.TestCase.settings = examples(40, steps=30)
test_clock_laws = ClockLaws.TestCase


@given(st.integers(0, 2**48 - 1), st.integers(0, 4095))
@examples(50)
def test_a_tick_is_the_time_of_an_id(ms: int, counter: int) -> None:
    """60 bits: the ms and the counter, without version and writer."""
    assert tick_of(eid(ms, counter)) == ms << 12 | counter


@given(st.integers(0, 2**48 - 2), st.integers(0, 4095))
@examples(50)
def test_the_first_id_of_a_millisecond_bounds_all_its_ids(ms: int, counter: int) -> None:
    """Every id of the millisecond sorts after the bound and before the next one's."""
    assert first_id_at(ms) < eid(ms, counter) < first_id_at(ms + 1)


def test_a_full_counter_goes_over_into_the_next_millisecond() -> None:
    """More than 4,096 ids in a millisecond stay in order and valid."""
    clock = Clock(WRITER)
    ids = [clock.next(b"s", NOON_MS) for _ in range(5000)]
    assert ids == sorted(set(ids))
    assert all(EventId(event_id) for event_id in ids)
    assert ids[-1].ms == NOON_MS + 1


def test_ids_start_above_the_high_water() -> None:
    """A wall that was set back between two runs reorders nothing."""
    clock = Clock(WRITER, high_water=tick_of(eid(NOON_MS, 7)))
    assert clock.next(b"s", NOON_MS - HOUR_MS) > eid(NOON_MS, 7)


def test_what_is_ahead_pushes_only_its_own_session() -> None:
    """A neighbour of a session from the future stays at the wall."""
    clock = Clock(WRITER)
    clock.observe(b"ahead", eid(NOON_MS + HOUR_MS), NOON_MS)
    assert clock.next(b"ahead", NOON_MS).ms == NOON_MS + HOUR_MS
    assert clock.next(b"other", NOON_MS).ms == NOON_MS
    assert clock.next(b"ahead", NOON_MS).ms == NOON_MS + HOUR_MS
    assert clock.next(b"other", NOON_MS).ms == NOON_MS


def test_two_pushed_sessions_share_no_id() -> None:
    """Also where both saw the same id, and when the wall arrives there."""
    clock = Clock(WRITER)
    for session in (b"a", b"b"):
        clock.observe(session, eid(NOON_MS + 1), NOON_MS)
    ids = [clock.next(session, NOON_MS) for session in (b"a", b"b", b"a", b"b")]
    ids += [clock.next(session, NOON_MS + 1) for session in (b"a", b"b", b"c", b"c", b"c", b"c", b"c")]
    assert len(set(ids)) == len(ids)


def test_an_id_more_than_a_day_ahead_is_not_followed() -> None:
    """It is damage; one a day ahead is not."""
    clock = Clock(WRITER)
    assert is_damage(eid(NOON_MS + DAY_MS + 1), NOON_MS)
    clock.observe(b"s", eid(NOON_MS + DAY_MS + 1), NOON_MS)
    assert clock.next(b"s", NOON_MS).ms == NOON_MS
    clock.observe(b"s", eid(NOON_MS + DAY_MS), NOON_MS)
    assert clock.next(b"s", NOON_MS) > eid(NOON_MS + DAY_MS)


def test_what_was_seen_counts_also_when_the_wall_is_then_set_back() -> None:
    """An id of the past when it was read may be one of the future when the next is made."""
    clock = Clock(WRITER)
    clock.observe(b"s", eid(NOON_MS - 1), NOON_MS)
    assert clock.next(b"s", NOON_MS - HOUR_MS) > eid(NOON_MS - 1)


def test_remembered_sessions_are_forgotten_when_the_wall_has_passed() -> None:
    """Memory holds only what is ahead."""
    clock = Clock(WRITER)
    for number in range(10_000):
        clock.observe(str(number).encode(), eid(NOON_MS + number % 100), NOON_MS)
        clock.next(b"s", NOON_MS + number)
    assert len(clock._ahead) + len(clock._pushed) < 3000
    clock.next(b"s", NOON_MS + DAY_MS)
    assert (clock._ahead, clock._pushed) == ({}, set())


def test_each_writer_is_drawn_anew_and_fits_a_uuid() -> None:
    """62 random bits under the RFC's variant."""
    writers = {new_writer() for _ in range(1000)}
    assert len(writers) == 1000
    assert all(EventId(eid(NOON_MS, writer=writer)) for writer in writers)


def test_the_wall_is_in_milliseconds() -> None:
    """After 2025, before 2100."""
    assert NOON_MS < now_ms() < 4_102_444_800_000
