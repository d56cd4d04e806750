"""What the page is told: outlines from a number on, views that are shared, the lag over time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventlog.adapters.memory import MemoryBackend
from eventlog.log import EventLog
from eventlog.web import views
from eventlog.web.lags import SAMPLES_MAX, Lags
from eventlog.web.views import View, Views
from tests.core.records import NOON_MS, eid, said
from tests.core.tools import Moody, Wall, open_log

FOREIGN = bytes.fromhex("bfffffffffffffff")


@pytest.fixture
def store() -> Moody:
    """Give a store."""
    return Moody(MemoryBackend("only"))


@pytest.fixture
def log(store: Moody, tmp_path: Path) -> Iterator[EventLog]:
    """Give a log over it."""
    with open_log(store, wall=Wall(), journal=tmp_path / "j") as opened:
        yield opened


class Hand:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.s


def times(told: dict[str, Any]) -> list[int]:
    """Give the times that an outline tells."""
    found: list[int] = []
    for delta in told["times"]:
        found.append((found[-1] if found else 0) + delta)
    return found


def test_who_has_an_outline_is_told_what_is_new(log: EventLog, store: Moody) -> None:
    """Only times and marks from there on; all of it again when something came before what is known."""
    chat, clock = log.history("s"), Hand()
    view = View(chat.replay(), clock)
    chat.add_many(["a", "b"])
    first = view.outline(0, "")
    assert (first["total"], first["from"], first["marks"], times(first)) == (2, 0, "mm", [NOON_MS] * 2)
    chat.clear()
    clock.s += 1
    more = view.outline(2, first["stamp"])
    assert (more["total"], more["from"], more["marks"], more["ends"]) == (3, 2, "c", [[2, 2], [-1, 1]])
    store.inner.append({"s": [said(eid(NOON_MS - 9000, 0, FOREIGN), "late")]})
    clock.s += 1
    again = view.outline(3, more["stamp"])
    assert (again["total"], again["from"], again["marks"]) == (4, 0, "mmmc")


def test_many_who_look_cost_one_look(log: EventLog, store: Moody) -> None:
    """However often they ask within a moment."""
    clock = Hand()
    view = View(log.history("s").replay(), clock)
    for _ in range(50):
        view.version()
    asked = len(store.pages)
    assert asked <= 2
    clock.s += views.LOOK_S
    view.version()
    assert len(store.pages) > asked


def test_the_views_that_are_kept_have_a_bound(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was looked at longest ago goes."""
    monkeypatch.setattr(views, "VIEWS_MAX", 2)
    kept = Views(log)
    a, b = kept.of("a"), kept.of("b")
    assert kept.of("a") is a
    kept.of("c")
    assert kept.of("a") is a
    assert kept.of("b") is not b
    with pytest.raises(ValueError, match="session id"):
        kept.of("")


def test_lags_are_remembered_for_an_hour(log: EventLog, store: Moody) -> None:
    """The oldest are forgotten; what is told is the status as it is."""
    lags = Lags(log)
    store.down = True
    log.history("s").add("x")
    for _ in range(SAMPLES_MAX + 5):
        lags._samples.append({"at": 0, "lags": {}})
    lags.sample()
    told = lags.standing()
    assert len(told["samples"]) == SAMPLES_MAX
    assert told["samples"][-1]["lags"]["memory"][0] == 1
    assert told["status"]["backends"]["memory"]["lag_events"] == 1
    store.down = False
