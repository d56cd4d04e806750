"""Row 9: the state machine of tests/machine, over each of its stores, against one model.

The control's store says yes to a batch and forgets its last event.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from eventlog.adapters.memory import MemoryBackend
from eventlog.errors import BackendError
from eventlog.ports import Batch
from tests.chaos.promises import Broken, Figures, Trial
from tests.core.examples import examples
from tests.core.tools import hurry
from tests.machine import test_log_machine
from tests.machine.test_log_machine import MAKERS, LogMachine

STEPS = 30


class Forgetful(MemoryBackend):
    """A store that loses what it acknowledges."""

    def append(self, batch: Batch) -> dict[str, BackendError]:
        """Store all but the last event of each session."""
        return super().append({session: records[:-1] for session, records in batch.items()})


def histories(trial: Trial) -> Figures:
    """Its share of the runs to each store."""
    for number, kind in enumerate(MAKERS):
        count = trial.n // len(MAKERS) + (number < trial.n % len(MAKERS))
        _run(kind, count, trial.seed + number)
    return {"runs": trial.n, "steps_max": STEPS, "stores": ", ".join(MAKERS), "unequal": 0}


def forgotten(trial: Trial) -> Figures:
    """The control."""
    with patch.dict(MAKERS, {"forgetful": lambda _: Forgetful("forgetful")}):
        try:
            _run("forgetful", trial.n, trial.seed, phases=[Phase.generate])
        except AssertionError as error:
            if _is_the_machines(error):
                raise Broken(frozenset({"unequal"}), {"unequal": 1}) from error
            raise
    return {"unequal": 0}


def _run(kind: str, count: int, number: int, **more: Any) -> None:
    if not count:
        return
    machine = seed(number)(type(f"{kind.title()}Machine", (LogMachine,), {"kind": kind}))
    with pytest.MonkeyPatch.context() as patched:
        hurry(patched, BACKOFF_FIRST_S=0.001, BACKOFF_MAX_S=0.005, BREAKER_FIRST_S=1e-9, SYNC_EVERY_S=0.01)
        hurry(patched, PROBE_FIRST_S=0.001, PROBE_MAX_S=0.01)
        asked = settings(examples(1, steps=STEPS), max_examples=count, database=None, **more)
        run_state_machine_as_test(machine, settings=asked)


def _is_the_machines(error: BaseException) -> bool:
    """Tell whether it was one of the machine's own comparisons."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return at is not None and at.tb_frame.f_code.co_filename == test_log_machine.__file__
