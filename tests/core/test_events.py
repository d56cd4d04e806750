"""Values: what an event id is, and which arguments are refused."""

from __future__ import annotations

import pickle
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.events import EventId, session_bytes, to_ms
from tests.core.examples import examples
from tests.core.records import NOON_MS, WRITER, eid

times = st.integers(0, 2**48 - 1)
counters = st.integers(0, 4095)


@given(times, counters)
@examples(100)
def test_an_event_id_is_a_uuid_of_version_seven(ms: int, counter: int) -> None:
    """RFC 9562: version, variant, and the time where the standard has it."""
    event_id = eid(ms, counter)
    uuid = UUID(bytes=bytes(event_id))
    assert (uuid.version, uuid.variant) == (7, "specified in RFC 4122")
    assert uuid.int >> 80 == ms == event_id.ms
    assert event_id.writer == WRITER


@given(times, counters)
@examples(100)
def test_an_event_id_reads_back_from_its_text(ms: int, counter: int) -> None:
    """`str` gives the UUID's text, `parse` takes it."""
    event_id = eid(ms, counter)
    assert EventId.parse(str(event_id)) == event_id
    assert str(event_id) == str(UUID(bytes=bytes(event_id)))


@given(times, counters, times, counters)
@examples(100)
def test_event_ids_sort_by_time(ms: int, counter: int, other_ms: int, other_counter: int) -> None:
    """The order of bytes is the order of ms and counter; the order of texts is too."""
    first, second = eid(ms, counter), eid(other_ms, other_counter)
    assert (first < second) == ((ms, counter) < (other_ms, other_counter))
    assert (str(first) < str(second)) == (first < second)


def test_an_event_id_has_an_aware_time() -> None:
    """In UTC, to the millisecond."""
    assert eid(NOON_MS + 1).time == datetime.fromtimestamp(NOON_MS / 1000, UTC) + timedelta(milliseconds=1)
    assert eid(NOON_MS).time.tzinfo is UTC


def test_an_event_id_survives_copy_and_pickle() -> None:
    """It is bytes with more methods."""
    event_id = eid(NOON_MS)
    for same in (deepcopy(event_id), pickle.loads(pickle.dumps(event_id))):  # noqa: S301 - our own bytes
        assert same == event_id
        assert isinstance(same, EventId)
    assert repr(event_id) == f"EventId('{event_id}')"


@pytest.mark.parametrize(
    "bad",
    [b"", b"\0" * 16, b"x" * 15, b"x" * 17, UUID(int=0).bytes, UUID("9b2e2d62-4d1f-4a7c-8b6a-3f6e2b1d0c5a").bytes],
)
def test_other_bytes_are_no_event_id(bad: bytes) -> None:
    """The error says what was expected and shows no more than the bytes that were given."""
    with pytest.raises(ValueError, match="16 bytes of a UUIDv7"):
        EventId(bad)


def test_other_texts_are_no_event_id() -> None:
    """Neither a word nor a random UUID."""
    for text in ("hello", "", "9b2e2d62-4d1f-4a7c-8b6a-3f6e2b1d0c5a"):
        with pytest.raises(ValueError, match="UUID"):
            EventId.parse(text)


@pytest.mark.parametrize(
    ("value", "ms"),
    [(1, 1000), (0.5, 500), (1e-9, 1), (timedelta(days=1), 86_400_000), (timedelta(microseconds=1), 1), (None, None)],
)
def test_a_duration_is_taken_as_timedelta_or_seconds(value: object, ms: int | None) -> None:
    """It is rounded to a millisecond, but never to nothing."""
    assert to_ms(value, "ttl") == ms  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bad",
    [0, 0.0, -1, timedelta(0), timedelta(-1), True, False, float("nan"), float("inf"), -float("inf"), "1", [], 1e300],
)
def test_what_is_no_positive_duration_is_refused(bad: object) -> None:
    """Zero, negatives, booleans, nan, infinity and text; the error names the argument."""
    with pytest.raises(ValueError, match="expected ttl"):
        to_ms(bad, "ttl")  # type: ignore[arg-type]


@pytest.mark.parametrize("session", ["a", "x" * 1024, "\U0001f600" * 256, "\0", "a\nb", "{}%*?[]\\", " "])
def test_any_text_of_up_to_1024_bytes_is_a_session_id(session: str) -> None:
    """Its bytes are UTF-8."""
    assert session_bytes(session) == session.encode()


@pytest.mark.parametrize("bad", ["", "x" * 1025, "\U0001f600" * 257, "\ud800", b"bytes", 7, None, ["a"]])
def test_what_is_no_session_id_is_refused(bad: object) -> None:
    """Empty, too long in bytes, not text, not Unicode: always a `ValueError` that does not repeat it."""
    with pytest.raises(ValueError, match="expected a session id") as caught:
        session_bytes(bad)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 200
