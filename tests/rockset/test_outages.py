"""Late visibility, limits and outages: nothing is lost, doubled or read by half, no event is blamed for the service."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest

import eventlog
from eventlog.adapters import rockset, rockset_calls
from eventlog.adapters.memory import MemoryBackend
from eventlog.errors import BackendUnavailable, EventRejected
from tests.contract.suite import ALL, messages
from tests.core.records import NOON_MS, eid, said
from tests.core.tools import eventually
from tests.rockset.conftest import COLLECTION, KEY, Make
from tests.servers.faults import SILENCE, WHEN, Fault, When
from tests.servers.rockset import RocksetServer
from tests.servers.rockset_store import FIELD_BYTES_MAX, Collection


def held(server: RocksetServer) -> Collection:
    """Give the collection, whose ingest stands still."""
    collection = server.collections["commons", COLLECTION]
    collection.held = True
    return collection


def test_a_batch_is_one_write_call_and_a_page_one_read_call(server: RocksetServer, make: Make) -> None:
    """Whatever sessions it has; and one look at the fence."""
    backend = make()
    backend.append({f"s{number}": messages(20) for number in range(50)})
    assert server.calls == {"add": 1, "fence": 1}
    server.calls.clear()
    assert backend.read("s7", limit=ALL) == messages(20)
    assert server.calls == {"query": 1}


def test_append_returns_when_reads_see_it(server: RocksetServer, make: Make) -> None:
    """However long the ingest takes; removals too."""
    backend, collection = make(), held(server)
    writer = Thread(target=backend.append, args=({"s": messages(3)},))
    writer.start()
    eventually(lambda: server.calls["fence"] > 3)
    assert writer.is_alive()
    assert backend.read("s", limit=ALL) == []
    collection.held = False
    writer.join()
    assert backend.read("s", limit=ALL) == messages(3)
    collection.delay_ms = 20
    backend.remove("s", messages(3)[2][:16])
    assert backend.read("s", limit=ALL) == messages(3)[2:]


def test_what_is_not_seen_in_time_comes_again_and_is_there_once(
    server: RocksetServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ingest that stands still is an outage."""
    monkeypatch.setattr(rockset, "VISIBLE_TIMEOUT_S", 0.05)
    backend, collection = make(), held(server)
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match="not seen"):
            backend.append({"s": messages(3)})
    collection.held = False
    assert backend.append({"s": messages(3)}) == {}
    assert backend.read("s", limit=ALL) == messages(3)


def test_a_slow_ingest_never_hides_what_was_added(server: RocksetServer, make: Make, tmp_path: Path) -> None:
    """Until queries see it, it is read from the journal."""
    collection = held(server)
    with eventlog.open(make(), journal=tmp_path / "j") as log:
        chat = log.history("s")
        chat.add("one")
        eventually(lambda: server.calls["fence"] > 1)
        chat.add("two")
        assert list(chat.messages()) == ["one", "two"]
        collection.held = False
        assert log.flush(20)
        assert list(chat.messages()) == ["one", "two"]
        assert len(collection.seen()) == 2


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("fault", [Fault(500), Fault(429), Fault(503), SILENCE])
def test_a_call_that_failed_and_comes_again_leaves_each_event_once(
    server: RocksetServer, make: Make, fault: Fault, when: When
) -> None:
    """Whether it was applied or not, and where the connection was cut; nobody but the core tries again."""
    backend = make()
    for call in ("add", "fence"):
        server.calls.clear()
        server.orders.give(fault, call=call, when=when)
        with pytest.raises(BackendUnavailable):
            backend.append({"s": messages(3)})
        assert server.calls[call] == 1
        assert backend.append({"s": messages(3)}) == {}
    server.orders.give(fault, call="query", when=when)
    with pytest.raises(BackendUnavailable):
        backend.read("s", limit=ALL)
    assert backend.read("s", limit=ALL) == messages(3)
    server.orders.give(fault, call="delete", when=when)
    with pytest.raises(BackendUnavailable):
        backend.remove("s", messages(2)[1][:16])
    backend.remove("s", messages(2)[1][:16])
    assert backend.read("s", limit=ALL) == messages(3)[1:]


async def test_a_server_that_is_slow_is_given_up_in_time(
    server: RocksetServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call has a limit: reads, async reads and writes."""
    monkeypatch.setattr(rockset_calls, "READ_TIMEOUT_S", 0.1)
    monkeypatch.setattr(rockset_calls, "WRITE_TIMEOUT_S", 0.1)
    backend = make()
    server.orders.give(Fault(delay_s=5), times=3)
    with pytest.raises(BackendUnavailable, match="no answer in time"):
        backend.append({"s": messages(1)})
    with pytest.raises(BackendUnavailable, match="no answer in time"):
        backend.read("s", limit=1)
    with pytest.raises(BackendUnavailable, match="no answer in time"):
        await backend.aread("s", limit=1)
    assert backend.append({"s": messages(1)}) == {}


def test_a_reply_that_holds_less_than_there_is_is_never_taken_for_all(server: RocksetServer, make: Make) -> None:
    """It is asked on, for reads, for lists of sessions and for removals."""
    backend = make()
    backend.append({"s": messages(100), **{f"t{number:02}": messages(1) for number in range(30)}})
    server.rows_max = 7
    assert backend.read("s", limit=ALL) == messages(100)
    assert backend.read("s", before=messages(60)[59][:16], limit=20) == messages(59)[-20:]
    assert len(list(backend.sessions())) == 31
    backend.remove("s", messages(50)[49][:16])
    assert backend.read("s", limit=ALL) == messages(100)[49:]
    server.rows_max = 0
    with pytest.raises(BackendUnavailable, match="without any"):
        backend.read("s", limit=ALL)


def test_an_event_over_the_limit_of_a_field_is_rejected_and_the_rest_is_not(make: Make) -> None:
    """Only its session says so."""
    poison = said(eid(NOON_MS), "x" * FIELD_BYTES_MAX)
    backend = make()
    failed = backend.append({"a": messages(1), "bad": [poison], "b": messages(1)})
    assert {session: type(error) for session, error in failed.items()} == {"bad": EventRejected}
    assert "x" * 100 not in str(failed["bad"])
    assert backend.read("a", limit=ALL) == backend.read("b", limit=ALL) == messages(1)


def test_an_event_over_the_limit_of_a_request_is_a_dead_letter(make: Make, tmp_path: Path) -> None:
    """Its session goes on, and it is still in `messages`."""
    large = "x" * (8_000_000)
    with eventlog.open(make(), journal=tmp_path / "j", max_journal_bytes=1 << 28) as log:
        chat = log.history("s")
        chat.add("before")
        chat.add(large)
        chat.add("after")
        assert not log.flush(30)
        assert log.status().backends["rockset"].dead_letters == 1
        assert list(chat.messages()) == ["before", large, "after"]


def test_a_large_batch_is_split_before_the_limits_of_a_write(server: RocksetServer, make: Make) -> None:
    """By bytes."""
    records = [said(eid(NOON_MS + number), "x" * 1_000_000) for number in range(20)]
    assert make().append({"s": records}) == {}
    assert server.calls["add"] == 4
    assert make().read("s", limit=ALL) == records


@pytest.mark.parametrize(
    ("options", "words"), [({"key": "another"}, "wrong API key"), ({"collection": "nowhere"}, "no such collection")]
)
def test_what_is_wrong_with_the_store_as_a_whole_is_told_of_it(make: Make, options: dict[str, str], words: str) -> None:
    """A person can mend it; no event is to blame, and the key is in no word of it."""
    backend = make(**options)
    for call in (lambda: backend.append({"a": messages(1)}), lambda: backend.read("a", limit=1)):
        with pytest.raises(BackendUnavailable, match=words) as caught:
            call()
        assert KEY not in str(caught.value)
        assert "another" not in str(caught.value)


def test_a_collection_is_made_where_that_is_wanted(server: RocksetServer, make: Make) -> None:
    """In its workspace, at the first call, whichever it is."""
    assert make(collection="new", workspace="mine", create=True).append({"s": messages(1)}) == {}
    assert make(collection="read", create=True).read("s", limit=1) == []
    assert set(server.collections) == {("commons", COLLECTION), ("mine", "new"), ("commons", "read")}


def test_what_is_in_it_can_be_taken_elsewhere(make: Make) -> None:
    """Nobody is locked in: records read here are appended there, byte for byte, and give the same history."""
    here, there = make(), MemoryBackend()
    here.append({f"s{number}": messages(number + 1) for number in range(5)})
    for session in here.sessions():
        there.append({session: here.read(session, limit=ALL)})
    assert {name: there.read(name, limit=ALL) for name in there.sessions()} == {
        f"s{number}": messages(number + 1) for number in range(5)
    }


def test_the_server_comes_back_after_a_while(server: RocksetServer, make: Make, tmp_path: Path) -> None:
    """What was added meanwhile is there, once each."""
    with eventlog.open(make(), journal=tmp_path / "j") as log:
        chat = log.history("s")
        chat.add(0)
        assert log.flush(20)
        assert list(chat.messages()) == [0]
        server.stop()
        for number in range(1, 50):
            chat.add(number)
        assert list(chat.messages()) == list(range(50))
        server.advance(timedelta(hours=1))
        server.start()
        assert log.flush(20)
    assert [row["kind"] for row in server.collections["commons", COLLECTION].seen().rows({})] == ["message"] * 50
