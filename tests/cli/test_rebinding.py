"""`eventlog drain --rebind` and `--forget`: what waits for a server that was renamed, or is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

import eventlog
from eventlog.place import backend_key
from tests.cli.running import Eventlog
from tests.cli.terminal import on_terminal

GONE_URL, GONE = "redis://user:hunter2@127.0.0.1:1/0", "redis:127.0.0.1:1/0"


def _leave(number: int, *urls: str, **options: Path) -> None:
    with eventlog.open(*urls, deliver=False, **options) as log:  # type: ignore[arg-type]
        log.history("s").add_many(range(number))


@pytest.fixture
def url(run: Eventlog) -> str:
    """Give a backend that is there."""
    return f"sqlite:///{run.folder}/talks.db"


def test_what_waits_for_the_old_name_goes_to_the_new_one(run: Eventlog, url: str) -> None:
    """The journal is found without being named, and drained where the backends are named."""
    _leave(3, GONE_URL)
    _leave(2, GONE_URL)
    done = run("drain", "--rebind", f"{GONE_URL}={url}", "--url", url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].startswith(f"5 events that waited for {GONE} in ")
    assert run.json("messages", "s", "--url", url) == [0, 1, 2, 0, 1]


def test_without_a_backend_to_drain_to_it_says_how_to_go_on(run: Eventlog, url: str) -> None:
    """And what it did, as JSON if that is asked for."""
    _leave(1, GONE_URL)
    done = run("drain", "--rebind", f"{GONE}=redis:127.0.0.1:2/0")
    assert "what is left there is delivered by: eventlog drain --journal " in done.stdout
    (told,) = run.json("drain", "--rebind", f"redis:127.0.0.1:2/0={url}")
    assert (told["rebound"], told["to"], told["events"]) == ("redis:127.0.0.1:2/0", f"sqlite:{run.folder}/talks.db", 1)
    assert run("drain", "--journal", told["journal"], "--url", url).returncode == 0


def test_a_rebinding_to_a_backend_that_lacks_more_loses_nothing(run: Eventlog, url: str, tmp_path: Path) -> None:
    """One that the events were for already keeps its own cursor."""
    had = f"sqlite:///{tmp_path}/had.db"
    with eventlog.open(had, url, GONE_URL, journal=tmp_path / "j", deliver=False) as log:
        log.history("s").add_many(range(3))
    with eventlog.open(had, url, GONE_URL, journal=tmp_path / "j") as log:
        log.flush(1)  # all but the one that is gone have it
    _cursor(tmp_path / "j", f"sqlite:{run.folder}/talks.db").unlink()  # a hint: without it, from the start
    Path(run.folder, "talks.db").unlink()
    identity = f"sqlite:{tmp_path}/had.db"
    done = run(
        "drain", "--rebind", f"{identity}={url}", "--forget", GONE, "--yes", "--journal", tmp_path / "j", "--url", url
    )
    assert done.returncode == 0, done.stderr
    assert run.json("messages", "s", "--url", url) == [0, 1, 2]


def _cursor(journal: Path, identity: str) -> Path:
    (found,) = journal.glob(f"*/{backend_key(identity)}.cursor")
    return found


def test_what_waits_for_a_backend_that_is_gone_is_given_up(run: Eventlog, url: str) -> None:
    """Only for that one, only when it was meant, and it tells how much."""
    _leave(4, url, GONE_URL)
    assert run("drain", "--url", url).returncode == 2
    refused = run("drain", "--forget", GONE)
    assert refused.returncode == 2
    assert "expected --yes, for nobody can be asked here: Give up 4 events that wait for" in refused.stderr
    with on_terminal(run.folder, "drain", "--forget", GONE, "--url", url) as terminal:
        terminal.wait_for("[y/N] ")
        terminal.type("yes")
        terminal.wait_for("gave up 4 events that waited for redis:127.0.0.1:1/0 in ")
        terminal.wait_for("delivered 4 events; nothing is pending")
        assert terminal.end() == 0
    assert run.json("messages", "s", "--url", url) == [0, 1, 2, 3]


def test_a_backend_that_nothing_waits_for_is_misuse(run: Eventlog, url: str) -> None:
    """The error names those that something waits for, without credentials."""
    _leave(1, GONE_URL)
    for words in (("--forget", "redis:other:6379/0", "--yes"), ("--rebind", f"redis:other:6379/0={url}")):
        done = run("drain", *words)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.endswith(f"found them for {GONE}\n")
    assert f"found {GONE} twice" in run("drain", "--rebind", f"{GONE}={GONE_URL}").stderr


def test_a_living_writer_is_left_alone(run: Eventlog, url: str) -> None:
    """It says which backends it has."""
    with eventlog.open(GONE_URL, deliver=False) as log:
        log.history("s").add("x")
        for words in (("--forget", GONE, "--yes"), ("--rebind", f"{GONE}={url}")):
            done = run("drain", *words)
            assert (done.returncode, done.stdout) == (2, "")
            assert "expected no living writer" in done.stderr
        assert log.status().backends["redis"].lag_events == 1


@pytest.mark.parametrize(
    "text", ["redis:old:6379/0", "redis:a:1/0=redis:a:1/0", "=redis:a:1/0", "nonsense://x=redis:a"]
)
def test_a_pair_that_is_none_is_misuse(run: Eventlog, text: str) -> None:
    """One line, before anything is changed."""
    done = run("drain", "--rebind", text)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_damaged_list_of_backends_loses_nothing(run: Eventlog, url: str) -> None:
    """As a loss of power may leave it."""
    _leave(3, url)
    (path,) = Path(run.folder.parent, "journal").glob("*/*/backends")
    path.write_bytes(b"")
    assert run("drain", "--url", url).returncode == 0
    assert run.json("messages", "s", "--url", url) == [0, 1, 2]
