"""`eventlog status --watch` and `--metrics`, and what an operator is told to do."""

from __future__ import annotations

import re

import pytest

import eventlog
from eventlog.cli.metrics import exposition
from eventlog.cli.standing import Standing, advice, in_words
from eventlog.log import open_sidecar
from eventlog.status import BackendStatus, State, Status
from tests.cli.fleet import eventually
from tests.cli.running import Eventlog
from tests.cli.terminal import on_terminal

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*"'
_SAMPLE = re.compile(rf"(?P<name>{_NAME})(?:\{{(?P<labels>{_LABEL}(?:,{_LABEL})*)\}})? (?P<value>\S+)")


def _backend(
    identity: str = "redis:h:1/0", state: State = "ok", lag: int = 0, dead: int = 0, error: str | None = None
) -> BackendStatus:
    return BackendStatus(identity, state, lag, lag * 10, 2.5 if lag else 0.0, 7, 1, dead, error)


def _standing(
    backends: dict[str, BackendStatus],
    *,
    used: int = 0,
    damaged: int = 0,
    undelivered: int = 0,
    others: dict[str, list[str]] | None = None,
) -> Standing:
    status = Status(backends, "/j", used, 1, 0.0, 0, 0, damaged, 0, len(others or {}))
    return Standing(status, 1000, sidecar=False, undelivered=dict.fromkeys(backends, undelivered), others=others or {})


def _parsed(text: str) -> dict[str, float]:
    """Read an exposition as strictly as its format says; give name and labels -> value."""
    assert text.endswith("\n")
    samples: dict[str, float] = {}
    families: list[str] = []
    lines = text[:-1].split("\n")
    for at, line in enumerate(lines):
        if line.startswith("# HELP "):
            families.append(line.split()[2])
            assert lines[at + 1] == f"# TYPE {families[-1]} gauge"
        elif not line.startswith("# TYPE "):
            found = _SAMPLE.fullmatch(line)
            assert found, line
            assert found["name"] == families[-1]
            samples[f"{found['name']}{{{found['labels'] or ''}}}"] = float(found["value"])
    assert len(families) == len(set(families))
    assert len(samples) == sum(not line.startswith("#") for line in lines)
    return samples


def test_metrics_are_what_prometheus_reads(run: Eventlog, redis_url: str) -> None:
    """Of every backend, with the lag, and of the journal."""
    urls = ("--url", f"sqlite:///{run.folder}/talks.db", "--url", redis_url)
    with eventlog.open(urls[1], urls[3], deliver=False) as log:
        log.history("s").add_many(range(3))
    done = run("status", "--metrics", "--max-journal-bytes", "5000000", *urls)
    assert (done.returncode, done.stderr) == (0, "")
    samples = _parsed(done.stdout)
    for name in ("sqlite", "redis"):
        assert samples[f'eventlog_lag_events{{backend="{name}"}}'] == 3
        assert samples[f'eventlog_lag_bytes{{backend="{name}"}}'] > 0
        assert samples[f'eventlog_backend_state{{backend="{name}",state="ok"}}'] == 1
        assert samples[f'eventlog_undelivered_folders{{backend="{name}"}}'] == 1
    assert samples["eventlog_journal_max_bytes{}"] == 5_000_000
    assert samples["eventlog_journal_bytes{}"] > 0


def test_values_of_labels_are_escaped() -> None:
    """A path may hold anything, even what is no text."""
    nasty = 'sqlite:/a "b"\\c\nd\udcff'
    samples = _parsed(exposition(_standing({"sqlite": _backend(nasty)})))
    assert samples[r'eventlog_backend_info{backend="sqlite",identity="sqlite:/a \"b\"\\c\nd\\udcff"}'] == 1


def test_all_is_well_needs_no_advice() -> None:
    """Nor does a backend that is being delivered to."""
    assert advice(_standing({"redis": _backend(), "sqlite": _backend(lag=3)}, used=700)) == []


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        (_standing({"redis": _backend(state="down", lag=5)}), "redis is down: bring it back; 5 events, 50 B"),
        (
            _standing({"redis": _backend(lag=5)}, undelivered=2),
            "nobody delivers 2 folders to redis: run eventlog drain",
        ),
        (
            _standing({"redis": _backend(lag=1, dead=1)}),
            "redis refused 1 event for good: see eventlog dead-letters list",
        ),
        (_standing({"redis": _backend()}, used=800), "the journal is 80% full"),
        (_standing({"redis": _backend()}, damaged=2), "damage in the journal: 2 frames"),
        (
            _standing({"redis": _backend()}, others={"/k": ["redis:old:1/0"]}),
            "another journal holds events for redis:old:1/0: eventlog drain --journal /k",
        ),
    ],
)
def test_advice_names_what_is_wrong_and_what_helps(standing: Standing, said: str) -> None:
    """One line for each."""
    (text,) = advice(standing)
    assert text.startswith(said)


@pytest.mark.parametrize(
    ("backend", "undelivered", "words"),
    [
        (_backend(), 0, "has everything"),
        (_backend(lag=5), 0, "delivering"),
        (_backend(lag=5, dead=5), 0, "refused some"),
        (_backend(lag=5), 1, "nobody delivers"),
        (_backend(state="retrying", lag=5), 1, "did not take the last batch; it is tried again"),
        (_backend(state="down", lag=5), 0, "down"),
    ],
)
def test_the_state_is_told_in_words(backend: BackendStatus, undelivered: int, words: str) -> None:
    """The worst that is true."""
    assert in_words("redis", _standing({"redis": backend}, undelivered=undelivered)) == words


def test_a_terminal_shows_how_it_goes_on(run: Eventlog) -> None:
    """Until Ctrl-C, which is no failure."""
    url = f"sqlite:///{run.folder}/talks.db"
    with eventlog.open(url, deliver=False) as log:
        log.history("s").add_many(range(3))
        with on_terminal(run.folder, "status", "--watch", "--every", "0.1", "--url", url) as terminal:
            terminal.wait_for("sqlite   nobody delivers        3")
            terminal.wait_for("! nobody delivers 1 folder to sqlite: run eventlog drain")
            log.history("s").add("x")
            terminal.wait_for("sqlite   nobody delivers        4")
            terminal.interrupt()
            assert terminal.end() == 0
            assert "Traceback" not in terminal.shown


def test_a_sidecar_and_other_journals_are_seen(run: Eventlog) -> None:
    """With the command that looks there, and for whom the events are."""
    url = f"sqlite:///{run.folder}/talks.db"
    with eventlog.open("redis://127.0.0.1:1", deliver=False) as log:
        log.history("s").add("x")
        place = log.status().journal
    done = run("status", "--url", url)
    assert f"! another journal holds events for redis:127.0.0.1:1/0: eventlog drain --journal {place} " in done.stdout
    with open_sidecar(url) as sidecar:
        eventually(lambda: sidecar.serving)
        assert "\neventlog_sidecar 1\n" in run("status", "--metrics", "--url", url).stdout


def test_without_a_terminal_there_is_json_to_watch(run: Eventlog) -> None:
    """Neither is mixed with metrics."""
    for words in (("--watch",), ("--metrics", "--json"), ("--metrics", "--watch")):
        done = run("status", *words)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
