"""Room: faults on order, for the servers of ours: errors, answers that never come, delays.

Invariants:
* An order concerns the next `times` calls of its name (or of any name) and no other.
* "before": the call is not applied. "after": it is, and the caller does not learn it.
"""

from __future__ import annotations

from threading import Lock
from typing import Any, Literal, NamedTuple

When = Literal["before", "after"]
WHEN: tuple[When, When] = ("before", "after")


class Fault(NamedTuple):
    """What happens to a call: an error that the server answers with, an answer that never comes, or a late one."""

    error: Any = None
    silent: bool = False
    delay_s: float = 0.0
    """How long the server takes over it, before anything else."""


SILENCE = Fault(silent=True)
"""No answer: the caller waits until its own deadline."""


class _Order:
    def __init__(self, fault: Fault, call: str | None, when: When, times: int) -> None:
        self.fault, self.call, self.when, self.times = fault, call, when, times


class Orders:
    """The faults that a test asked for and that were not played yet."""

    def __init__(self) -> None:
        """Begin without any."""
        self._lock = Lock()
        self._orders: list[_Order] = []

    def give(self, fault: Fault, *, call: str | None = None, when: When = "before", times: int = 1) -> None:
        """Have the next `times` calls of this name meet a fault."""
        with self._lock:
            self._orders.append(_Order(fault, call, when, times))

    def take(self, call: str, when: When) -> Fault | None:
        """Give the fault that this call meets now, if any."""
        with self._lock:
            for order in self._orders:
                if order.when == when and order.call in (None, call) and order.times > 0:
                    order.times -= 1
                    return order.fault
            return None

    def clear(self) -> None:
        """Forget what was not played."""
        with self._lock:
            self._orders.clear()
