"""What is asked for wrongly, and what must never be told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import eventlog
from tests.cli.running import COMMAND, Eventlog, environment
from tests.servers.redis_server import MakeRedis

COMMANDS = ("demo", "load", "sessions", "messages", "status", "drain", "dead-letters", "erase", "compact")
PASSWORD = "hunter2/%25#é"  # noqa: S105 (a made-up one)
QUOTED = "hunter2%2F%2525%23%C3%A9"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run: Eventlog, command: str) -> None:
    """And the overview names it."""
    assert run(command, "--help").stdout.startswith(f"Usage: eventlog {command} ")
    assert f"\n  {command}  " in run("--help").stdout


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("nonsense",),
        ("load",),
        ("sessions", "--nonsense"),
        ("sessions", "extra"),
        ("messages", "s", "--last", "-1"),
        ("messages", "s", "--last", "many"),
        ("messages", "s", "--as-of", "2030-01-01T00:00:00"),
        ("messages", "s", "--as-of", "yesterday"),
        ("messages", ""),
        ("drain", "--timeout", "-1"),
        ("sessions", "--url", "nonsense://x"),
        ("sessions", "--url", "redis://u:p#q@h:1/0"),
        ("status", "--every", "0"),
        ("drain", "--log-json"),
        ("dead-letters",),
        ("dead-letters", "retry"),
        ("dead-letters", "drop", "not-an-id", "--yes"),
        ("dead-letters", "list", "--backend", "nonsense"),
        ("erase", "", "--yes"),
        ("demo", "--seconds", "0"),
        ("demo", "--sabotage", "nonsense"),
    ],
)
def test_misuse_ends_with_2_and_one_line(run: Eventlog, words: tuple[str, ...]) -> None:
    """Without arguments the help is shown instead of a line."""
    done = run(*words)
    assert done.returncode == 2
    if words:
        assert (done.stdout, done.stderr.count("\n")) == ("", 1)
        assert done.stderr.startswith("eventlog: ")


def test_a_journal_that_is_not_fit_is_misuse(run: Eventlog, tmp_path: Path) -> None:
    """The place is told."""
    place = tmp_path / "journal-for-all"
    place.mkdir(mode=0o755)
    done = run("status", "--journal", place)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert str(place) in done.stderr


def test_a_missing_file_is_a_failure(run: Eventlog) -> None:
    """It ends with 1 and says which."""
    done = run("load", "missing.jsonl")
    assert (done.returncode, done.stderr) == (1, "eventlog: missing.jsonl: No such file or directory\n")


@pytest.mark.parametrize(
    "words",
    [
        ("sessions", "--url", "URL"),
        ("messages", "s", "--url", "URL"),
        ("status", "--url", "URL"),
        ("status", "--json", "--url", "URL"),
        ("drain", "--timeout", "0.1", "--url", "URL"),
        ("load", "-", "--timeout", "0.1", "--to", "URL"),
        ("drain", "--rebind", "URL=BAD"),
        ("drain", "--forget", "URL"),
        ("status", "--metrics", "--url", "URL"),
        ("sessions", "URL"),
        ("URL",),
        ("sessions", "--url=BAD"),
        ("load", "BAD"),
        ("messages", "--help", "--url", "URL"),
    ],
)
def test_a_password_is_never_told(run: Eventlog, words: tuple[str, ...]) -> None:
    """Neither as it stands in the URL, nor as it is, nor a part of it."""
    url, bad = f"redis://user:{QUOTED}@127.0.0.1:1/0", f"redis://user:{PASSWORD}@127.0.0.1:1/0"
    given = [word.replace("URL", url).replace("BAD", bad) for word in words]
    done = run(*given, stdin=b'{"session": "s", "messages": ["x"]}\n', EVENTLOG_URL=url)
    assert done.stdout + done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_a_url_that_cannot_be_read_is_told_without_it(run: Eventlog) -> None:
    """Python's own error would quote it."""
    done = run("sessions", "--url", "redis://user:hunter2\u2100@host/0")
    assert (done.returncode, done.stderr.count("expected URLs such as")) == (2, 1)
    assert "hunter2" not in done.stderr


def test_a_wrong_password_is_told_without_it(run: Eventlog, own_redis: MakeRedis) -> None:
    """By the server's own answer."""
    server = own_redis(password="right-one")  # noqa: S106 (a made-up one)
    done = run("sessions", "--url", f"redis://:hunter2@127.0.0.1:{server.port}/0")
    assert done.returncode == 1
    assert "wrong password" in done.stderr
    assert "hunter2" not in done.stderr


def test_a_reader_that_leaves_early_gets_no_traceback(run: Eventlog) -> None:
    """As `head -1` does."""
    with eventlog.open(f"sqlite:///{run.folder}/talks.db") as log:
        log.history("s").add_many([{"role": "user", "content": "x" * 1000}] * 2000)
    words = [*COMMAND, "messages", "s", "--url", "sqlite:///talks.db"]
    with subprocess.Popen(
        words, cwd=run.folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


def test_help_loads_no_client_and_no_demo() -> None:
    """So that it comes at once."""
    script = "import sys, eventlog.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=environment())
    assert not {"redis", "langchain_core", "eventlog.demo.show"} & set(done.stdout.decode().split())
