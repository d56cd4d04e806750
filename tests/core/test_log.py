"""The public face: what is refused and why, what is named how, what outlives what."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import eventlog
from eventlog import (
    AckTimeout,
    BackendUnavailable,
    ConfigurationError,
    EventId,
    EventLog,
    EventLogError,
    MessageNotSerializable,
    MessageTooLarge,
)
from eventlog.adapters.memory import MemoryBackend
from eventlog.adapters.sqlite import SQLiteBackend
from eventlog.clock import tick_of
from eventlog.directory import Directory
from eventlog.errors import Closed
from eventlog.files import Files
from tests.core.records import NOON_MS, eid
from tests.core.tools import Moody, Wall, crash, frames_in, open_log

Open = Callable[..., EventLog]
DEAD_URL = "redis://127.0.0.1:1/0"


@pytest.fixture
def log(opened: Open) -> EventLog:
    """Give a log in memory."""
    return opened("memory:")


def files_in(place: Path) -> list[str]:
    """Give the names of everything in a journal."""
    return sorted(path.name for path in place.rglob("*"))


# what is refused

BAD_HISTORIES: list[tuple[str, dict[str, Any]]] = [
    ("session id", {"session_id": ""}),
    ("session id", {"session_id": "x" * 1025}),
    ("session id", {"session_id": b"bytes"}),
    ("session id", {"session_id": None}),
    ("session id", {"session_id": "\ud800"}),
    ("ttl", {"session_id": "s", "ttl": 0}),
    ("ttl", {"session_id": "s", "ttl": -1}),
    ("ttl", {"session_id": "s", "ttl": timedelta(0)}),
    ("ttl", {"session_id": "s", "ttl": True}),
    ("ttl", {"session_id": "s", "ttl": float("nan")}),
    ("ttl", {"session_id": "s", "ttl": "60"}),
    ("expiry", {"session_id": "s", "ttl": 1, "expiry": "never"}),
    ("expiry", {"session_id": "s", "expiry": None}),
]


@pytest.mark.parametrize(("what", "arguments"), BAD_HISTORIES)
def test_a_bad_history_is_refused_before_anything_is_written(
    log: EventLog, place: Path, what: str, arguments: dict[str, Any]
) -> None:
    """A `ValueError` names the argument and what was expected of it."""
    before = files_in(place)
    with pytest.raises(ValueError, match=f"expected (a )?{what}"):
        log.history(**arguments)
    assert files_in(place) == before


def test_a_bad_level_of_acknowledgement_is_refused_before_anything_is_written(log: EventLog, place: Path) -> None:
    """In each of the calls that take one; the error lists those there are."""
    chat = log.history("s")
    calls: list[Callable[[], object]] = [
        lambda: chat.add("x", ack="never"),
        lambda: chat.add_many(["x"], ack="never"),
        lambda: chat.add_many([], ack="never"),
        lambda: chat.clear(ack=""),
        lambda: eventlog.open("memory:", ack="disk"),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="journal, fsync, backend"):
            call()
    assert chat.messages() == []
    assert not list(place.rglob("*.seg"))


async def test_a_bad_level_is_refused_by_async_calls_too(log: EventLog) -> None:
    """Before anything is written."""
    chat = log.history("s")
    for call in (chat.aadd("x", ack="never"), chat.aadd_many(["x"], ack="never"), chat.aclear(ack="never")):
        with pytest.raises(ValueError, match="expected ack"):
            await call
    assert await chat.amessages() == []


@pytest.mark.parametrize("last", [-1, True, 1.0, "1", float("nan")])
def test_a_bad_last_is_refused(log: EventLog, last: object) -> None:
    """A number of messages, zero or more."""
    with pytest.raises(ValueError, match="expected last"):
        log.history("s").messages(last=last)  # type: ignore[arg-type]


def test_last_none_zero_and_more_than_there_are(log: EventLog) -> None:
    """All, none, all."""
    chat = log.history("s")
    chat.add_many([1, 2, 3])
    assert (chat.messages(), chat.messages(last=0), chat.messages(last=9)) == ([1, 2, 3], [], [1, 2, 3])
    assert [chat.messages(last=number) for number in (1, 2, 3)] == [[3], [2, 3], [1, 2, 3]]


@pytest.mark.parametrize(
    ("as_of", "match"),
    [
        (datetime(2026, 1, 1), "aware"),  # noqa: DTZ001 - that is the fault
        ("yesterday", "UUID"),
        (b"short", "UUIDv7"),
        (1_700_000_000, "int"),
        ("9b2e2d62-4d1f-4a7c-8b6a-3f6e2b1d0c5a", "UUIDv7"),
    ],
)
def test_a_bad_as_of_is_refused(log: EventLog, as_of: Any, match: str) -> None:
    """A naive time says nothing; neither does another kind of id."""
    with pytest.raises(ValueError, match=match):
        log.history("s").messages(as_of=as_of)


@pytest.mark.parametrize("as_of", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_any_aware_time_can_be_asked_for(log: EventLog, as_of: datetime) -> None:
    """Before all events and after them."""
    log.history("s").add("x")
    assert log.history("s").messages(as_of=as_of) == (["x"] if as_of.year > 2000 else [])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"retain": timedelta(-1)}, "retain"),
        ({"retain": 30}, "retain"),
        ({"max_journal_bytes": 1000}, "max_journal_bytes"),
        ({"max_journal_bytes": -1}, "max_journal_bytes"),
        ({"ack": "never"}, "ack"),
        ({"ack": None}, "ack"),
    ],
)
def test_bad_options_are_refused_and_leave_nothing(
    options: dict[str, Any], match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even a temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    with pytest.raises(ValueError, match=match):
        eventlog.open("memory:", **options)
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("url", ["postgres://user:s3cret@host/db", "nothing", "", "://", "C:\\events.db"])
def test_an_unknown_scheme_lists_those_there_are(url: str) -> None:
    """And does not repeat the rest of the URL."""
    with pytest.raises(ConfigurationError, match="memory:, sqlite:, redis:") as caught:
        eventlog.open(url)
    assert "s3cret" not in str(caught.value)


def test_a_missing_package_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is in it."""
    for name in [name for name in sys.modules if name.startswith("eventlog.adapters.redis")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'chat-eventlog\[redis\]'"):
        eventlog.open(DEAD_URL)


def test_what_is_no_backend_is_refused() -> None:
    """The error names what it found."""
    with pytest.raises(ConfigurationError, match="found dict"):
        eventlog.open({})  # type: ignore[arg-type]


def test_a_backend_given_twice_is_refused(tmp_path: Path) -> None:
    """By identity, however it was named."""
    path = tmp_path / "events.db"
    with pytest.raises(ConfigurationError, match="twice"):
        eventlog.open(f"sqlite:///{path}", SQLiteBackend(path))


@pytest.mark.parametrize("message", [object(), {"x": {1, object()}}, "\ud800", 2**64])
def test_a_message_without_bytes_writes_nothing(log: EventLog, place: Path, message: object) -> None:
    """Nor do its neighbours in one call."""
    chat = log.history("s")
    for call in (lambda: chat.add(message), lambda: chat.add_many(["fine", message])):
        with pytest.raises(MessageNotSerializable):
            call()
    assert not list(place.rglob("*.seg"))
    assert chat.messages() == []


def test_a_message_that_is_too_large_writes_nothing(log: EventLog, place: Path) -> None:
    """One of more than 8 MiB, and many that are more together; just below is fine."""
    chat = log.history("s")
    half = "x" * (4 << 20)
    for call in (lambda: chat.add(2 * half), lambda: chat.add_many([half, half])):
        with pytest.raises(MessageTooLarge, match="8388608") as caught:
            call()
        assert isinstance(caught.value, ValueError)
    assert not list(place.rglob("*.seg"))
    chat.add("x" * ((8 << 20) - 100))
    assert len(chat.messages()[0]) == (8 << 20) - 100


def test_every_error_is_one_of_ours() -> None:
    """One class catches all."""
    for name in eventlog.__all__:
        found = getattr(eventlog, name)
        if isinstance(found, type) and issubclass(found, Exception):
            assert issubclass(found, EventLogError)


# missing backends


def test_a_set_that_lacks_a_backend_with_pending_events_is_refused_and_names_it(opened: Open) -> None:
    """More backends are fine; once it is delivered, fewer are too."""
    first, second = MemoryBackend("first"), Moody(MemoryBackend("second"))
    log = opened(first, second)
    second.down = True
    log.history("s").add("for both")
    crash(log)
    with pytest.raises(ConfigurationError, match="memory:second"):
        opened(first)
    second.down = False
    more = opened(first, second, MemoryBackend("third"))
    assert more.flush(20)
    more.close()
    assert opened(first).history("s").messages() == ["for both"]


def test_a_living_process_with_other_backends_is_no_fault(opened: Open) -> None:
    """It delivers for itself."""
    first, second = MemoryBackend("first"), Moody(MemoryBackend("second"))
    second.down = True
    opened(first, second).history("s").add("for both")
    assert opened(first).history("s").messages() == ["for both"]


# names and places


def test_backends_are_named_by_scheme_and_numbered(opened: Open, tmp_path: Path) -> None:
    """In the order in which they were given."""
    log = opened("memory:", f"sqlite:///{tmp_path}/a.db", "memory:", f"sqlite:///{tmp_path}/b.db")
    assert list(log.status().backends) == ["memory", "sqlite", "memory2", "sqlite2"]


def test_nothing_opens_a_file_in_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`eventlog.open()` is for trying it out."""
    monkeypatch.chdir(tmp_path)
    with eventlog.open() as log:
        log.history("s").add("hi")
    assert (tmp_path / "eventlog.db").exists()
    with eventlog.open() as log:
        assert log.history("s").messages() == ["hi"]


def test_the_journal_of_memory_is_private_and_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes with the log."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    log = eventlog.open("memory:")
    place = Path(log.status().journal)
    log.history("s").add("x")
    assert place.parent == tmp_path
    assert place.stat().st_mode & 0o777 == 0o700
    log.close()
    assert not place.exists()


def test_the_journal_lies_where_the_variable_says(tmp_path: Path) -> None:
    """In a folder named for the first backend; `journal=` names the directory itself."""
    with eventlog.open(f"sqlite:///{tmp_path}/a.db") as log:
        assert Path(log.status().journal).parent == tmp_path / "journal"
    with eventlog.open(f"sqlite:///{tmp_path}/a.db", journal=tmp_path / "mine") as log:
        assert Path(log.status().journal) == tmp_path / "mine"


def test_a_place_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """With the variable that names another one."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="EVENTLOG_JOURNAL"):
        eventlog.open("memory:", journal=tmp_path / "file")


def test_who_only_reads_leaves_no_writer_behind(log: EventLog, place: Path) -> None:
    """The folder is made at the first add."""
    assert log.history("s").messages() == []
    log.status()
    log.sessions()
    assert [path for path in place.iterdir() if path.is_dir()] == []


# what it does


def test_messages_come_as_they_were_given_oldest_first(log: EventLog) -> None:
    """Of any shape that msgpack has, with the ids of their events rising."""
    chat = log.history("s")
    given: list[Any] = [{"role": "user", "content": "hi"}, "text", 1, None, [1, {"a": b"b"}], {}]
    ids = [chat.add(message) for message in given[:3]] + chat.add_many(given[3:])
    assert chat.messages() == given
    assert ids == sorted(ids)
    assert all(isinstance(event_id, EventId) for event_id in ids)


async def test_async_calls_do_what_the_others_do(log: EventLog) -> None:
    """Add, add many, clear, read."""
    chat = log.history("s")
    first = await chat.aadd("a")
    more = await chat.aadd_many(["b", "c"], ack="fsync")
    assert await chat.amessages() == ["a", "b", "c"] == chat.messages()
    assert first < more[0] < more[1] < await chat.aclear(ack="backend")
    assert await chat.amessages() == []
    assert await chat.amessages(as_of=more[0]) == ["a", "b"]
    assert await chat.aadd_many([]) == []


def test_sessions_share_nothing(log: EventLog) -> None:
    """A clear of one leaves the other."""
    log.history("a").add(1)
    log.history("b").add(2)
    log.history("a").clear()
    assert (log.history("a").messages(), log.history("b").messages()) == ([], [2])


def test_sessions_are_listed_with_pending_ones(opened: Open) -> None:
    """Sorted, each once, by prefix; also those that hold nothing but a clear."""
    log = opened("memory:", deliver=False)
    log.history("b1").add(1)
    log.history("a").clear()
    log._backends["memory"].append({"b0": [log.history("b1").add(2) + b"\x01\x63"]})
    assert (log.sessions(), log.sessions("b"), log.sessions("c")) == (["a", "b0", "b1"], ["b0", "b1"], [])


def test_levels_of_acknowledgement_say_what_they_mean(opened: Open) -> None:
    """`backend`: the first one has it when `add` returns."""
    store = MemoryBackend("first")
    log = opened(store)
    event_id = log.history("s").add("x", ack="backend")
    assert store.read("s", limit=1)[0][:16] == event_id
    log.history("s").add("y", ack="fsync")
    journal = log._live().writer()
    assert journal.synced[:2] == journal.end[:2]
    assert opened(MemoryBackend("other"), ack="backend", journal=None).history("s").add("z")


def test_an_acknowledgement_that_takes_too_long_keeps_the_event(opened: Open) -> None:
    """`AckTimeout` has its id; it is a `TimeoutError`; the message is there and must not be added again."""
    store = Moody(MemoryBackend("first"))
    store.deaf_to_appends = True
    log = opened(store, max_block=0.05)
    with pytest.raises(AckTimeout, match="do not add it again") as caught:
        log.history("s").add("x", ack="backend")
    assert isinstance(caught.value, TimeoutError)
    assert log.history("s").messages() == ["x"]
    store.deaf_to_appends = False
    assert log.flush(20)
    assert store.inner.read("s", limit=9)[0][:16] == caught.value.event_id


def test_a_server_that_is_down_at_open_takes_adds_and_the_status_says_so(opened: Open) -> None:
    """No backend is needed to begin."""
    log = opened(DEAD_URL)
    log.history("s").add("x")
    found = log.history("s").messages()
    assert (list(found), found.complete) == (["x"], False)
    assert not log.flush(0.2)
    status = log.status().backends["redis"]
    assert status.state in ("retrying", "down")
    assert (status.lag_events, status.delivered) == (1, 0)
    assert "unreachable" in (status.last_error or "")
    with pytest.raises(BackendUnavailable):
        log.sessions()


def test_a_clock_that_is_set_back_between_two_runs_reorders_nothing(opened: Open) -> None:
    """After a clean end and after a kill."""
    wall = Wall(NOON_MS)
    store = MemoryBackend("first")
    ends: list[Callable[[EventLog], None]] = [EventLog.close, crash, crash, EventLog.close]
    for number, end in enumerate(ends):
        log = opened(store, wall=wall)
        log.history("s").add(number)
        log.history(f"other {number}").add("x")
        end(log)
        wall.ms -= 3_600_000
    assert opened(store, wall=wall).history("s").messages() == [0, 1, 2, 3]


def test_a_high_water_from_beyond_tomorrow_is_not_followed(
    opened: Open, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A clock that was a year ahead for a moment does not cost every later run its time; up to a day it is followed."""
    wall = Wall(NOON_MS)
    Directory(place, Files()).raise_high_water(tick_of(eid(NOON_MS + 24 * 3_600_000)))
    log = opened("memory:", wall=wall)
    assert log.history("s").add("x").ms == NOON_MS + 24 * 3_600_000
    log.close()
    wall.ms -= 3_600_000
    assert opened("memory:", wall=wall).history("s").add("x").ms == NOON_MS - 3_600_000
    assert "24 h ahead" in caplog.text


def test_a_clock_that_is_set_back_while_it_runs_reorders_nothing(opened: Open) -> None:
    """And the status shows the drift."""
    wall = Wall(NOON_MS)
    log = opened("memory:", wall=wall)
    log.history("s").add(1)
    wall.ms -= 60_000
    log.history("s").add(2)
    assert log.history("s").messages() == [1, 2]
    assert log.status().clock_drift_s == pytest.approx(60, abs=1)


def test_a_closed_log_refuses_and_closing_twice_is_harmless(log: EventLog) -> None:
    """`Closed` is one of our errors; closed is closed for the histories too."""
    chat = log.history("s")
    chat.add("x")
    log.close()
    log.close()
    for call in (lambda: chat.add("y"), lambda: chat.add_many(["y"]), chat.clear, chat.messages, log.status, log.flush):
        with pytest.raises(Closed):
            call()


async def test_a_log_is_a_context_of_both_kinds(place: Path) -> None:
    """Leaving it closes it."""
    with open_log("memory:", journal=place) as log:
        log.history("s").add("x")
    async with open_log("memory:", journal=place) as other:
        await other.history("s").aadd("y")
    for closed in (log, other):
        with pytest.raises(Closed):
            closed.status()
    assert frames_in(place) == []
