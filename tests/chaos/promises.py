"""Room: what a row of the proof is, how it is run, and what came out of it.

Rules:
* A row passes when its play ends and its control, the same check over something broken on purpose, is found out for
  what was broken. A control that passes, or fails for another reason, fails the row.
* A row that is not built says so; a row without its server says that. Neither is ever called passed.
* All that is drawn comes from the seed. What the machine's scheduler makes of it does not.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec
from _pytest.outcomes import Failed, Skipped

Figures = dict[str, Any]


class Broken(AssertionError):
    """A promise that was not kept; `names` says which figures should have been zero."""

    def __init__(self, names: frozenset[str], figures: Mapping[str, Any]) -> None:
        super().__init__(f"expected {', '.join(sorted(names))} to be 0, found {dict(figures)}")
        self.names = names


class Trial(NamedTuple):
    """One run of a row: an empty folder, how many, and what to draw from."""

    place: Path
    n: int
    seed: int
    judged: bool = True
    """Whether what is timed must be in time; not on a machine that does something else too."""

    @property
    def chance(self) -> Random:
        """Give what draws, anew from the seed."""
        return Random(self.seed)  # noqa: S311 (to be repeated)


Play = Callable[[Trial], Figures]


class Row(NamedTuple):
    """One row of the table."""

    number: int
    title: str
    unit: str
    ci: int
    full: int
    play: Play | None = None
    control: Play | None = None
    shows: frozenset[str] = frozenset()
    """What the control must be found out for."""
    control_title: str = ""
    control_n: int = 1

    def n_at(self, scale: float) -> int:
        """Give how many, between one and all."""
        return max(1, min(self.full, round(self.ci * scale)))


class Result(msgspec.Struct, frozen=True):
    """What one row came to."""

    row: int
    title: str
    n: int
    unit: str
    full_n: int
    seed: int
    result: str
    """passed, failed, not built, or not run"""
    figures: Figures
    control: str
    detail: str
    seconds: float
    control_title: str = ""


def kept(figures: Figures, *names: str) -> Figures:
    """Give the figures back; `Broken` names those of `names` that are not zero."""
    broken = frozenset(name for name in names if figures[name])
    if broken:
        raise Broken(broken, figures)
    return figures


def run(row: Row, scale: float, seed: int, *, judged: bool = True) -> Result:
    """Play a row and its control, each in a folder of its own, which stays where the row fails."""
    began, n = time.monotonic(), row.n_at(scale)
    result, figures, control, detail = "not built", Figures(), "", ""
    if row.play is not None:
        result, figures, detail = _played(row.play, n, seed, judged=judged)
        control = _controlled(row, seed) if result == "passed" else "not run"
        if result == "passed" and not control.startswith("found"):
            result = "failed"
    return Result(
        row=row.number,
        title=row.title,
        n=n if result in ("passed", "failed") else 0,
        unit=row.unit,
        full_n=row.full,
        seed=seed,
        result=result,
        figures=figures,
        control=control,
        detail=detail,
        seconds=round(time.monotonic() - began, 1),
        control_title=row.control_title,
    )


def _played(play: Play, n: int, seed: int, *, judged: bool) -> tuple[str, Figures, str]:
    place = Path(tempfile.mkdtemp(prefix="eventlog-chaos-"))
    try:
        figures = play(Trial(place, n, seed, judged))
    except (Skipped, Failed) as missing:
        return "not run", {}, str(missing)
    except Exception:  # noqa: BLE001 (whatever it is, the other rows go on)
        return "failed", {}, f"{traceback.format_exc(limit=-6)}\nits folder: {place}"
    shutil.rmtree(place, ignore_errors=True)
    return "passed", figures, ""


def _controlled(row: Row, seed: int) -> str:
    """Tell what the control was found out for; anything else fails the row."""
    if row.control is None:
        return "missing"
    place = Path(tempfile.mkdtemp(prefix="eventlog-chaos-"))
    try:
        found = row.control(Trial(place, row.control_n, seed))
    except Broken as broken:
        shown = broken.names & row.shows
        return f"found: {', '.join(sorted(shown))}" if shown else f"missed: {broken}"
    except Exception:  # noqa: BLE001 (it failed for a reason that proves nothing)
        return f"missed: {traceback.format_exc(limit=-6)}"
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return f"missed: {found}"
