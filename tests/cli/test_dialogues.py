"""Two thousand dialogues that people wrote, in and out again. The file is no part of the project."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

import eventlog
from tests.cli.running import Eventlog

SESSIONS, MESSAGES = 2000, 24_082
_BESIDE_THE_PROJECT = Path(__file__).parents[3] / "shared" / "data" / "dialogues.jsonl.gz"


@pytest.fixture
def dialogues() -> Path:
    """Give the file, or skip."""
    path = Path(os.environ.get("EVENTLOG_DIALOGUES") or _BESIDE_THE_PROJECT)
    if not path.exists():
        pytest.skip(f"the dialogues are not at {path}; $EVENTLOG_DIALOGUES names another place")
    return path


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give each backend in turn."""
    if request.param == "redis":
        found: str = request.getfixturevalue("redis_url")
        return found
    return f"sqlite:///{tmp_path}/dialogues.db"


@pytest.mark.slow
def test_every_dialogue_comes_out_as_it_went_in(run: Eventlog, dialogues: Path, url: str) -> None:
    """All sessions, all messages, each equal."""
    (summary,) = run.json("load", dialogues, "--to", url)
    assert (summary["sessions"], summary["messages"]) == (SESSIONS, MESSAGES)
    written = _written(dialogues)
    with eventlog.open(url, deliver=False, strict_reads=True) as log:
        assert log.sessions() == sorted(written)
        for session, messages in written.items():
            assert log.history(session).messages() == messages


def _written(path: Path) -> dict[str, list[Any]]:
    with gzip.open(path) as lines:
        talks = [json.loads(line) for line in lines]
    return {talk["session"]: talk["messages"] for talk in talks}
