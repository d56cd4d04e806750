"""Delivery: everything arrives, in spite of all, and nothing is let go before it has."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from threading import Event

import pytest

from eventlog.adapters.memory import MemoryBackend
from eventlog.errors import EventRejected
from eventlog.log import EventLog
from eventlog.ports import Batch
from tests.core.tools import Moody, crash, eventually, hurry

Open = Callable[..., EventLog]


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pause shortly after a failure."""
    hurry(monkeypatch, BACKOFF_FIRST_S=0.001, BACKOFF_MAX_S=0.01, PROBE_FIRST_S=0.001, PROBE_MAX_S=0.01)
    hurry(monkeypatch, IDLE_S=0.02, TICK_S=0.05)


@pytest.fixture
def store() -> Moody:
    """Give a store with moods."""
    return Moody(MemoryBackend("first"))


def ids_in(store: Moody, session: str = "s") -> list[bytes]:
    """Give the ids that a store has of a session."""
    return [record[:16] for record in store.inner.read(session, limit=10_000)]


def test_what_is_added_arrives(opened: Open, store: Moody) -> None:
    """Each event once in the store, and the status tells so."""
    log = opened(store)
    ids = [log.history("s").add(number) for number in range(100)]
    assert log.flush(20)
    assert ids_in(store) == ids
    status = log.status().backends["memory"]
    assert (status.state, status.lag_events, status.delivered, status.dead_letters) == ("ok", 0, 100, 0)


def test_an_outage_loses_and_doubles_nothing(opened: Open, store: Moody) -> None:
    """Adds go on at once, and all arrive when the store is back."""
    log = opened(store)
    ids = [log.history("s").add(0)]
    assert log.flush(20)
    store.down = True
    ids += [log.history("s").add(number) for number in range(50)]
    eventually(lambda: log.status().backends["memory"].state == "down")
    status = log.status().backends["memory"]
    assert (status.lag_events, status.delivered) == (50, 1)
    assert status.retries >= 3
    assert "away" in (status.last_error or "")
    assert not log.flush(0.01)
    store.down = False
    assert log.flush(20)
    assert ids_in(store) == ids
    status = log.status().backends["memory"]
    assert (status.state, status.lag_events, status.delivered, status.last_error) == ("ok", 0, 51, None)


def test_a_lost_reply_means_the_same_batch_again(opened: Open, store: Moody) -> None:
    """The store may have it already: ids make that harmless."""
    log = opened(store)
    store.loses_replies = True
    ids = log.history("s").add_many(["a", "b", "c"])
    eventually(lambda: len(store.appended) > 3)
    assert log.status().backends["memory"].lag_events == 3, "nothing counts as delivered"
    store.loses_replies = False
    assert log.flush(20)
    assert ids_in(store) == ids
    assert len({str(batch) for batch in store.appended}) == 1
    assert log.history("s").messages() == ["a", "b", "c"]


def test_the_cursor_moves_only_when_the_store_has_it(opened: Open, store: Moody) -> None:
    """A process that dies between the append and the cursor leaves it to be delivered again."""
    log = opened(store)
    store.loses_replies = True
    ids = log.history("s").add_many(["a", "b"])
    eventually(lambda: len(store.appended) > 1)
    crash(log)
    store.loses_replies = False
    before = len(store.appended)
    assert opened(store).flush(20)
    assert len(store.appended) > before
    assert ids_in(store) == ids


@pytest.mark.parametrize("fault", [KeyError("k"), RuntimeError("bug"), AssertionError(), MemoryError()])
def test_a_fault_of_an_adapter_ends_nothing_and_loses_nothing(
    opened: Open, store: Moody, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told and tried again like an outage."""
    log = opened(store)
    store.faults = [fault, fault]
    ids = [log.history("s").add("a")]
    eventually(lambda: len(store.faults) < 2)
    ids += [log.history("s").add("b")]
    assert log.flush(20)
    assert ids_in(store) == ids
    assert log.history("s").messages() == ["a", "b"]
    assert type(fault).__name__ in caplog.text


def test_a_fault_while_stopping_loses_nothing(opened: Open, store: Moody) -> None:
    """What was read and not stored when a process ended comes again with the next one."""
    log = opened(store)
    store.faults = [RuntimeError("bug")] * 1000
    ids = [log.history("s").add(number) for number in range(3)]
    eventually(lambda: len(store.faults) < 1000)
    log.close(timeout=0)
    store.faults = []
    assert opened(store).flush(20)
    assert ids_in(store) == ids


class Slow(Moody):
    """A store that takes nothing until it may."""

    def __init__(self, name: str) -> None:
        super().__init__(MemoryBackend(name))
        self.may = Event()

    def append(self, batch: Batch) -> dict[str, object]:  # type: ignore[override]
        """Wait."""
        self.may.wait(30)
        return super().append(batch)  # type: ignore[return-value]


def test_a_slow_backend_holds_back_nobody(opened: Open, store: Moody) -> None:
    """Neither an add nor the delivery to another one."""
    slow = Slow("slow")
    log = opened(store, slow)
    try:
        ids = [log.history("s").add(number, ack="backend") for number in range(10)]
        assert ids_in(store) == ids
        assert ids_in(slow) == []
        lags = {name: backend.lag_events for name, backend in log.status().backends.items()}
        assert lags == {"memory": 0, "memory2": 10}
    finally:
        slow.may.set()
    assert log.flush(20)
    assert ids_in(slow) == ids


def test_a_batch_takes_what_has_gathered(opened: Open, store: Moody) -> None:
    """After an outage hundreds of adds go in a few round trips, grouped by session, in order."""
    log = opened(store)
    store.down = True
    for number in range(300):
        log.history(f"s{number % 3}").add(number)
    store.down = False
    assert log.flush(20)
    assert len(store.appended) < 10
    for name in ("s0", "s1", "s2"):
        sent = [record for batch in store.appended for record in batch.get(name, [])]
        assert sent == sorted(sent)


def test_one_poisoned_event_is_a_dead_letter_and_delays_nobody(
    opened: Open, store: Moody, caplog: pytest.LogCaptureFixture
) -> None:
    """It is found by halving; the others arrive, and it stays in `messages`."""
    log = opened(store)
    store.down = True
    ids = [log.history(f"s{number % 3}").add(f"secret {number}") for number in range(60)]
    store.poison = {ids[20]}
    store.down = False
    eventually(lambda: log.status().backends["memory"].lag_events <= 1)
    arrived = ids_in(store, "s0") + ids_in(store, "s1") + ids_in(store, "s2")
    assert sorted(arrived) == [event_id for event_id in ids if event_id != ids[20]]
    assert log.status().backends["memory"].dead_letters == 1
    assert log.history("s2").messages()[6] == "secret 20"
    assert not log.flush(None), "at once, for only a person can go on"
    assert ids[20].hex() in caplog.text
    assert "secret" not in caplog.text


def test_a_rejected_event_that_the_store_names_takes_no_other_with_it(opened: Open) -> None:
    """A failure that `append` returns for one session is taken apart within it."""

    class Naming(Moody):
        def append(self, batch: Batch) -> dict[str, object]:  # type: ignore[override]
            bad = {s: EventRejected("too large") for s in batch if any(b"poison" in record for record in batch[s])}
            super().append({s: records for s, records in batch.items() if s not in bad})
            return bad  # type: ignore[return-value]

    naming = Naming(MemoryBackend("naming"))
    log = opened(naming)
    log.history("s").add_many(["a", "poison", "b"])
    log.history("t").add("c", ack="backend")
    eventually(lambda: log.status().backends["memory"].dead_letters == 1)
    assert log.history("s").messages() == ["a", "poison", "b"]
    assert len(ids_in(naming)) == 2


def test_a_session_that_cannot_be_stored_is_held_and_the_rest_flows(opened: Open, store: Moody) -> None:
    """Its events are still messages, still count, and arrive when it can be stored again."""
    log = opened(store)
    store.broken_sessions = {"broken"}
    broken = [log.history("broken").add(0)]
    fine = [log.history("fine").add(0, ack="backend")]
    broken += [log.history("broken").add(number) for number in range(1, 5)]
    fine += [log.history("fine").add(1, ack="backend")]
    assert ids_in(store, "fine") == fine
    assert log.history("broken").messages() == [0, 1, 2, 3, 4]
    assert log.history("broken").messages().complete
    assert not log.flush(0.05)
    assert log.status().backends["memory"].lag_events == 5
    store.broken_sessions = set()
    assert log.flush(20)
    assert ids_in(store, "broken") == broken
    assert log.status().backends["memory"].lag_events == 0


def test_a_session_that_is_held_is_not_tried_with_every_batch(
    opened: Open, store: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its later events wait for the probe too, so they cannot overtake."""
    hurry(monkeypatch, PROBE_FIRST_S=1000.0, PROBE_MAX_S=1000.0)
    log = opened(store)
    store.broken_sessions = {"broken"}
    log.history("broken").add(0)
    log.history("fine").add(0, ack="backend")
    store.broken_sessions = set()
    log.history("broken").add(1)
    log.history("fine").add(1, ack="backend")
    assert ids_in(store, "broken") == []
    assert sum("broken" in sessions for sessions in store.asked) == 1
    assert log.history("broken").messages() == [0, 1]


def test_what_is_held_survives_the_process(opened: Open, store: Moody) -> None:
    """The next one goes on with it."""
    log = opened(store)
    store.broken_sessions = {"broken"}
    ids = [log.history("broken").add(number) for number in range(3)]
    log.history("fine").add(0, ack="backend")
    crash(log)
    later = opened(store)
    assert later.history("broken").messages() == [0, 1, 2]
    store.broken_sessions = set()
    assert later.flush(20)
    assert ids_in(store, "broken") == ids


def test_a_clear_without_retention_removes_from_the_store(opened: Open, store: Moody) -> None:
    """The marker and what comes after it stay."""
    log = opened(store, retain=timedelta(0))
    log.history("s").add_many([1, 2, 3])
    assert log.flush(20)
    cleared = log.history("s").clear()
    after = log.history("s").add(4)
    assert log.flush(20)
    assert ids_in(store) == [cleared, after]


def test_a_clear_with_retention_removes_nothing(opened: Open, store: Moody) -> None:
    """What it hides can be replayed."""
    log = opened(store)
    ids = log.history("s").add_many([1, 2, 3])
    ids.append(log.history("s").clear())
    assert log.flush(20)
    assert ids_in(store) == ids
    assert log.history("s").messages() == []
    assert log.history("s").messages(as_of=ids[2]) == [1, 2, 3]


def test_a_dead_writer_is_delivered_by_who_opens_next(opened: Open, store: Moody) -> None:
    """And its folder goes when that is done."""
    log = opened(store)
    store.down = True
    ids = [log.history("s").add(number) for number in range(10)]
    crash(log)
    store.down = False
    heir = opened(store)
    assert heir.flush(20), "flush waits for the dead too"
    assert ids_in(store) == ids
    eventually(lambda: heir.status().segments == 0)


def test_a_dead_writer_is_delivered_by_a_sibling_soon(opened: Open, store: Moody) -> None:
    """Nobody has to open anything."""
    sibling = opened(store)
    log = opened(store, deliver=False)
    store.down = True
    ids = [log.history("s").add(number) for number in range(10)]
    store.down = False
    crash(log)
    eventually(lambda: ids_in(store) == ids)
    eventually(lambda: sibling.status().segments == 0)


def test_who_does_not_deliver_leaves_it_to_others(opened: Open, store: Moody) -> None:
    """`deliver=False`: everything is pending and everything is read."""
    log = opened(store, deliver=False)
    log.history("s").add("a")
    assert not log.flush(0.05)
    assert ids_in(store) == []
    assert log.history("s").messages() == ["a"]
    assert log.status().backends["memory"].lag_events == 1


def test_delivered_segments_are_removed_after_a_while(
    opened: Open, store: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle log holds next to nothing."""
    hurry(monkeypatch, IDLE_SEGMENT_S=0.0)
    log = opened(store)
    log.history("s").add("x" * 2_000_000)
    assert log.flush(20)
    eventually(lambda: log.status().journal_bytes < 1_000_000)
    assert log.history("s").messages() == ["x" * 2_000_000]


def test_a_failure_is_logged_once_and_so_is_its_end(
    opened: Open, store: Moody, caplog: pytest.LogCaptureFixture
) -> None:
    """Thousands of attempts make two lines."""
    caplog.set_level(logging.WARNING, "eventlog.delivery")
    log = opened(store)
    store.down = True
    log.history("s").add(1)
    eventually(lambda: log.status().backends["memory"].retries > 5)
    store.down = False
    assert log.flush(20)
    lines = [record.getMessage() for record in caplog.records if record.name == "eventlog.delivery"]
    assert ["waits" in line for line in lines] == [True, False]


def test_closing_in_an_outage_is_quick_and_keeps_all(opened: Open, store: Moody) -> None:
    """`close` delivers for as long as it is told and leaves the rest."""
    log = opened(store)
    store.down = True
    log.history("s").add("kept")
    log.close(timeout=0.05)
    store.down = False
    later = opened(store)
    assert later.flush(20)
    assert later.history("s").messages() == ["kept"]
