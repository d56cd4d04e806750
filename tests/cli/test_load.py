"""`eventlog load`: what goes in, and what a bad file gets to hear."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

import eventlog
from eventlog.settings import ADD_BYTES_MAX
from tests.cli.running import Eventlog, as_lines

TALKS: list[tuple[str, list[Any]]] = [
    ("one", [{"role": "user", "content": "ünï"}, {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}]),
    ("two", ["text", 5, 1.5, [None, True]]),
]
URL = "sqlite:///talks.db"


def _held(url: str, folder: Path) -> list[tuple[str, list[Any]]]:
    if url == URL:
        url = f"sqlite:///{folder}/talks.db"
    with eventlog.open(url, deliver=False, strict_reads=True) as log:
        return [(session, list(log.history(session).messages())) for session in log.sessions()]


def test_a_file_is_loaded_into_sqlite(run: Eventlog) -> None:
    """What was in the file is in the database, in order, and the summary counts it."""
    (run.folder / "talks.jsonl").write_bytes(as_lines(TALKS))
    done = run("load", "talks.jsonl", "--to", URL)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("loaded and delivered 2 sessions, 6 messages in ")
    assert _held(URL, run.folder) == TALKS


def test_a_file_is_loaded_into_redis(run: Eventlog, redis_url: str) -> None:
    """The same into a real server; $EVENTLOG_URL names it as --to does."""
    (run.folder / "talks.jsonl").write_bytes(as_lines(TALKS))
    assert run("load", "talks.jsonl", EVENTLOG_URL=redis_url).returncode == 0
    assert _held(redis_url, run.folder) == TALKS


def test_several_backends_get_all_of_it(run: Eventlog, redis_url: str) -> None:
    """--to may be repeated, and $EVENTLOG_URL may hold several URLs."""
    (run.folder / "talks.jsonl").write_bytes(as_lines(TALKS))
    assert run("load", "talks.jsonl", "--to", URL, "--to", redis_url).returncode == 0
    assert _held(URL, run.folder) == _held(redis_url, run.folder) == TALKS
    assert run("sessions", EVENTLOG_URL=f"{redis_url} {URL}").stdout == "one\ntwo\n"


@pytest.mark.parametrize("name", ["talks.jsonl.gz", "-"])
def test_gzip_is_known_by_its_bytes(run: Eventlog, name: str) -> None:
    """From a file or from stdin, whatever its name is; blank lines are passed over."""
    packed = gzip.compress(b"\n" + as_lines(TALKS) + b"\n")
    (run.folder / "talks.jsonl.gz").write_bytes(packed)
    assert run("load", name, "--to", URL, stdin=packed).returncode == 0
    assert _held(URL, run.folder) == TALKS


def test_the_summary_can_be_json(run: Eventlog) -> None:
    """Sessions, messages, seconds and the rate."""
    (run.folder / "talks.jsonl").write_bytes(as_lines(TALKS))
    (summary,) = run.json("load", "talks.jsonl", "--to", URL)
    assert (summary["sessions"], summary["messages"]) == (2, 6)
    assert summary["seconds"] > 0
    assert summary["messages_per_s"] > 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"secret", "JSON is malformed"),
        (b'{"session": "a", "messages": "secret"}', "Expected `array`, got `str` - at `$.messages`"),
        (b'{"messages": ["secret"]}', "missing required field `session`"),
        (b'{"session": "", "messages": ["secret"]}', "expected a session id of 1 to 1024 bytes, found 0"),
        (b'{"session": "a", "messages": ["secret\xff"]}', "expected UTF-8"),
        (b'{"session": "a", "messages": [99999999999999999999]}', "expected integers of at most 64 bits"),
        (b'{"session": "a", "messages": ' + b"[" * 9999 + b"]" * 9999 + b"}", "nested too deeply"),
    ],
)
def test_a_bad_line_is_told_by_its_number(run: Eventlog, line: bytes, said: str) -> None:
    """With what was expected and found and how much went in before it, in one line, without its text."""
    done = run("load", "-", "--to", URL, stdin=as_lines(TALKS) + line + b"\n" + as_lines(TALKS))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("eventlog: line 3: ")
    assert said in done.stderr
    assert done.stderr.endswith("; lines loaded: 2, messages: 6\n")
    assert "secret" not in done.stderr
    assert _held(URL, run.folder) == TALKS


def test_damaged_gzip_is_told(run: Eventlog) -> None:
    """A file that was cut off loads what is whole, says so, and fails."""
    packed = gzip.compress(as_lines(TALKS))[:-9]
    done = run("load", "-", "--to", URL, stdin=packed)
    assert done.returncode == 1
    assert "expected whole gzip data" in done.stderr


def test_a_line_over_the_limit_goes_in_pieces(run: Eventlog) -> None:
    """The messages of a long conversation may be more than one add call takes."""
    talk = [letter * (ADD_BYTES_MAX // 3) for letter in "abcdefg"]
    assert run("load", "-", "--to", URL, stdin=as_lines([("long", talk)])).returncode == 0
    assert _held(URL, run.folder) == [("long", talk)]


def test_a_message_over_the_limit_is_refused(run: Eventlog) -> None:
    """And nothing of its line goes in."""
    done = run("load", "-", "--to", URL, stdin=as_lines([*TALKS, ("long", ["a", "b" * ADD_BYTES_MAX])]))
    assert done.returncode == 1
    assert "line 3: expected messages of at most 8,388,608 bytes" in done.stderr
    assert _held(URL, run.folder) == TALKS


def test_a_backend_that_is_down_ends_it_when_the_time_is_up(run: Eventlog) -> None:
    """What was loaded waits in the journal; the error says where, and why."""
    done = run("load", "-", "--to", "redis://127.0.0.1:1", "--timeout", "0.2", stdin=as_lines(TALKS))
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "expected all delivered to redis:127.0.0.1:1/0 within 0.2 s, found 6 events" in last
    assert "unreachable" in last
    assert "it is kept in " in last


def test_lines_keep_what_json_says(run: Eventlog) -> None:
    """What comes out with --json is what went in."""
    assert run("load", "-", "--to", URL, stdin=as_lines(TALKS)).returncode == 0
    assert [run.json("messages", session, "--url", URL) for session, _ in TALKS] == [talk for _, talk in TALKS]
    assert json.dumps(TALKS)
