"""`eventlog sessions`, `messages` and `status`: what they print, and what they leave alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from time import sleep
from typing import Any

import pytest

import eventlog
from eventlog.events import EventId
from tests.cli.running import Eventlog

URL = "sqlite:///talks.db"
TALK = [
    {"role": "user", "content": "How late\nis it?"},
    {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "clock", "arguments": '{"zone": 1}'}}]},
    {"type": "ai", "content": "", "tool_calls": [{"name": "clock", "args": {"zone": "CET"}, "id": "1"}]},
    {"type": "human", "data": {"content": [{"type": "text", "text": "Thanks."}, {"type": "image"}]}},
    "bare",
]


def _add(run: Eventlog, session: str, messages: list[Any], **options: Any) -> list[EventId]:
    with eventlog.open(f"sqlite:///{run.folder}/talks.db", **options) as log:
        return log.history(session).add_many(messages)


def test_messages_are_readable(run: Eventlog) -> None:
    """Who spoke, what was said, which tools were called; every line is aligned."""
    _add(run, "s", TALK)
    assert run("messages", "s", "--url", URL).stdout.splitlines() == [
        "user       How late",
        "           is it?",
        'assistant  → clock({"zone": 1})',
        'ai         → clock(zone="CET")',
        "human      Thanks.",
        '           {"type":"image"}',
        'message    "bare"',
    ]


def test_messages_as_json_are_as_they_were_given(run: Eventlog) -> None:
    """One line each."""
    _add(run, "s", TALK)
    assert run.json("messages", "s", "--url", URL) == TALK
    assert run.json("messages", "s", "--url", URL, "--last", "2") == TALK[-2:]
    assert run.json("messages", "another", "--url", URL) == []


@pytest.mark.parametrize("written", [str, lambda event_id: event_id.time.isoformat()])
def test_messages_as_of_an_event_or_a_time(run: Eventlog, written: Any) -> None:
    """The session is shown as it was then."""
    (first,) = _add(run, "s", ["one"])
    sleep(0.002)  # the next id has a later millisecond
    _add(run, "s", ["two"])
    assert run.json("messages", "s", "--url", URL, "--as-of", written(first)) == ["one"]
    assert run.json("messages", "s", "--url", URL, "--as-of", datetime.now(UTC).isoformat()) == ["one", "two"]


NASTY = "\x1b[31mred\x1b]0;title\x07 \x9b31m \u202eevil\u2066 \x00 \x7f \r [bold]x[/bold] :smile:"


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_text_cannot_act_on_the_terminal(run: Eventlog, form: tuple[str, ...]) -> None:
    """Control and bidirectional characters are shown as escapes, and markup as it stands."""
    nasty_everywhere = {"role": NASTY, "content": NASTY, "tool_calls": [{"name": NASTY, "args": {NASTY: NASTY}}]}
    _add(run, "s" + NASTY, [nasty_everywhere])
    for words in (("messages", "s" + NASTY.replace("\x00", "")), ("sessions",)):
        done = run(*words, "--url", URL, *form)
        assert done.returncode == 0
        assert not set(done.stdout) & set("\x1b\x07\x9b\u202e\u2066\x00\x7f\r")


def test_escapes_say_what_there_was(run: Eventlog) -> None:
    """Nothing is left out without a trace, and JSON means the same."""
    _add(run, "s", [{"role": "user", "content": NASTY}])
    shown = run("messages", "s", "--url", URL).stdout
    assert r"\x1b[31mred\x1b]0;title\x07 \x9b31m \u202eevil\u2066 \x00 \x7f \x0d [bold]x[/bold] :smile:" in shown
    assert run.json("messages", "s", "--url", URL) == [{"role": "user", "content": NASTY}]


def test_sessions_are_listed_pending_ones_included(run: Eventlog) -> None:
    """By their beginning, if one is given."""
    _add(run, "a-1", ["x"])
    _add(run, "b-1", ["x"])
    _add(run, "a-2", ["x"], deliver=False)
    assert run("sessions", "--url", URL).stdout == "a-1\na-2\nb-1\n"
    assert run.json("sessions", "--url", URL, "--prefix", "a") == [{"session": "a-1"}, {"session": "a-2"}]


def test_reading_delivers_nothing(run: Eventlog) -> None:
    """What waits in the journal is shown, counted, and still there after."""
    _add(run, "s", ["x", "y"], deliver=False)
    assert run.json("messages", "s", "--url", URL) == ["x", "y"]
    assert run.json("sessions", "--url", URL) == [{"session": "s"}]
    for _ in range(2):
        (status,) = run.json("status", "--url", URL)
        assert status["backends"]["sqlite"]["lag_events"] == 2


def test_reading_leaves_no_folder_of_a_writer(run: Eventlog, tmp_path: Path) -> None:
    """Who only reads writes nothing but the empty journal."""
    _add(run, "s", ["x"], journal=tmp_path / "j")
    before = sorted((tmp_path / "j").iterdir())
    for words in (("messages", "s"), ("sessions",), ("status",)):
        assert run(*words, "--url", URL, "--journal", tmp_path / "j").returncode == 0
    assert sorted((tmp_path / "j").iterdir()) == before


def test_status_tells_how_it_stands(run: Eventlog) -> None:
    """For a person, and as one value of JSON."""
    _add(run, "s", ["x", "y"], deliver=False)
    shown = run("status", "--url", URL).stdout
    assert "sqlite\n  identity        sqlite:" in shown
    assert "  pending         2 events, " in shown
    (status,) = run.json("status", "--url", URL)
    assert status["backends"]["sqlite"]["state"] == "ok"
    assert status["journal_bytes"] > 0


def test_without_the_backend_what_waits_is_shown_and_it_fails(run: Eventlog) -> None:
    """An incomplete answer is no success."""
    url = "redis://127.0.0.1:1"
    with eventlog.open(url, deliver=False) as log:
        log.history("s").add("x")
    done = run("messages", "s", "--url", url, "--json")
    assert (done.returncode, [json.loads(line) for line in done.stdout.splitlines()]) == (1, ["x"])
    assert "shown is only what waits in the journal" in done.stderr
    assert run("sessions", "--url", url).returncode == 1


def test_a_second_backend_answers_for_the_first(run: Eventlog) -> None:
    """That is a success, with a word of warning."""
    urls = ("redis://127.0.0.1:1", f"sqlite:///{run.folder}/talks.db")
    with eventlog.open(*urls) as log:
        log.history("s").add("x")
        log.close(timeout=0.5)
    done = run("messages", "s", "--url", urls[0], "--url", urls[1], "--json")
    assert (done.returncode, done.stdout) == (0, '"x"\n')
    assert "the first backend did not answer; shown is what sqlite and the journal hold" in done.stderr
