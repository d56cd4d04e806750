"""The rows of the proof."""

from __future__ import annotations

from tests.chaos.clocks import blind, clocks
from tests.chaos.disks import disks, lies
from tests.chaos.endings import endings, forgets
from tests.chaos.kills import hasty, kills
from tests.chaos.machine import forgotten, histories
from tests.chaos.outages import outages, waits
from tests.chaos.poison import buried, poison
from tests.chaos.power import power, unsynced
from tests.chaos.promises import Row
from tests.chaos.soak import leaks, soak
from tests.chaos.whims import pushed, whims

ROWS = [
    Row(
        number=1,
        title="SIGKILL at 16 named points and at random instants, two writers at a time, SQLite and Redis",
        unit="kills",
        ci=300,
        full=10_000,
        play=kills,
        control=hasty,
        shows=frozenset({"lost"}),
        control_title="a writer that acknowledges before it adds",
        control_n=30,
    ),
    Row(
        number=3,
        title="a backend that refuses, loses replies, takes half, times out, doubles, reorders 30 % of batches",
        unit="batches",
        ci=2_000,
        full=100_000,
        play=whims,
        control=pushed,
        shows=frozenset({"unequal"}),
        control_title="an append that is not idempotent",
        control_n=100,
    ),
    Row(
        number=5,
        title="no room, I/O errors, torn writes, failed syncs, kills among them; every 50th a real full disk",
        unit="faults",
        ci=50,
        full=500,
        play=disks,
        control=lies,
        shows=frozenset({"lost"}),
        control_title="a disk that says it wrote",
        control_n=10,
    ),
    Row(
        number=6,
        title="1 % of the events are refused for good, each with its whole batch",
        unit="events",
        ci=10_000,
        full=1_000_000,
        play=poison,
        control=buried,
        shows=frozenset({"misjudged", "delayed"}),
        control_title="a delivery that buries the batch whole",
        control_n=500,
    ),
    Row(
        number=8,
        title="fork, preload, multiprocessing, SIGTERM, sys.exit, atexit, a fault in the delivery thread: 14 programs",
        unit="runs of each",
        ci=10,
        full=200,
        play=endings,
        control=forgets,
        shows=frozenset({"lost"}),
        control_title="a program that buffers until its exit",
    ),
    Row(
        number=9,
        title="state machine: adds, clears, TTLs, clocks, outages, kills, other hosts; five stores, one model",
        unit="runs",
        ci=500,
        full=50_000,
        play=histories,
        control=forgotten,
        shows=frozenset({"unequal"}),
        control_title="a store that forgets what it acknowledged",
        control_n=20,
    ),
    Row(
        number=2,
        title="power loss at any moment: unsynced writes and names dropped, torn, reordered",
        unit="images",
        ci=200,
        full=5_000,
        play=power,
        control=unsynced,
        shows=frozenset({"lost"}),
        control_title="files that are never synced",
        control_n=25,
    ),
    Row(
        number=4,
        title="a real Redis under load is killed, frozen, cut off, silent, slow; SQLite is the other backend",
        unit="outages",
        ci=10,
        full=200,
        play=outages,
        control=waits,
        shows=frozenset({"refused"}),
        control_title="an add that waits for the backend",
        control_n=1,
    ),
    Row(
        number=7,
        title="three hosts, clocks 500 ms apart, an hour back or set back, almost a day ahead",
        unit="histories",
        ci=2_000,
        full=50_000,
        play=clocks,
        control=blind,
        shows=frozenset({"hidden", "came_back"}),
        control_title="clocks that do not look at what they see",
        control_n=150,
    ),
    Row(
        number=10,
        title="a Redis that restarts empty or fails over without the last writes; `copy` brings back what it can",
        unit="losses",
        ci=10,
        full=100,
    ),
    Row(
        number=11,
        title="soak: 2,000 adds a second, a fault every few seconds",
        unit="seconds",
        ci=120,
        full=86_400,
        play=soak,
        control=leaks,
        shows=frozenset({"memory_grew"}),
        control_title="a process that keeps what it adds",
        control_n=9,
    ),
]
ROWS.sort(key=lambda row: row.number)
