"""Nobody is inside a call while the process forks."""

from __future__ import annotations

from threading import Event, Thread

import pytest

from eventlog.adapters import momento_gate
from eventlog.adapters.momento_gate import Gate
from tests.core.tools import eventually

WAIT_S = 10


class Caller:
    """A thread that makes one call, which takes until it is told to end."""

    def __init__(self, gate: Gate) -> None:
        self.inside, self.end = Event(), Event()
        self._gate = gate
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with self._gate.entered():
            self.inside.set()
            assert self.end.wait(WAIT_S)

    def join(self) -> None:
        """Wait until it has ended."""
        self.end.set()
        self._thread.join(WAIT_S)


def test_a_fork_waits_for_the_calls_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """And cancels none of them while they end in time."""
    monkeypatch.setattr(momento_gate, "PATIENCE_S", WAIT_S)
    gate, cancelled = Gate(), Event()
    callers = [Caller(gate) for _ in range(3)]
    eventually(lambda: all(caller.inside.is_set() for caller in callers))

    def end_later() -> None:
        eventually(lambda: gate._shut)
        for caller in callers:
            caller.end.set()

    ender = Thread(target=end_later)
    ender.start()
    gate.shut(cancelled.set)
    assert (gate._inside, cancelled.is_set()) == (0, False)
    gate.open()
    for caller in callers:
        caller.join()
    ender.join()


def test_calls_that_hang_are_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork does not wait for a server."""
    monkeypatch.setattr(momento_gate, "PATIENCE_S", 0.01)
    gate = Gate()
    caller = Caller(gate)
    assert caller.inside.wait(WAIT_S)
    gate.shut(caller.end.set)
    assert gate._inside == 0
    gate.open()
    caller.join()


def test_who_would_call_meanwhile_waits_until_it_is_done() -> None:
    """Then it goes on."""
    gate = Gate()
    gate.shut(lambda: None)
    caller = Caller(gate)
    assert not caller.inside.wait(0.05)
    gate.open()
    assert caller.inside.wait(WAIT_S)
    caller.join()
