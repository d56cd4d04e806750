"""`eventlog timeline` and `eventlog replay`: what they print, while it is written too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

import eventlog
from eventlog.cli.entries import paced
from eventlog.history import ChatHistory
from tests.cli.running import Eventlog
from tests.cli.terminal import on_terminal
from tests.cli.test_reading import NASTY

URL = "sqlite:///talks.db"


@contextmanager
def chat(run: Eventlog, session: str = "s", **options: Any) -> Iterator[ChatHistory]:
    """Give a session of the log that the command sees."""
    with eventlog.open(f"sqlite:///{run.folder}/talks.db") as log:
        yield log.history(session, **options)


def talk(run: Eventlog) -> None:
    """Say something, clear, say more."""
    with chat(run) as said:
        said.add({"role": "user", "content": "How late\nis it?"})
        said.add({"role": "assistant", "tool_calls": [{"name": "clock", "args": {"zone": 1}}]})
        said.clear()
        said.add({"role": "assistant", "content": "Twelve."})


def without_times(text: str) -> list[str]:
    """Give the lines of a timeline without the times at their beginnings."""
    return [line[12:] if line[2:3] == ":" else line for line in text.splitlines()]


def test_a_timeline_is_readable(run: Eventlog) -> None:
    """A summary, the day, then a line for each event with what became of it."""
    talk(run)
    done = run("timeline", "s", "--url", URL, TZ="UTC")
    head, day, *rest = without_times(done.stdout)
    assert head == "3 messages, 1 of them visible, 1 clear, 1 writer"
    assert day.endswith("(UTC+00:00)")
    assert rest == [
        "  cleared  user       How late",
        " " * 34 + "is it?",
        "  cleared  assistant  → clock(zone=1)",
        "           —          the history was cleared",
        "           assistant  Twelve.",
    ]


def test_a_timeline_as_json_has_all_there_is(run: Eventlog) -> None:
    """One line an event: ids as text, the message as it was given, where it is."""
    talk(run)
    entries = run.json("timeline", "s", "--url", URL)
    assert [each["kind"] for each in entries] == ["message", "message", "clear", "message"]
    assert entries[0]["message"] == {"role": "user", "content": "How late\nis it?"}
    assert entries[0]["cleared_by"] == entries[2]["id"]
    assert (entries[3]["backends"], entries[3]["pending"], entries[3]["state"]) == (["sqlite"], [], "visible")
    then = run.json("timeline", "s", "--url", URL, "--as-of", entries[1]["id"])
    assert [each["state"] for each in then] == ["visible", "visible"]
    assert run.json("timeline", "another", "--url", URL) == []


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_text_cannot_act_on_the_terminal(run: Eventlog, form: tuple[str, ...]) -> None:
    """Neither what was said, nor by whom, nor a tool."""
    with chat(run) as said:
        said.add({"role": NASTY, "content": NASTY, "tool_calls": [{"name": NASTY, "args": {NASTY: NASTY}}]})
        said.add(NASTY)
    done = run("timeline", "s", "--url", URL, *form)
    assert done.returncode == 0
    assert not set(done.stdout) & set("\x1b\x07\x9b\u202e\u2066\x00\x7f\r")


def test_a_timeline_is_followed(run: Eventlog) -> None:
    """What another process writes appears; Ctrl-C ends it."""
    talk(run)
    with on_terminal(run.folder, "timeline", "s", "--follow", "--url", URL) as terminal:
        terminal.wait_for("Twelve.")
        with chat(run) as said:
            said.add({"role": "user", "content": "Thanks."})
        terminal.wait_for("Thanks.")
        terminal.interrupt()
        assert terminal.end() == 130


def test_following_goes_on_after_an_id(run: Eventlog) -> None:
    """Nothing before it is shown again."""
    talk(run)
    last = run.json("timeline", "s", "--url", URL)[2]["id"]
    with on_terminal(run.folder, "timeline", "s", "--follow", "--after", last, "--json", "--url", URL) as terminal:
        terminal.wait_for("Twelve.")
        assert json.loads(terminal.shown.splitlines()[0])["text"] == "Twelve."


@pytest.mark.parametrize(
    "words", [("--follow", "--as-of", "2030-01-01T00:00:00Z"), ("--after", "x"), ("--as-of", "2030-01-01")]
)
def test_options_that_do_not_go_together_are_misuse(run: Eventlog, words: tuple[str, ...]) -> None:
    """One line, exit code 2."""
    done = run("timeline", "s", "--url", URL, *words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_without_the_backend_what_waits_is_shown_and_it_fails(run: Eventlog) -> None:
    """An incomplete timeline is no success."""
    url = "redis://127.0.0.1:1"
    with eventlog.open(url, deliver=False) as log:
        log.history("s").add("x")
    done = run("timeline", "s", "--url", url, "--json")
    assert done.returncode == 1
    assert [json.loads(line)["pending"] for line in done.stdout.splitlines()] == [["redis"]]
    assert "shown is only what waits in the journal" in done.stderr


def test_a_session_is_played_back_as_it_was_then(run: Eventlog) -> None:
    """With what was cleared later."""
    talk(run)
    done = run("replay", "s", "--url", URL, "--speed", "1000")
    assert without_times(done.stdout)[1] == "           user       How late"
    assert "Twelve." in done.stdout


def test_a_replay_pauses_as_the_speakers_did(run: Eventlog) -> None:
    """Faster, never longer than it may, not at all where the clocks went back."""
    with chat(run) as said:
        said.add_many(["a", "b", "c", "d"])
        entries = said.timeline()
    begin = datetime.fromisoformat("2030-01-01T00:00:00Z")
    times = [begin + timedelta(seconds=seconds) for seconds in (0, 10, 5, 600)]
    pauses: list[float] = []
    retimed = [eventlog.TimelineEntry(**{**_fields(each), "time": at}) for each, at in zip(entries, times, strict=True)]
    assert list(paced(retimed, 10, 5.0, pauses.append)) == retimed
    assert pauses == [1.0, 5.0]


def _fields(each: eventlog.TimelineEntry) -> dict[str, Any]:
    return {name: getattr(each, name) for name in each.__struct_fields__}
