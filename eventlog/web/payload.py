"""Room: what the page is told of a session, as values of JSON. Pure.

Invariants:
* The outline tells of every moment which messages were visible, so that the page can move through them by itself; an
  event's text comes with its piece.
* Numbers are those that JavaScript can hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby, pairwise
from typing import Any

import msgspec

from eventlog.events import Kind
from eventlog.projections.outline import DAMAGED, ERASED, UNKNOWN, Lifetimes
from eventlog.projections.speech import ToolCall, as_text
from eventlog.projections.timeline import Summary, TimelineEntry, id_text

PIECE_EVENTS = 200
CLIP_CHARS = 8000
_LETTERS = {
    Kind.MESSAGE: "m",
    Kind.MESSAGE_FIXED: "f",
    Kind.MESSAGE_SLIDING: "s",
    Kind.CLEARED: "c",
    ERASED: "e",
    UNKNOWN: "u",
    DAMAGED: "d",
}
_MS_MAX = 8_640_000_000_000_000
"""The last time that a browser knows."""


def encode(value: Any) -> bytes:
    """Give JSON."""
    return msgspec.json.encode(value)


def outline(lives: Lifetimes, found: Summary, since: int = 0) -> dict[str, Any]:
    """Tell of every event what it is, when it was and how long it was to be seen; times and marks from one on."""
    events, count = lives.outline, len(lives)
    times = [max(0, min(_MS_MAX, ms)) for ms in events.at_ms[since:]]
    return {
        "total": count,
        "from": since,
        "times": times[:1] + [after - before for before, after in pairwise(times)],
        "marks": "".join(_LETTERS.get(mark, "u") for mark in events.marks[since:]),
        "ends": [[end, len(list(run))] for end, run in groupby(-1 if end > count else end for end in lives.ends)],
        "lapsed": sorted(lives.lapsed),
        "erasedBelow": lives.erased_below,
        "now": lives.now_ms,
        "summary": {**msgspec.structs.asdict(found), "writers": len(found.writers)},
    }


def entries(found: Iterable[TimelineEntry], clip_chars: int = CLIP_CHARS) -> list[dict[str, Any]]:
    """Tell what events say and where they are."""
    return [_entry(each, clip_chars) for each in found]


def _entry(each: TimelineEntry, clip_chars: int) -> dict[str, Any]:
    said = {
        "id": id_text(each.id),
        "writer": each.writer,
        "state": each.state,
        "role": each.role,
        "text": each.text[:clip_chars],
        "calls": [_call(call, clip_chars) for call in each.tool_calls],
        "form": each.form,
        "expiry": each.expiry,
        "expires": each.expires and round(each.expires.timestamp() * 1000),
        "clearedBy": each.cleared_by and id_text(each.cleared_by),
        "backends": each.backends,
        "pending": each.pending,
        "chars": _cut_chars(each, clip_chars),
    }
    return {name: value for name, value in said.items() if value or name == "id"}


def _cut_chars(each: TimelineEntry, clip_chars: int) -> int | None:
    """Give how long it is altogether, if any of it was cut."""
    sizes = [len(each.text), *(len(_arguments(call)) for call in each.tool_calls)]
    return sum(sizes) if max(sizes) > clip_chars else None


def _call(call: ToolCall, clip_chars: int) -> list[str]:
    return [call.name, _arguments(call)[:clip_chars]]


def _arguments(call: ToolCall) -> str:
    return call.arguments if isinstance(call.arguments, str) and call.name else as_text(call.arguments)
