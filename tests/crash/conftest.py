"""How many kills, from which seed: --kills and --seed, or $EVENTLOG_KILLS and $EVENTLOG_SEED.

The options are known when this folder is named on the command line; the variables are, always.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from random import SystemRandom

import pytest

from tests.crash.campaign import Zygote
from tests.crash.campaign import zygote as new_zygote

KILLS_IN_CI, KILLS_ON_A_LAPTOP = 200, 40


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the two options."""
    parser.addoption("--kills", type=int, help="how many processes the crash tests kill, in all")
    parser.addoption("--seed", help="what the crash tests draw their kills from")


def _told(request: pytest.FixtureRequest, name: str) -> str | None:
    return request.config.getoption(f"--{name}", default=None) or os.environ.get(f"EVENTLOG_{name.upper()}")


@pytest.fixture(scope="session")
def kills(request: pytest.FixtureRequest) -> int:
    """Give the number of kills in a whole run."""
    return int(_told(request, "kills") or (KILLS_IN_CI if os.environ.get("CI") == "true" else KILLS_ON_A_LAPTOP))


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> str:
    """Give the seed, and print it."""
    found = _told(request, "seed") or str(SystemRandom().getrandbits(32))
    print(f"repeat with EVENTLOG_SEED={found}")  # noqa: T201 (it is shown when the test fails)
    return found


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    """Give the process that children are forked from."""
    with new_zygote() as one:
        yield one
