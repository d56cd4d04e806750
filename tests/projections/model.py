"""The fold as the design says it, written for nobody's speed: each message asks by itself whether it is visible.

a message goes with any clear behind it, unless that clear's id lies more than 24 h ahead of now
a fixed one goes `ttl` after its `at`
a sliding one goes when the window is over: at the `at` of a later message, or at the end, now, when the last
sliding message before that moment (none of them before the clear) lies its own `ttl` or more in the past
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

AHEAD_MS = 24 * 3600 * 1000
Kind = Literal["stays", "fixed", "sliding", "clear", "unknown", "damaged"]


class Row(NamedTuple):
    """One event; `ms` is its id's time, `at_ms` its writer's clock."""

    event_id: bytes
    kind: Kind
    at_ms: int
    ttl_ms: int = 0
    message: Any = None

    @property
    def ms(self) -> int:
        """The id's time."""
        return int.from_bytes(self.event_id[:6], "big")

    @property
    def is_message(self) -> bool:
        """Whether a person said it."""
        return self.kind in ("stays", "fixed", "sliding")


def visible(rows: Iterable[Row], now_ms: int) -> list[Row]:
    """Give the messages that a session shows at a time, in order."""
    ordered = sorted({row.event_id: row for row in rows}.values())
    cuts = [n for n, row in enumerate(ordered) if row.kind == "clear" and row.ms - now_ms <= AHEAD_MS]
    left = ordered[cuts[-1] + 1 :] if cuts else ordered
    return [row for n, row in enumerate(left) if row.is_message and _stays(left, n, now_ms)]


def _stays(rows: Sequence[Row], n: int, now_ms: int) -> bool:
    row = rows[n]
    if row.kind == "fixed":
        return row.at_ms + row.ttl_ms > now_ms
    if row.kind == "sliding":
        later = [other for other in range(n + 1, len(rows)) if rows[other].is_message]
        return all(_window_ms(rows[:m]) > rows[m].at_ms for m in later) and _window_ms(rows) > now_ms
    return True


def _window_ms(rows: Sequence[Row]) -> int:
    """Give the end of the window that the last sliding message opened."""
    last = [row for row in rows if row.kind == "sliding"][-1]
    return last.at_ms + last.ttl_ms


def unreadable(rows: Iterable[Row], now_ms: int) -> list[bytes]:
    """Give the ids that a fold reports: damaged bodies, and clears of clocks that are broken."""
    broken = [row for row in rows if row.kind == "clear" and row.ms - now_ms > AHEAD_MS]
    return sorted({row.event_id for row in [*broken, *(row for row in rows if row.kind == "damaged")]})
