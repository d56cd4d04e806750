"""The check finds what is wrong when something is: each promise is broken on purpose, in a child."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.campaign import Campaign, Zygote
from tests.crash.sabotage import HEADINGS
from tests.crash.tasks import Task

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]
POINTS = ["before the write of a frame", "before an append to SQLite", "after an append to SQLite"] * 3


@pytest.mark.parametrize("sabotage", HEADINGS, ids=lambda sabotage: sabotage.__name__)
def test_a_journal_that_breaks_a_promise_is_caught(
    sabotage: Callable[[Task], None], tmp_path: Path, zygote: Zygote
) -> None:
    """Under the heading of that promise."""
    url = f"sqlite:///{tmp_path}/store.db"
    campaign = Campaign(tmp_path, [url], "control", zygote)
    campaign.fight(POINTS, sabotage=sabotage.__name__)
    campaign.drain()
    assert HEADINGS[sabotage] in campaign.judge(url)


def test_a_journal_that_keeps_them_is_not(tmp_path: Path, zygote: Zygote) -> None:
    """The same without sabotage."""
    url = f"sqlite:///{tmp_path}/store.db"
    campaign = Campaign(tmp_path, [url], "control", zygote)
    campaign.fight(POINTS)
    campaign.drain()
    assert campaign.judge(url) == {}
