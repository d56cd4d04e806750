"""What Redis does beyond the contract: keys, their TTLs, and failures of single keys. For real servers and fakes."""

from __future__ import annotations

from itertools import permutations
from time import time_ns

import pytest
import redis

from eventlog.adapters.redis import GRACE_MAX_MS, GRACE_MIN_MS, MARKER_MS, RedisBackend
from eventlog.errors import SessionUnavailable
from tests.contract.suite import ALL, ODD_SESSIONS, ServerContract, messages
from tests.core.records import NOON_MS, cut, eid, fixed, said, sliding

SLACK_MS = 30_000
HOUR_MS = 3_600_000


class RedisLaws(ServerContract):
    """A subclass gives the fixtures `client`, `backend` and `unreachable`."""

    def ttls(self, client: redis.Redis, session: str = "s") -> dict[str, int]:
        """Give the TTL in ms of each of a session's keys, by its last letter; -1 is: never expires."""
        return {key[-1:].decode(): client.pttl(key) for key in client.scan_iter(f"eventlog:{{{session}}}:*")}

    def test_what_stays_and_what_goes_have_keys_of_their_own(self, client: redis.Redis, backend: RedisBackend) -> None:
        """A key's TTL takes all of it, so no key that never expires gets one."""
        now_ms = time_ns() // 1_000_000
        records = [said(eid(now_ms), "a"), fixed(eid(now_ms, 1), "b", HOUR_MS), sliding(eid(now_ms, 2), "c", HOUR_MS)]
        records += [cut(eid(now_ms, 3)), cut(eid(now_ms, 4), history_ttl_ms=HOUR_MS)]
        backend.append({"s": records})
        found = self.ttls(client)
        assert set(found) == {"e", "x", "m", "n"}
        assert found["e"] == found["m"] == -1
        assert abs(found["x"] - 2 * HOUR_MS) < SLACK_MS, "the TTL and as much grace"
        assert abs(found["n"] - (MARKER_MS + HOUR_MS)) < SLACK_MS, "a marker outlives all that it can hide"
        backend.append({"s": [said(eid(now_ms, 5), "d"), fixed(eid(now_ms, 6), "e", 1)]})
        assert self.ttls(client)["e"] == -1

    @pytest.mark.parametrize(
        ("ttl_ms", "grace_ms"),
        [(1, GRACE_MIN_MS), (120_000, 120_000), (GRACE_MAX_MS, GRACE_MAX_MS), (90 * GRACE_MAX_MS, GRACE_MAX_MS)],
    )
    def test_the_grace_is_the_ttl_within_bounds(
        self, client: redis.Redis, backend: RedisBackend, ttl_ms: int, grace_ms: int
    ) -> None:
        """At least a minute, at most a day, so that the fold decides and never the store."""
        backend.append({"s": [fixed(eid(time_ns() // 1_000_000), "x", ttl_ms)]})
        assert abs(self.ttls(client)["x"] - ttl_ms - grace_ms) < SLACK_MS

    def test_a_late_delivery_has_its_grace_from_now(self, client: redis.Redis, backend: RedisBackend) -> None:
        """What was long expired when it came stays readable for the grace, and takes nothing along."""
        backend.append({"s": [fixed(eid(NOON_MS), "x", 1000)]})
        assert abs(self.ttls(client)["x"] - GRACE_MIN_MS) < SLACK_MS
        assert len(backend.read("s", limit=ALL)) == 1

    def test_any_order_of_deliveries_gives_one_deadline(self, client: redis.Redis, backend: RedisBackend) -> None:
        """The latest, with every batch delivered twice."""
        now_ms = time_ns() // 1_000_000
        records = [fixed(eid(now_ms, number), "x", ttl_ms) for number, ttl_ms in enumerate((1000, HOUR_MS, 60_000))]
        for number, order in enumerate(permutations(records)):
            for record in (*order, *order):
                backend.append({f"s{number}": [record]})
            assert abs(self.ttls(client, f"s{number}")["x"] - 2 * HOUR_MS) < SLACK_MS

    def test_later_writes_renew_a_marker(self, client: redis.Redis, backend: RedisBackend) -> None:
        """A clear of a history with a TTL lives as long as anything it could hide may come."""
        now_ms = time_ns() // 1_000_000
        backend.append({"s": [cut(eid(now_ms), history_ttl_ms=HOUR_MS)]})
        backend.append({"s": [fixed(eid(now_ms, 1), "x", 10 * HOUR_MS)]})
        assert abs(self.ttls(client)["n"] - (MARKER_MS + 10 * HOUR_MS)) < SLACK_MS

    def test_all_keys_of_a_session_are_in_one_slot(self, client: redis.Redis, backend: RedisBackend) -> None:
        """A cluster takes the part in the first braces: it is the escaped id, whatever the id holds."""
        for number, name in enumerate(ODD_SESSIONS):
            kinds = [said(eid(NOON_MS), "a"), cut(eid(NOON_MS, 1)), fixed(eid(NOON_MS, 2), "b", HOUR_MS)]
            backend.append({name: kinds})
            keys = {bytes(key) for key in client.scan_iter()}
            tags = {key[key.index(b"{") + 1 : key.index(b"}")] for key in keys}
            assert (len(keys), len(tags)) == (3 * (number + 1), number + 1)

    def test_nothing_but_our_keys_is_written(self, client: redis.Redis, backend: RedisBackend) -> None:
        """Whatever else lies in the database is left alone, and is no session."""
        client.rpush("message_store:s", "old")
        client.set("eventlog:other", "x")
        client.set("eventlog:{half", "x")
        backend.append({"s": messages(2)})
        backend.remove("s", messages(2)[1][:16])
        assert sorted(client.keys()) == [b"eventlog:other", b"eventlog:{half", b"eventlog:{s}:e", b"message_store:s"]
        assert list(backend.sessions()) == ["s"]

    async def test_a_key_of_another_type_fails_alone(self, client: redis.Redis, backend: RedisBackend) -> None:
        """`append` names the session and stores the rest; a read of it is unavailable, others are not."""
        client.rpush("eventlog:{bad}:e", "somebody's list")
        failed = backend.append({"a": messages(1), "bad": messages(1), "b": messages(1)})
        assert set(failed) == {"bad"}
        assert isinstance(failed["bad"], SessionUnavailable)
        assert backend.read("a", limit=ALL) == backend.read("b", limit=ALL) == messages(1)
        with pytest.raises(SessionUnavailable):
            backend.read("bad", limit=ALL)
        with pytest.raises(SessionUnavailable):
            await backend.aread("bad", limit=ALL)
        assert client.lrange("eventlog:{bad}:e", 0, -1) == [b"somebody's list"]

    def test_the_client_that_was_given_stays_its_owners(self, client: redis.Redis, backend: RedisBackend) -> None:
        """Closing the backend does not close it, and its options do not change what is read."""
        backend.append({"s": messages(1)})
        backend.close()
        assert client.ping()
        assert backend.read("s", limit=ALL) == messages(1)
