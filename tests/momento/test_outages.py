"""All the ways in which the service cannot for now: nothing is lost or doubled, no event is blamed for it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

import eventlog
from eventlog.adapters import momento_clients
from eventlog.adapters.momento_keys import segment_key
from eventlog.errors import BackendUnavailable, EventRejected, SessionUnavailable
from tests.contract.suite import ALL, messages
from tests.core.records import NOON_MS, eid, said
from tests.momento.conftest import CACHE, Make, client_of
from tests.servers.faults import SILENCE, WHEN, Fault, When
from tests.servers.momento import MomentoServer
from tests.servers.momento_store import ELEMENT_BYTES_MAX

UNAVAILABLE = Fault("UNAVAILABLE")


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("call", ["SortedSetPut", "SortedSetIncrement", "SortedSetFetch"])
def test_a_call_that_failed_and_comes_again_leaves_each_event_once(
    server: MomentoServer, make: Make, call: str, when: When
) -> None:
    """Whether it was applied or not, in a session of any length."""
    backend = make()
    records = [said(eid(NOON_MS + n), f"{n}" + "x" * 8000) for n in range(300)]
    server.orders.give(UNAVAILABLE, call=call, when=when, times=3)
    for start in range(0, 300, 60):
        while True:
            try:
                assert backend.append({"s": records[start : start + 60]}) == {}
            except BackendUnavailable:
                continue
            break
    server.orders.clear()
    assert backend.read("s", limit=ALL) == records
    assert list(backend.sessions()) == ["s"]


def test_the_sdk_does_not_retry(server: MomentoServer, make: Make) -> None:
    """Retries are the core's, which waits between them."""
    backend = make()
    backend.append({"s": messages(1)})
    server.calls.clear()
    server.orders.give(UNAVAILABLE, call="SortedSetPut")
    with pytest.raises(BackendUnavailable, match="unreachable"):
        backend.append({"s": messages(2)})
    server.orders.give(UNAVAILABLE, call="SortedSetFetch")
    with pytest.raises(BackendUnavailable, match="unreachable"):
        backend.read("s", limit=ALL)
    assert server.calls == {"SortedSetPut": 1, "SortedSetFetch": 1}


async def test_the_sdk_does_not_log_what_the_core_tells(
    server: MomentoServer, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Once an outage and not once a call; what others do with the SDK is logged as ever."""
    backend = make()
    server.orders.give(UNAVAILABLE, times=100)
    with pytest.raises(BackendUnavailable):
        backend.append({f"s{number}": messages(1) for number in range(50)})
    with pytest.raises(BackendUnavailable):
        await backend.aread("s", limit=1)
    server.orders.clear()
    assert not [record for record in caplog.records if record.name == "momentosdk"]
    client_of(server).list_fetch("nowhere", "l")
    assert [record for record in caplog.records if record.name == "momentosdk"]


async def test_a_lost_reply_is_waited_for_within_the_deadline(
    server: MomentoServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads, async reads and writes each have one; the write was applied, and comes again harmlessly."""
    monkeypatch.setattr(momento_clients, "READ_TIMEOUT_S", 0.2)
    monkeypatch.setattr(momento_clients, "WRITE_TIMEOUT_S", 0.3)
    backend = make()
    backend.append({"s": messages(1)})
    server.orders.give(SILENCE, when="after", times=3)
    with pytest.raises(BackendUnavailable, match="no answer in time"):
        backend.append({"s": messages(2)})
    with pytest.raises(BackendUnavailable, match="no answer in time"):
        backend.read("s", limit=ALL)
    with pytest.raises(BackendUnavailable, match="no answer in time"):
        await backend.aread("s", limit=ALL)
    assert backend.append({"s": messages(2)}) == {}
    assert backend.read("s", limit=ALL) == messages(2) == await backend.aread("s", limit=ALL)


async def test_a_server_that_was_away_is_used_at_once_when_it_is_back(server: MomentoServer, make: Make) -> None:
    """However often it was asked meanwhile: nobody waits for gRPC to try again by itself."""
    backend = make()
    backend.append({"s": messages(1)})
    await backend.aread("s", limit=1)
    server.stop()
    for _ in range(12):
        with pytest.raises(BackendUnavailable):
            backend.append({"s": messages(2)})
        with pytest.raises(BackendUnavailable):
            await backend.aread("s", limit=1)
    server.start()
    assert backend.append({"s": messages(2)}) == {}
    assert await backend.aread("s", limit=ALL) == messages(2) == backend.read("s", limit=ALL)


def test_an_event_over_the_limit_of_an_element_is_rejected_and_the_rest_is_not(make: Make) -> None:
    """Only its session says so."""
    poison = said(eid(NOON_MS), "x" * ELEMENT_BYTES_MAX)
    backend = make()
    failed = backend.append({"a": messages(1), "bad": [poison], "b": messages(1)})
    assert {session: type(error) for session, error in failed.items()} == {"bad": EventRejected}
    assert "x" * 100 not in str(failed["bad"])
    assert backend.read("a", limit=ALL) == backend.read("b", limit=ALL) == messages(1)


def test_such_an_event_is_a_dead_letter_and_its_session_goes_on(make: Make, tmp_path: Path) -> None:
    """It is told at once, not tried for ever, and is still in `messages`."""
    with eventlog.open(make(), journal=tmp_path / "j") as log:
        chat = log.history("s")
        chat.add("before")
        chat.add("x" * ELEMENT_BYTES_MAX)
        chat.add("after")
        assert not log.flush(20)
        assert log.status().backends["momento"].dead_letters == 1
        assert list(chat.messages()) == ["before", "x" * ELEMENT_BYTES_MAX, "after"]


def test_the_rate_of_the_account_is_an_outage_and_no_poison(server: MomentoServer, make: Make, tmp_path: Path) -> None:
    """What it lets through is kept, the rest waits."""
    server.calls_max = 5
    with eventlog.open(make(), journal=tmp_path / "j") as log:
        for number in range(20):
            log.history(f"s{number}").add(number)
        while "over a limit" not in (log.status().backends["momento"].last_error or ""):
            assert not log.flush(0.05)
        server.calls_max = None
        assert log.flush(20)
        assert log.status().backends["momento"].dead_letters == 0
        assert [log.history(f"s{number}").messages()[0] for number in range(20)] == list(range(20))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"key": "another"}, "wrong API key"),
        ({"cache": "nowhere"}, "no such cache"),
        ({"longest_ttl": timedelta(hours=25)}, "refused"),
    ],
)
def test_what_is_wrong_with_the_store_as_a_whole_is_told_of_it(
    make: Make, options: dict[str, object], words: str
) -> None:
    """A person can mend it; no event is to blame, and the key is in no word of it."""
    backend = make(**options)
    with pytest.raises(BackendUnavailable, match=words) as caught:
        backend.append({"a": messages(1)})
    assert not isinstance(caught.value, SessionUnavailable)
    assert "another" not in str(caught.value)


def test_a_key_of_another_type_fails_alone(server: MomentoServer, make: Make) -> None:
    """`append` names the session and stores the rest; a read of it is unavailable, others are not."""
    client_of(server).list_push_back(CACHE, segment_key("bad", 0), "somebody's list")
    backend = make()
    failed = backend.append({"a": messages(1), "bad": messages(1)})
    assert {session: type(error) for session, error in failed.items()} == {"bad": SessionUnavailable}
    assert backend.read("a", limit=ALL) == messages(1)
    with pytest.raises(SessionUnavailable):
        backend.read("bad", limit=ALL)


async def test_a_cache_is_made_where_that_is_wanted(server: MomentoServer, make: Make) -> None:
    """At the first call, whichever it is, and although several meet at once what is not there."""
    assert make(cache="new", create=True).append({f"s{number}": messages(1) for number in range(50)}) == {}
    assert make(cache="read", create=True).read("s", limit=1) == []
    assert await make(cache="aread", create=True).aread("s", limit=1) == []
    assert set(server.caches) == {CACHE, "new", "read", "aread"}
