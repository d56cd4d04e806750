"""The proof at the size of a test run; `make chaos` is the same at any other.

$EVENTLOG_CHAOS is the scale (1: the table's CI column), $EVENTLOG_SEED repeats a run. The table is printed at the end.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import msgspec
import pytest

from tests.chaos.promises import Broken, Figures, Result, Row, Trial, kept, run
from tests.chaos.registry import ROWS
from tests.chaos.report import MARKS, README, cells, load, markdown
from tests.servers.missing import missing_server

SCALE = float(os.environ.get("EVENTLOG_CHAOS") or 0.1)
BUILT = [row for row in ROWS if row.play is not None]


@pytest.mark.crash
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # delivery does, in its own thread
@pytest.mark.parametrize("row", BUILT, ids=lambda row: f"row {row.number}")
def test_each_promise_is_kept_and_its_breach_is_found(row: Row, record_property: Callable[[str, object], None]) -> None:
    """Row by row; what is timed is told, not judged, for this machine may be busy."""
    seed = int(os.environ.get("EVENTLOG_SEED") or random.SystemRandom().getrandbits(31))
    result = run(row, SCALE, seed, judged=False)
    record_property("chaos", msgspec.json.encode(result).decode())
    if result.result == "not run":
        missing_server(result.detail)
    assert result.result == "passed", result


def _row(play: object, control: object) -> Row:
    return Row(0, "", "", 10, 100, play, control, frozenset({"lost"}))  # type: ignore[arg-type]


def _fine(trial: Trial) -> Figures:
    return {"n": trial.n, "lost": 0}


def _loses(_: Trial) -> Figures:
    return kept({"lost": 1, "doubled": 0}, "lost", "doubled")


def _doubles(_: Trial) -> Figures:
    return kept({"lost": 0, "doubled": 1}, "lost", "doubled")


def _crashes(_: Trial) -> Figures:
    raise AssertionError("of another kind")


@pytest.mark.parametrize(
    ("play", "control", "expected"),
    [
        (_fine, _loses, "passed"),
        (_loses, _loses, "failed"),
        (_crashes, _loses, "failed"),
        (_fine, _fine, "failed"),
        (_fine, _doubles, "failed"),
        (_fine, _crashes, "failed"),
        (_fine, None, "failed"),
        (None, None, "not built"),
    ],
)
def test_a_row_passes_only_with_a_control_that_is_found_out(play: object, control: object, expected: str) -> None:
    """For what was broken in it, and for nothing else."""
    assert run(_row(play, control), 1, 1).result == expected


def test_a_broken_promise_is_named() -> None:
    """With all the figures."""
    with pytest.raises(Broken, match=r"expected lost to be 0, found \{'lost': 1, 'doubled': 0\}"):
        _loses(Trial(README, 1, 1))


def test_a_row_is_never_smaller_than_one_nor_larger_than_all() -> None:
    """Whatever the scale."""
    assert [_row(None, None).n_at(scale) for scale in (0, 0.5, 1, 1000)] == [1, 5, 10, 100]


def test_readme_shows_the_last_results_of_every_row() -> None:
    """As `python -m tests.chaos --readme` puts them there."""
    shown = README.read_text().partition(MARKS[0])[2].partition(MARKS[1])[0]
    assert shown.strip() == markdown(load()).strip()
    assert [result.row for result in load()] == [row.number for row in ROWS] == list(range(1, 12))


def test_a_row_that_was_not_run_shows_no_number() -> None:
    """Neither a seed nor a time."""
    result = Result(2, "t", 0, "images", 5, 7, "not built", {}, "", "", 0.0)
    assert cells(result) == ("2", "t", "of 5 images", "", "not built", "", "")
