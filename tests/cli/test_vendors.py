"""The command line over Momento and Rockset: a load through an outage, and the way out of both."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import pytest

import eventlog
from eventlog.adapters import from_url
from eventlog.adapters.momento_keys import EVENTS, MARKS
from eventlog.adapters.rockset_rows import record_of
from eventlog.codec import decode
from eventlog.events import MessageAdded
from eventlog.ports import Backend
from tests.cli.running import COMMAND, Eventlog, as_lines, environment
from tests.core.tools import eventually
from tests.servers.momento import MomentoServer, running_momento
from tests.servers.rockset import RocksetServer, running_rockset

KEY = "an-api-key-that-nobody-sees"
PLACE = "chats"
TALKS = [(f"s{number}", [f"{number}:{at} " + "x" * 400 for at in range(120)]) for number in range(60)]
_PAGE = 50


class Vendor(NamedTuple):
    """A running server, its URL, and which of its calls bring events."""

    server: MomentoServer | RocksetServer
    url: str
    write_call: str

    def held(self) -> list[tuple[str, bytes]]:
        """Give every record that the server itself holds, with its session, in the order of ids."""
        if isinstance(self.server, RocksetServer):
            rows = self.server.collections["commons", PLACE].seen().rows({})
            return sorted((row["session"], record_of(row["record"])) for row in rows)
        cache = self.server.caches[PLACE]
        found = list[tuple[str, bytes]]()
        for name in cache.names():
            _, number, session = name.decode().split(":", 2)
            held = cache.sorted_set(name) if number.isdigit() else None
            elements = held.by_score(EVENTS, MARKS - 1024, 0, -1, descending=False) if held is not None else []
            found += [(session, record) for _, record in elements]
        return sorted(found)

    def texts(self) -> list[tuple[str, list[Any]]]:
        """Give the messages that the server itself holds."""
        talks: dict[str, list[Any]] = {}
        for session, record in self.held():
            event = decode(record)
            if isinstance(event, MessageAdded):
                talks.setdefault(session, []).append(event.message)
        return sorted(talks.items())


@pytest.fixture(params=["momento", "rockset"])
def vendor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    """Give a server of each, with the key to it in the environment."""
    monkeypatch.setenv("MOMENTO_API_KEY", KEY)
    monkeypatch.setenv("ROCKSET_API_KEY", KEY)
    if request.param == "momento":
        running: AbstractContextManager[Any] = running_momento(PLACE, api_key=KEY)
    else:
        running = running_rockset(PLACE, api_key=KEY)
    with running as server:
        if request.param == "momento":
            yield Vendor(server, f"momento://{PLACE}?endpoint=127.0.0.1:{server.port}", "SortedSetPut")
        else:
            yield Vendor(server, f"rockset://127.0.0.1:{server.port}/commons/{PLACE}?tls=false", "add")


def test_a_load_goes_through_an_outage_with_nothing_lost_or_doubled(run: Eventlog, vendor: Vendor) -> None:
    """In the server's own state, in order; the key is in no word that is said."""
    words = [*COMMAND, "load", "-", "--to", vendor.url]
    with subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=run.folder,
        env=environment(),
    ) as load:
        assert load.stdin is not None
        assert load.stderr is not None
        load.stdin.write(as_lines(TALKS[:20]))
        load.stdin.flush()
        eventually(lambda: vendor.server.calls[vendor.write_call] > 0)
        vendor.server.stop()
        load.stdin.write(as_lines(TALKS[20:]))
        load.stdin.flush()
        said = next(line for line in load.stderr if b"waits: " in line)
        vendor.server.start()
        out, err = load.communicate(timeout=50)
    assert load.returncode == 0, err
    assert f"loaded and delivered {len(TALKS)} sessions".encode() in out
    assert vendor.texts() == sorted(TALKS)
    assert KEY.encode() not in out + err + said


def test_a_program_that_just_ends_has_delivered(run: Eventlog, vendor: Vendor) -> None:
    """At its end, without a flush: the SDK's threads are there still."""
    program = "import sys, eventlog; eventlog.open(sys.argv[1]).history('s').add('last words')"
    words = [COMMAND[0], "-c", program, vendor.url]
    done = subprocess.run(words, cwd=run.folder, env=environment(), capture_output=True, timeout=50, check=False)
    assert (done.returncode, done.stderr.count(b"Traceback")) == (0, 0), done.stderr
    assert vendor.texts() == [("s", ["last words"])]


def test_every_command_works_on_it(run: Eventlog, vendor: Vendor) -> None:
    """What was loaded is listed, read, told of, erased."""
    assert run("load", "-", "--to", vendor.url, stdin=as_lines(TALKS[:3])).returncode == 0
    assert run("sessions", "--url", vendor.url).stdout == "s0\ns1\ns2\n"
    assert run.json("messages", "s1", "--url", vendor.url) == TALKS[1][1]
    assert run.json("messages", "s1", "--last", "2", "--url", vendor.url) == TALKS[1][1][-2:]
    assert "note" in run("status", "--url", vendor.url).stdout
    assert run("erase", "s1", "--yes", "--url", vendor.url).returncode == 0
    assert run("messages", "s1", "--url", vendor.url).stdout == ""
    assert [session for session, _ in vendor.texts()] == ["s0", "s2"]


def test_nobody_is_locked_in(run: Eventlog, vendor: Vendor) -> None:
    """What it holds is read page by page and appended to SQLite: the same events, byte for byte."""
    assert run("load", "-", "--to", vendor.url, stdin=as_lines(TALKS[:5])).returncode == 0
    here, there = from_url(vendor.url), from_url(f"sqlite:///{run.folder}/out.db")
    for session in here.sessions():
        _copy(session, here, there)
    assert [(session, record) for session in there.sessions() for record in there.read(session, limit=10_000)] == (
        vendor.held()
    )
    there.close()
    here.close()
    with eventlog.open(f"sqlite:///{run.folder}/out.db", strict_reads=True) as log:
        assert [(session, list(log.history(session).messages())) for session in log.sessions()] == TALKS[:5]


def _copy(session: str, here: Backend, there: Backend) -> None:
    before = None
    while page := here.read(session, before=before, limit=_PAGE):
        assert there.append({session: page}) == {}
        before = page[0][:16]
