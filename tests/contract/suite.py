"""What every backend must do, whatever it is built on. A new one inherits this and adds only what is its own.

A subclass gives the fixture `backend`, an empty store. `ServerContract` is for those that can be away; it asks for
the fixture `unreachable` too: a backend whose server is not there and whose password is `PASSWORD`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.errors import BackendUnavailable
from eventlog.ports import Backend
from eventlog.projections.messages import merge
from tests.core.examples import examples
from tests.core.records import NOON_MS, cut, eid, fixed, said, sliding

PASSWORD = "s3cret-pa55word"  # noqa: S105 - it opens nothing
ALL = 100_000
ODD_SESSIONS = [
    "{}",
    "{a}b",
    "}{",
    "a}:e",
    "%7B",
    "%",
    "100%25",
    "*",
    "a*",
    "a?c",
    "[ab]",
    "back\\slash",
    "nul\0inside",
    "\0",
    "new\nline",
    " ",
    "a b",
    "'quoted' \"twice\" --; DROP TABLE events",
    "\U0001f600 emoji \U0001f600",
    "e\u0301 and \u00e9",
    "x" * 1024,
    "\u00e9" * 512,
    "eventlog:{x}:e",
    "a/b",
    "../up",
]
_numbers = count()


def fresh() -> str:
    """Give a session that no other example has."""
    return f"session-{next(_numbers)}"


def messages(number: int, start: int = 0) -> list[bytes]:
    """Give that many messages, one a millisecond."""
    return [said(eid(NOON_MS + n), {"role": "user", "content": f"text {n}"}) for n in range(start, start + number)]


async def everything(backend: Backend, session: str) -> list[bytes]:
    """Read a whole session both ways."""
    found = backend.read(session, limit=ALL)
    assert await backend.aread(session, limit=ALL) == found
    return found


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[bytes], list[list[bytes]]]:
    """Draw records of every kind, and batches that bring each of them once or more, in any order."""
    makers = [said, cut, lambda ids, text: fixed(ids, text, 60_000), lambda ids, text: sliding(ids, text, 60_000)]
    kinds = draw(st.lists(st.integers(0, 3), min_size=1, max_size=8))
    ids = [eid(NOON_MS + number) for number in range(len(kinds))]
    records = [cut(ids[n]) if kind == 1 else makers[kind](ids[n], n) for n, kind in enumerate(kinds)]  # type: ignore[operator]
    again = draw(st.lists(st.sampled_from(records), max_size=6))
    order = draw(st.permutations(records + again))
    size = draw(st.integers(1, 4))
    return records, [list(order[at : at + size]) for at in range(0, len(order), size)]


class BackendContract:
    """The laws of `ports.Backend`."""

    message_bytes = 1 << 20
    """The largest message that every journal may bring."""

    def test_it_is_a_backend(self, backend: Backend) -> None:
        """It has all that the port names."""
        assert isinstance(backend, Backend)
        assert backend.identity.startswith(f"{backend.scheme}:")
        assert backend.page_events > 0

    def test_its_identity_has_no_credentials(self, backend: Backend) -> None:
        """It stands in file names, logs and the status."""
        assert PASSWORD not in backend.identity
        assert "@" not in backend.identity

    async def test_a_session_that_nobody_wrote_is_empty(self, backend: Backend) -> None:
        """Not an error."""
        assert await everything(backend, "nobody") == []
        assert backend.read("nobody", before=eid(NOON_MS), limit=5) == []
        assert list(backend.sessions()) == []

    async def test_what_was_appended_reads_back_byte_for_byte(self, backend: Backend) -> None:
        """Kinds and bodies that nobody can read are kept as they came."""
        bodies = [b"\x01\x63later", b"\xff\xff", *(b"\x01" + bytes([kind]) + b"\xc1\0" for kind in (1, 2, 3, 16))]
        records = messages(3) + [eid(NOON_MS + 100 + number) + body for number, body in enumerate(bodies)]
        assert backend.append({"s": records}) == {}
        assert await everything(backend, "s") == records

    @given(deliveries())
    @examples(25)
    def test_append_is_idempotent_in_any_order(
        self, backend: Backend, drawn: tuple[list[bytes], list[list[bytes]]]
    ) -> None:
        """Whatever comes again, late or in another batch: each event is there once, in the order of ids."""
        records, batches = drawn
        session = fresh()
        for batch in batches:
            assert backend.append({session: batch}) == {}
        assert backend.read(session, limit=ALL) == records

    async def test_of_two_bodies_under_one_id_the_larger_is_read(self, backend: Backend) -> None:
        """In whichever order they came; a store that keeps both gives both, and the merge decides."""
        small, large = sorted([said(eid(NOON_MS), "a"), said(eid(NOON_MS), "b")])
        for session, order in (("up", [small, large]), ("down", [large, small])):
            for record in order:
                backend.append({session: [record]})
            assert merge(await everything(backend, session)) == [large]

    def test_pages_are_exact(self, backend: Backend) -> None:
        """The newest `limit` below `before`, ascending, for every bound there is, met or not."""
        records = [said(eid(NOON_MS + 2 * number), number) for number in range(7)]
        records[2], records[4] = cut(records[2][:16]), fixed(records[4][:16], "x", 60_000)
        backend.append({"s": records[::-1]})
        bounds = [None, *(bytes(eid(NOON_MS + number)) for number in range(-1, 15)), b"\xff" * 16, b"\0" * 16]
        for before in bounds:
            below = [record for record in records if before is None or record[:16] < before]
            for limit in (1, 2, 3, 6, 7, 8, ALL):
                assert backend.read("s", before=before, limit=limit) == below[-limit:]

    async def test_an_async_page_is_the_same_page(self, backend: Backend) -> None:
        """Bounds and limits too."""
        backend.append({"s": messages(9)})
        for before in (None, bytes(eid(NOON_MS + 4)), b"\0" * 16):
            for limit in (1, 3, ALL):
                page = await backend.aread("s", before=before, limit=limit)
                assert page == backend.read("s", before=before, limit=limit)

    async def test_any_session_id_is_a_session_of_its_own(self, backend: Backend) -> None:
        """Braces, percent signs, globs, NUL, newlines, emoji, quotes, 1,024 bytes: none meets another."""
        wanted = {name: messages(1, start=number) for number, name in enumerate(ODD_SESSIONS)}
        assert backend.append(wanted) == {}
        for name, records in wanted.items():
            assert await everything(backend, name) == records
        assert sorted(backend.sessions()) == sorted(ODD_SESSIONS)

    def test_sessions_are_found_by_any_prefix(self, backend: Backend) -> None:
        """Each once, by the letters and not by a pattern; events of any kind count."""
        kinds = [said(eid(NOON_MS), "a"), cut(eid(NOON_MS + 1)), fixed(eid(NOON_MS + 2), "b", 60_000)]
        for number, name in enumerate(ODD_SESSIONS):
            backend.append({name: kinds if number % 2 else kinds[number % 3 : number % 3 + 1]})
        for prefix in ["", *ODD_SESSIONS, *(name[:1] for name in ODD_SESSIONS), "nothing"]:
            found = list(backend.sessions(prefix))
            assert sorted(found) == sorted(name for name in ODD_SESSIONS if name.startswith(prefix)), prefix

    async def test_remove_takes_what_is_below_and_nothing_else(self, backend: Backend) -> None:
        """Every kind; the cut itself, what is above and other sessions stay; twice is as once."""
        records = messages(3)
        records += [fixed(eid(NOON_MS + 3), "x", 60_000), cut(eid(NOON_MS + 4), history_ttl_ms=60_000)]
        records += [cut(eid(NOON_MS + 5)), said(eid(NOON_MS + 6), "y"), fixed(eid(NOON_MS + 7), "z", 60_000)]
        backend.append({"s": records, "other": records})
        for _ in range(2):
            backend.remove("s", records[5][:16])
            assert await everything(backend, "s") == records[5:]
        backend.remove("nobody", records[5][:16])
        assert await everything(backend, "other") == records

    async def test_discard_takes_just_what_it_is_given(self, backend: Backend) -> None:
        """By id, of every kind; what is not there is not missed; the rest and other sessions stay."""
        records = [*messages(3), fixed(eid(NOON_MS + 3), "x", 60_000), cut(eid(NOON_MS + 4))]
        records += [cut(eid(NOON_MS + 5), history_ttl_ms=60_000), sliding(eid(NOON_MS + 6), "y", 60_000)]
        backend.append({"s": records, "other": records})
        for _ in range(2):
            backend.discard("s", records[1::2])
            assert await everything(backend, "s") == records[0::2]
        backend.discard("nobody", records)
        backend.discard("s", [])
        assert await everything(backend, "other") == records
        backend.discard("other", records)
        assert list(backend.sessions()) == ["s"]

    def test_the_newest_cut_of_each_session_is_found(self, backend: Backend) -> None:
        """Its record, whether it expires or not, wherever it lies; sessions without one are left out."""
        first, second = cut(eid(NOON_MS + 1)), cut(eid(NOON_MS + 3), history_ttl_ms=60_000)
        last = cut(eid(NOON_MS + 5))
        others = [*messages(1), fixed(eid(NOON_MS + 4), "x", 60_000), sliding(eid(NOON_MS + 7), "y", 60_000)]
        backend.append({"one": [first, *others], "two": [first, second, *others], "three": [second, last, *others]})
        backend.append({"none": others})
        assert backend.cuts(["one", "two", "three", "none", "nobody"]) == {"one": first, "two": second, "three": last}
        assert backend.cuts(["two", *ODD_SESSIONS]) == {"two": second}
        assert backend.cuts([]) == {}

    def test_a_session_without_events_is_none(self, backend: Backend) -> None:
        """Once all of it is removed it is not listed."""
        backend.append({"gone": messages(2), "here": messages(1)})
        backend.remove("gone", b"\xff" * 16)
        assert list(backend.sessions()) == ["here"]
        assert backend.read("gone", limit=ALL) == []

    async def test_a_removed_event_may_come_again(self, backend: Backend) -> None:
        """A late redelivery is hidden by the cut, which stays, and is removed with the next one."""
        records = [*messages(2), cut(eid(NOON_MS + 5))]
        backend.append({"s": records})
        backend.remove("s", records[2][:16])
        backend.append({"s": records[:1]})
        assert (await everything(backend, "s"))[-1] == records[2]
        backend.remove("s", records[2][:16])
        assert await everything(backend, "s") == records[2:]

    async def test_a_large_message_is_kept(self, backend: Backend) -> None:
        """As large as the store may be asked to take, with any bytes in it."""
        text = (bytes(range(256)) * (self.message_bytes // 256))[: self.message_bytes - 200]
        records = [said(eid(NOON_MS), text), *messages(1, start=1)]
        assert backend.append({"s": records}) == {}
        assert await everything(backend, "s") == records

    def test_a_large_batch_over_many_sessions_is_kept(self, backend: Backend) -> None:
        """As many events as one delivery may bring."""
        wanted = {f"s{number}": messages(1 + number % 4, start=number) for number in range(1500)}
        assert backend.append(wanted) == {}
        assert sorted(backend.sessions()) == sorted(wanted)
        for name in list(wanted)[::97]:
            assert backend.read(name, limit=ALL) == wanted[name]

    async def test_a_long_session_is_read_page_by_page(self, backend: Backend) -> None:
        """Pages of any size fit together without a gap and without a double."""
        records = messages(3000)
        backend.append({"s": records})
        for size in (700, 4096):
            found, before = list[bytes](), None
            while page := await backend.aread("s", before=before, limit=size):
                found, before = page + found, page[0][:16]
            assert found == records

    async def test_events_that_expire_do_not_take_others_along(self, backend: Backend) -> None:
        """A session may hold messages that stay, that go, and cuts, in one batch or many."""
        kinds = [
            said(eid(NOON_MS), "stays"),
            fixed(eid(NOON_MS + 1), "goes", 60_000),
            sliding(eid(NOON_MS + 2), "slides", 60_000),
            cut(eid(NOON_MS + 3)),
            cut(eid(NOON_MS + 4), history_ttl_ms=60_000),
        ]
        backend.append({"one": kinds})
        for record in kinds:
            backend.append({"many": [record]})
        assert await everything(backend, "one") == kinds == await everything(backend, "many")

    async def test_threads_share_it(self, backend: Backend) -> None:
        """Delivery and reads come from threads of their own at once."""
        faults: list[BaseException] = []

        def work(name: str) -> None:
            try:
                for start in range(0, 100, 5):
                    backend.append({name: messages(5, start=start)})
                    assert len(backend.read(name, limit=ALL)) == start + 5
            except BaseException as error:  # noqa: BLE001 - told below
                faults.append(error)

        threads = [Thread(target=work, args=(f"s{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []
        assert await everything(backend, "s0") == messages(100)

    async def test_after_a_fork_it_opens_its_own_connections(self, backend: Backend) -> None:
        """What was inherited is forgotten, the data are not."""
        backend.append({"s": messages(2)})
        await backend.aread("s", limit=1)
        backend.after_fork()
        backend.append({"s": messages(3)})
        assert await everything(backend, "s") == messages(3)

    async def test_closing_twice_is_harmless(self, backend: Backend) -> None:
        """And so is closing what was never used."""
        backend.close()
        backend.close()
        backend.append({"s": messages(1)})
        await backend.aread("s", limit=1)
        backend.close()
        backend.close()


class ServerContract(BackendContract):
    """The laws of a backend whose server may be away."""

    async def test_a_server_that_is_away_is_unavailable_and_no_secret_is_told(self, unreachable: Backend) -> None:
        """Every call says so with the one error that means: try again. Being made is no error."""
        calls: Sequence[object] = [
            lambda: unreachable.append({"s": messages(1)}),
            lambda: unreachable.read("s", limit=1),
            lambda: list(unreachable.sessions()),
            lambda: unreachable.remove("s", eid(NOON_MS)),
            lambda: unreachable.discard("s", messages(1)),
            lambda: unreachable.cuts(["s"]),
        ]
        told = [str(unreachable.identity)]
        for call in calls:
            with pytest.raises(BackendUnavailable) as caught:
                call()  # type: ignore[operator]
            told.append(str(caught.value))
        with pytest.raises(BackendUnavailable) as caught:
            await unreachable.aread("s", limit=1)
        told += [str(caught.value), repr(caught.value)]
        assert all(unreachable.identity in text for text in told)
        assert not any(PASSWORD in text for text in told)
        unreachable.close()
