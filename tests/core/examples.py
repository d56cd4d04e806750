"""How many examples a law is tried on: few at each run, many where HYPOTHESIS_PROFILE asks for them."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TIMES = {"quick": 1, "ci": 4, "night": 50}


def examples(count: int, steps: int = 50) -> settings:
    """Give settings for `count` examples, more of them in a longer profile; `steps` is for machines."""
    times = TIMES[os.environ.get("HYPOTHESIS_PROFILE", "quick")]
    skipped = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
    return settings(
        max_examples=count * times,
        stateful_step_count=steps,
        deadline=None,
        print_blob=True,
        suppress_health_check=skipped,
    )
