"""Room: rounds. The contestants of a group take turns; each round has a clean process of its own.

Rules:
* A contestant is a function at the top of a module: `work(task, orders) -> Sample`. It asserts what it
  claims.
* The parent holds the server: a round that wants it killed or started again asks for it (`Orders`).
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bench.arena import Arena

if TYPE_CHECKING:
    from bench.cassandra_arena import CassandraArena

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["bench.rows"])
_TIMEOUT_S = 300.0

Sample = dict[str, float]


class Task(NamedTuple):
    """What a round is given: a server, a place for its journal, and how much to do."""

    url: str
    direct_url: str
    journal: str
    size: int


class Orders:
    """A round's line to the process that holds the server."""

    def __init__(self, line: Connection) -> None:
        self._line = line

    def kill_server(self) -> None:
        """Return when the server is dead."""
        self._ask("kill")

    def restart_server(self) -> None:
        """Return when it answers again, empty."""
        self._ask("restart")

    def _ask(self, order: str) -> None:
        self._line.send(order)
        self._line.recv()


Work = Callable[[Task, Orders], Sample]


class Contestant(NamedTuple):
    """One side of a comparison."""

    name: str
    work: Work
    size: int
    slow: bool = False


class Group(NamedTuple):
    """Contestants that take turns, with their number of rounds."""

    name: str
    contestants: Sequence[Contestant]
    rounds: int


class Spread(NamedTuple):
    """A number of several rounds."""

    median: float
    low: float
    high: float
    rounds: list[float]


Results = dict[str, list[Sample]]


def preload(*modules: str) -> None:
    """Have what the rounds import be imported once, before the first."""
    _CONTEXT.set_forkserver_preload(list(modules))


def play(group: Group, arena: Arena | CassandraArena, say: Callable[[str], None]) -> Results:
    """Play all rounds of a group, in turns: a, b, a, b, ..."""
    results: Results = {contestant.name: [] for contestant in group.contestants}
    for number in range(group.rounds):
        for contestant in group.contestants:
            say(f"{group.name}: round {number + 1} of {group.rounds}, {contestant.name}")
            results[contestant.name].append(_round(contestant, arena))
    return results


def _round(contestant: Contestant, arena: Arena | CassandraArena) -> Sample:
    with arena.fresh() as journals:
        task = Task(arena.url(slow=contestant.slow), arena.server.url, str(journals), contestant.size)
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=_child, args=(theirs, contestant.work, task), name=contestant.name)
        process.start()
        theirs.close()
        try:
            return _serve(ours, arena, contestant.name)
        finally:
            process.join(_TIMEOUT_S)


def _serve(line: Connection, arena: Arena | CassandraArena, name: str) -> Sample:
    """Do what a round orders until it gives its sample."""
    while line.poll(_TIMEOUT_S):
        match line.recv():
            case "kill":
                arena.server.kill()
            case "restart":
                arena.server.restart()
            case dict() as sample:
                return sample
            case failure:
                raise RuntimeError(f"a round of {name} failed:\n{failure}")
        line.send("done")
    raise TimeoutError(f"expected a round of {name} within {_TIMEOUT_S} s, found none")


def _child(line: Connection, work: Work, task: Task) -> None:
    os.environ["EVENTLOG_JOURNAL"] = task.journal
    logging.getLogger().addHandler(logging.NullHandler())  # warnings are made as ever, and shown to nobody
    gc.collect()
    try:
        line.send(work(task, Orders(line)))
    except BaseException:  # noqa: BLE001 (the parent tells it)
        line.send(traceback.format_exc())


def spread(samples: Sequence[Sample], metric: str) -> Spread:
    """Give the median and the extremes of one metric."""
    values = [sample[metric] for sample in samples]
    return Spread(median(values), min(values), max(values), values)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Give the value that `share` of the sorted values do not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
