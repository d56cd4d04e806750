"""Room: the picture of a run: each ratio beside what was wanted of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.rounds import Results
from bench.rows import Row

_OURS, _LEAST, _AIM = "#2a6f97", "#c1121f", "#2b9348"
_BAR_INCHES = 0.45


def draw(
    rows: Sequence[Row], results: Results, subtitle: str, path: Path, theirs: str = "RedisChatMessageHistory"
) -> None:
    """Draw the rows where more is better above those where less is."""
    panels = [chosen for chosen in (_panel(rows, lower=False), _panel(rows, lower=True)) if chosen]
    heights = [len(panel) + 1 for panel in panels]
    figure = Figure(figsize=(9, 1.5 + _BAR_INCHES * sum(heights)), layout="constrained")
    figure.suptitle(f"eventlog beside langchain-community's {theirs}\n{subtitle}", fontsize=10)
    axes = figure.subplots(len(panels), 1, height_ratios=heights, squeeze=False)
    for panel, axis in zip(panels, axes[:, 0], strict=True):
        _bars(axis, panel, results)
    figure.savefig(path, dpi=130)


def _panel(rows: Sequence[Row], *, lower: bool) -> list[Row]:
    return [row for row in rows if row.lower_is_better == lower][::-1]


def _bars(axis: Axes, rows: Sequence[Row], results: Results) -> None:
    places = range(len(rows))
    ratios = [row.ratio(results) for row in rows]
    spreads = [row.ratios(results) for row in rows]
    low = [max(0.0, ratio - found.low) for ratio, found in zip(ratios, spreads, strict=True)]
    high = [max(0.0, found.high - ratio) for ratio, found in zip(ratios, spreads, strict=True)]
    axis.barh(places, ratios, xerr=[low, high], color=_OURS, height=0.6, ecolor="#888888", capsize=2)
    for label, color, wanted in (("at least", _LEAST, "at_least"), ("aim", _AIM, "aim")):
        marks = [getattr(row, wanted) for row in rows]
        axis.scatter(marks, places, marker="|", s=250, color=color, label=label, zorder=3)
    axis.set_yticks(places, [f"{row.title}: {ratio:.3g} x" for row, ratio in zip(rows, ratios, strict=True)])
    if rows[0].lower_is_better:
        axis.set_xlabel("ratio of times (less is better)")
    else:
        axis.set_xscale("log")
        axis.set_xlim(left=1)
        axis.set_xlabel("ratio of rates (more is better); grey: single rounds")
    axis.legend(loc="upper right", fontsize=8)
