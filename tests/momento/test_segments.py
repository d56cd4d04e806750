"""A session that outgrows an item of the cache is split, and nobody who reads it can tell."""

from __future__ import annotations

from datetime import timedelta

import pytest

from eventlog.adapters.momento import LONGEST_TTL, MomentoBackend
from eventlog.adapters.momento_keys import FREE_BYTES, SEGMENT_BYTES_MAX, events, segment_key
from tests.contract.suite import ALL, messages
from tests.core.records import NOON_MS, cut, eid, said
from tests.momento.conftest import CACHE, KEY, Make, client_of, credentials_of
from tests.servers.momento import MomentoServer, running_momento
from tests.servers.momento_store import ITEM_BYTES_MAX, Limits

KIB = 1 << 10


def heavy(number: int, start: int = 0, size_bytes: int = 10 * KIB) -> list[bytes]:
    """Give that many messages of a size."""
    return [said(eid(NOON_MS + at), f"{at}:" + "x" * size_bytes) for at in range(start, start + number)]


def sizes(server: MomentoServer, session: str = "s") -> list[int]:
    """Give the bytes of a session's segments."""
    cache, found = server.caches[CACHE], list[int]()
    while (held := cache.sorted_set(segment_key(session, len(found)).encode())) is not None:
        found.append(held.size_bytes)
    return found


def test_a_short_session_costs_one_write_call_a_batch_and_one_read_call_a_page(
    server: MomentoServer, make: Make
) -> None:
    """However many events the batch has; sessions are listed once."""
    backend = make()
    backend.append({"a": messages(1), "b": messages(1)})
    for start in range(0, 100, 10):
        server.calls.clear()
        assert backend.append({"a": messages(10, start=start), "b": messages(10, start=start)}) == {}
        assert server.calls == {"SortedSetPut": 2}
    server.calls.clear()
    assert backend.read("a", limit=ALL) == messages(100)
    assert server.calls == {"SortedSetFetch": 1}


async def test_a_long_session_is_split_and_read_as_one(server: MomentoServer, make: Make) -> None:
    """Each part is far from the service's limit and from what a reply can hold."""
    records = heavy(600)
    writer = make()
    for start in range(0, 600, 25):
        assert writer.append({"s": records[start : start + 25]}) == {}
    assert len(sizes(server)) >= 6
    assert max(sizes(server)) < SEGMENT_BYTES_MAX + FREE_BYTES + 30 * KIB
    for reader in (writer, make()):
        assert reader.read("s", limit=ALL) == records == await reader.aread("s", limit=ALL)
        for before in (None, *(record[:16] for record in records[::97])):
            below = [record for record in records if before is None or record[:16] < before]
            for limit in (1, 20, 300):
                page = reader.read("s", before=before, limit=limit)
                assert page == below[-limit:] == await reader.aread("s", before=before, limit=limit)


def test_writers_that_do_not_know_of_each_other_share_a_long_session(server: MomentoServer, make: Make) -> None:
    """One of them is behind, and one begins afresh: all that they write is read, each event once."""
    first, behind = make(), make()
    records = heavy(500)
    behind.append({"s": records[:1]})
    first.append({"s": records[1:400]})
    behind.append({"s": records[400:410]})
    make().append({"s": [*records[390:420]]})
    behind.append({"s": records[405:500]})
    assert make().read("s", limit=ALL) == records
    assert max(sizes(server)) < 2 * SEGMENT_BYTES_MAX


def test_a_segment_that_is_full_before_its_count_says_so_is_left() -> None:
    """Many short-lived processes count nothing: the service's own limit is met, and nothing is lost by it."""
    with running_momento(CACHE, api_key=KEY, limits=Limits(item_bytes=300 * KIB)) as server:
        records = heavy(100)
        for start in range(0, 100, 5):
            backend = _fresh(server)
            assert backend.append({"s": records[start : start + 5]}) == {}
            backend.close()
        assert len(sizes(server)) >= 4
        backend = _fresh(server)
        assert backend.read("s", limit=ALL) == records
        backend.close()


def _fresh(server: MomentoServer) -> MomentoBackend:
    return MomentoBackend(credentials_of(server), CACHE)


async def test_what_no_reply_can_hold_is_read_in_several() -> None:
    """A segment may be larger than the client takes at once; never is half of it taken for all."""
    with running_momento(CACHE, api_key=KEY, limits=Limits(item_bytes=4 * ITEM_BYTES_MAX)) as large:
        records = heavy(120, size_bytes=100 * KIB)
        client = client_of(large)
        for start in range(0, 120, 20):
            client.sorted_set_put_elements(CACHE, segment_key("s", 0), events(records[start : start + 20]))
        backend = _fresh(large)
        assert backend.read("s", limit=ALL) == records == await backend.aread("s", limit=ALL)
        backend.remove("s", records[100][:16])
        assert backend.read("s", limit=ALL) == records[100:]
        backend.close()


def test_removal_reaches_every_segment_and_the_list(make: Make) -> None:
    """Clears too, with what they are found by; a session of which nothing is left is listed no more."""
    backend = make()
    records = [*heavy(400), cut(eid(NOON_MS + 1000)), *heavy(3, start=2000)]
    backend.append({"s": records})
    assert backend.cuts(["s"]) == {"s": records[400]}
    backend.discard("s", [records[0], records[399], records[401]])
    assert backend.read("s", limit=ALL) == [*records[1:399], records[400], *records[402:]]
    backend.remove("s", b"\xff" * 16)
    assert (backend.read("s", limit=ALL), backend.cuts(["s"]), list(backend.sessions())) == ([], {}, [])


@pytest.fixture
def one_clock(server: MomentoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the adapter go by the server's clock."""
    monkeypatch.setattr("eventlog.adapters.momento.time", lambda: server.now_ms() / 1000)


@pytest.mark.usefixtures("one_clock")
def test_a_session_lives_as_long_as_the_service_allows_after_its_last_write(server: MomentoServer, make: Make) -> None:
    """Each write renews it; then it is gone as a whole, and from the list."""
    backend = make()
    backend.append({"s": messages(1), "other": messages(1)})
    server.advance(LONGEST_TTL - timedelta(minutes=5))
    backend.append({"s": messages(2)})
    server.advance(timedelta(minutes=10))
    assert backend.read("s", limit=ALL) == messages(2)
    assert list(backend.sessions()) == ["s"]
    server.advance(LONGEST_TTL)
    assert backend.read("s", limit=ALL) == []
    assert list(backend.sessions()) == []


@pytest.mark.usefixtures("one_clock")
def test_a_clear_never_goes_before_what_it_hides(server: MomentoServer, make: Make) -> None:
    """While later segments are written to, the first one, which has the clears, is renewed and outlives them."""
    backend = make()
    backend.append({"s": [*heavy(300), cut(eid(NOON_MS + 1000))]})
    cache = server.caches[CACHE]
    for number in range(30):
        server.advance(timedelta(hours=1, minutes=1))
        backend.append({"s": heavy(1, start=2000 + number)})
        ttls = {key: cache.ttl_ms(key) for key in cache.names() if key.endswith(b":s")}
        assert ttls.pop(segment_key("s", 0).encode()) > max(ttls.values()) + 1_800_000
    assert backend.cuts(["s"]) == {"s": cut(eid(NOON_MS + 1000))}


def test_an_account_with_longer_lives_is_used_to_the_full() -> None:
    """`longest_ttl` is what each write asks for; a server that does not grant it says what it expected."""
    limits = Limits(ttl_ms=7 * 24 * 3600 * 1000)
    with running_momento(CACHE, api_key=KEY, limits=limits) as generous:
        backend = MomentoBackend(credentials_of(generous), CACHE, longest_ttl=timedelta(days=7))
        backend.append({"s": messages(1)})
        assert generous.caches[CACHE].ttl_ms(segment_key("s", 0).encode()) > timedelta(days=6).total_seconds() * 1000
        backend.close()


def test_a_list_that_is_full_lets_go_of_sessions_that_are_gone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Events are stored all the same; who is listed no more for want of room is said."""
    with running_momento(CACHE, api_key=KEY, limits=Limits(item_bytes=4 * KIB)) as server:
        monkeypatch.setattr("eventlog.adapters.momento.time", lambda: server.now_ms() / 1000)
        backend = _fresh(server)
        for number in range(40):
            assert backend.append({f"{number}-{at}" + "x" * 200: messages(1) for at in range(20)}) == {}
            server.advance(timedelta(hours=5))
        now = [f"now-{at}" for at in range(20)]
        assert backend.append({name: messages(1) for name in now}) == {}
        assert set(now) <= set(backend.sessions())
        assert "is full" not in caplog.text
        assert backend.append({f"{at}" + "y" * 900: messages(1) for at in range(200)}) == {}
        assert "is full" in caplog.text
        assert backend.read("7" + "y" * 900, limit=ALL) == messages(1)
        backend.close()
