"""A large session read from an event loop: what takes long is not done in the loop."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

import eventlog
from eventlog import reading
from eventlog.projections.messages import Folded, fold_merged

FEW, MANY = 100, 20_000


@pytest.mark.parametrize(("count", "in_loop"), [(FEW, True), (MANY, False)])
async def test_a_large_session_is_folded_in_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, count: int, in_loop: bool
) -> None:
    """So that nothing else of the loop waits for it; a small one takes no thread."""
    threads = []

    def folded(*args: Any) -> Folded:
        threads.append(threading.current_thread() is threading.main_thread())
        return fold_merged(*args)

    monkeypatch.setattr(reading, "fold_merged", folded)
    with eventlog.open(f"sqlite:///{tmp_path}/db", journal=tmp_path / "j") as log:
        chat = log.history("s")
        chat.add_many(range(count))
        assert log.flush(20)
        assert await chat.amessages() == list(range(count))
    assert threads == [in_loop]
