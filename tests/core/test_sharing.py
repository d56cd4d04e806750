"""One sync serves all who wait, and nobody waits for ever."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from errno import EIO
from threading import Event, Lock

import pytest

from eventlog.sharing import SharedSync, Synced
from tests.core.tools import eventually

WAIT_S = 20


class Disk:
    """A sync that begins when told, and reaches what is written by then."""

    def __init__(self) -> None:
        self.written = 0
        self.covered: list[int] = []
        self.faults: list[BaseException] = []
        self.go, self._alone = Event(), Lock()
        self.shared = SharedSync(self)

    def __call__(self) -> Synced:
        """Sync, or meet what is in the way."""
        with self._alone:
            end = self.written
            assert self.go.wait(WAIT_S)
            fault = self.faults.pop(0) if self.faults else None
            if fault is not None and not isinstance(fault, OSError):
                raise fault
            self.covered.append(end)
            return Synced((end,), fault)

    def add(self) -> int:
        """Write one and sync it."""
        self.written += 1
        mine = self.written
        self.shared.cover((mine,))
        assert self.covered[-1] >= mine
        return mine

    def waiting(self, number: int) -> Callable[[], bool]:
        """Tell when so many wait behind the one who leads."""
        return lambda: len(self.shared._waiting) == number


def test_those_who_come_during_a_sync_share_the_next_one() -> None:
    """The first has its own; the others are covered by one that began after them."""
    disk = Disk()
    with ThreadPoolExecutor(9) as pool:
        calls = [pool.submit(disk.add)]
        eventually(lambda: disk.written == 1 and disk._alone.locked())
        calls += [pool.submit(disk.add) for _ in range(8)]
        eventually(disk.waiting(8))
        disk.go.set()
        assert sorted(call.result(WAIT_S) for call in calls) == list(range(1, 10))
    assert disk.covered == [1, 9]


@pytest.mark.parametrize("fault", [OSError(EIO, "gone"), ValueError("ours"), KeyboardInterrupt()])
def test_a_leader_that_fails_hands_on(fault: BaseException) -> None:
    """Who was not covered is served by the next one."""
    disk = Disk()
    disk.faults = [fault]
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(disk.add)
        eventually(disk._alone.locked)
        others = [pool.submit(disk.add) for _ in range(3)]
        eventually(disk.waiting(3))
        disk.go.set()
        assert first.exception(WAIT_S) is fault
        assert sorted(call.result(WAIT_S) for call in others) == [2, 3, 4]


def test_all_whom_a_failed_sync_was_for_are_told() -> None:
    """Not only the one who made it."""
    disk, fault = Disk(), OSError(EIO, "gone")
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(disk.add)
        eventually(disk._alone.locked)
        others = [pool.submit(disk.add) for _ in range(3)]
        eventually(disk.waiting(3))
        disk.shared._sync = lambda: Synced((disk.written,), fault)
        disk.go.set()
        assert first.result(WAIT_S) == 1
        assert [call.exception(WAIT_S) for call in others] == [fault] * 3


def test_a_handler_in_the_middle_of_its_own_threads_sync_syncs_for_itself() -> None:
    """It cannot wait for a sync that it keeps from ending."""
    depth: list[int] = []

    def sync() -> Synced:
        depth.append(len(depth))
        if len(depth) == 1:
            shared.cover((1,))  # as a signal's handler would, here
        return Synced((1,), None)

    shared = SharedSync(sync)
    shared.cover((1,))
    assert depth == [0, 1]


def test_one_who_gives_up_waiting_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception while it waits takes it out of the line."""
    disk = Disk()
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(disk.add)
        eventually(disk._alone.locked)
        with monkeypatch.context() as patch:
            patch.setattr("eventlog.sharing.Lock", Interrupted)
            second = pool.submit(disk.add)
            assert isinstance(second.exception(WAIT_S), KeyboardInterrupt)
        third = pool.submit(disk.add)
        eventually(disk.waiting(1))
        disk.go.set()
        assert (first.result(WAIT_S), third.result(WAIT_S)) == (1, 3)


class Interrupted:
    """A lock whose second acquire is interrupted."""

    def __init__(self) -> None:
        self._times = 0

    def acquire(self, **_: float) -> None:
        """Be taken, then be interrupted."""
        self._times += 1
        if self._times > 1:
            raise KeyboardInterrupt


def test_many_threads_are_all_served() -> None:
    """However they meet."""
    disk = Disk()
    disk.go.set()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: disk.shared.cover((0,)), range(3000)))
    assert not disk.shared._waiting
    assert disk.shared._lead.acquire(blocking=False)
