"""The status: the same from any process, and never in the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import msgspec
import pytest

from eventlog.adapters.memory import MemoryBackend
from eventlog.follower import segment_numbers
from eventlog.log import EventLog
from eventlog.statefile import StateFile, read_state
from eventlog.status import DelivererState
from tests.core.records import NOON_MS
from tests.core.tools import Moody, Wall, crash, eventually

Open = Callable[..., EventLog]


@pytest.fixture
def store() -> Moody:
    """Give a store with moods."""
    return Moody(MemoryBackend("first"))


def test_a_new_log_has_nothing_to_tell(opened: Open, store: Moody, place: Path) -> None:
    """All zero, all well."""
    status = opened(store).status()
    assert (status.journal, status.journal_bytes, status.segments) == (str(place), 0, 0)
    assert (status.clock_drift_s, status.incomplete_reads, status.quarantined) == (0, 0, 0)
    assert (status.damaged_frames, status.torn_tails, status.other_journals) == (0, 0, 0)
    backend = status.backends["memory"]
    assert (backend.identity, backend.state, backend.last_error) == ("memory:first", "ok", None)
    assert (backend.lag_events, backend.lag_bytes, backend.oldest_age_s) == (0, 0, 0)
    assert (backend.delivered, backend.retries, backend.dead_letters) == (0, 0, 0)


def test_the_lag_counts_events_and_bytes_and_has_an_age(opened: Open, store: Moody) -> None:
    """Of what this backend lacks, whatever others have."""
    wall = Wall(NOON_MS)
    store.down = True
    log = opened(store, wall=wall)
    log.history("s").add_many(["x" * 500] * 3)
    wall.ms += 5000
    log.history("s").add("y")
    backend = log.status().backends["memory"]
    assert backend.lag_events == 4
    assert 1500 < backend.lag_bytes < 3000
    assert backend.oldest_age_s == 5


def test_every_process_tells_the_same(opened: Open, store: Moody) -> None:
    """One that only looks sees what the deliverer wrote down."""
    writer = opened(store)
    looker = opened(store, deliver=False)
    store.down = True
    writer.history("s").add_many([1, 2, 3])
    eventually(lambda: looker.status().backends["memory"].state == "down")
    told, seen = writer.status().backends["memory"], looker.status().backends["memory"]
    assert (seen.lag_events, seen.state, seen.last_error) == (told.lag_events, told.state, told.last_error)
    store.down = False
    assert writer.flush(20)
    eventually(lambda: looker.status().backends["memory"].delivered == 3)
    assert looker.status().backends["memory"].state == "ok"


def test_the_lag_of_dead_writers_counts(opened: Open, store: Moody) -> None:
    """Until somebody has delivered it."""
    store.down = True
    for number in range(3):
        log = opened(store)
        log.history("s").add(number)
        crash(log)
    log = opened(store, deliver=False)
    assert (log.status().backends["memory"].lag_events, log.status().segments) == (3, 3)


def forget(opened: Open, place: Path) -> None:
    """Leave a journal with something in it."""
    other = Moody(MemoryBackend("other"))
    other.down = True
    log = opened(other, journal=place)
    log.history("s").add("forgotten")
    log.close(timeout=0)


def test_other_journals_that_hold_something_are_counted(tmp_path: Path, opened: Open, store: Moody) -> None:
    """A backend that was opened in another order, say, has its journal beside this one."""
    forget(opened, tmp_path / "beside")
    (tmp_path / "a file").touch()
    (tmp_path / "a folder").mkdir()
    assert opened(store).status().other_journals == 1


def test_a_neighbour_that_may_not_be_looked_into_is_no_fault(
    opened: Open, store: Moody, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal may lie in /tmp, among the folders of others; those that are ours are counted all the same."""
    for number in range(9):
        (tmp_path / f"of somebody else {number}").mkdir()
        forget(opened, tmp_path / f"ours {number}")
    real = Path.stat

    def stat(path: Path, **options: bool) -> object:
        if any(part.startswith("of somebody else") for part in path.parts):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **options)

    log = opened(store)
    monkeypatch.setattr(Path, "stat", stat)
    assert log.status().other_journals == 9


def test_a_folder_above_that_may_not_be_listed_is_no_fault(
    opened: Open, store: Moody, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Being allowed through it is enough."""
    real = Path.iterdir

    def iterdir(path: Path) -> Iterator[Path]:
        if path == tmp_path:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    log = opened(store)
    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert log.status().other_journals == 0


def test_a_segment_that_goes_while_it_is_counted_is_no_fault(
    opened: Open, store: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delivered segments are removed at any moment."""
    store.down = True
    log = opened(store)
    log.history("s").add("x")
    monkeypatch.setattr("eventlog.health.segment_numbers", lambda folder: [0, *segment_numbers(folder), 99])
    assert log.status().backends["memory"].lag_events == 1


def test_the_status_can_be_asked_for_at_any_time(opened: Open, store: Moody) -> None:
    """While segments come and go."""
    log = opened(store, max_journal_bytes=1 << 20, max_block=20)
    thread = Thread(target=lambda: [log.history("s").add("x" * 20_000) for _ in range(300)])
    thread.start()
    while thread.is_alive():
        status = log.status()
        assert 0 <= status.backends["memory"].lag_events <= 300
    thread.join()
    assert log.flush(20)
    assert log.status().backends["memory"].delivered == 300


def test_a_status_has_a_form_that_machines_read(opened: Open, store: Moody) -> None:
    """It is plain data."""
    assert msgspec.json.decode(msgspec.json.encode(opened(store).status()))["backends"]["memory"]["state"] == "ok"


def test_a_state_file_reads_back(tmp_path: Path) -> None:
    """The next deliverer goes on counting; the file is private."""
    path = tmp_path / "key.state"
    state = StateFile(path)
    state.value.delivered, state.value.state = 7, "down"
    state.touch()
    assert read_state(path) == StateFile(path).value == DelivererState(state="down", delivered=7)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in tmp_path.iterdir()] == ["key.state"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"state": "odd"}', b"\xff"])
def test_a_damaged_state_file_is_an_empty_one(tmp_path: Path, content: bytes) -> None:
    """Losing it loses only counts."""
    path = tmp_path / "key.state"
    path.write_bytes(content)
    assert read_state(path) == DelivererState()
    assert read_state(tmp_path / "missing") == DelivererState()


def test_a_state_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    """A full disk is no reason not to deliver."""
    state = StateFile(tmp_path / "gone" / "key.state")
    state.value.delivered = 1
    state.flush()
