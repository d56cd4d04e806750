"""Nothing acknowledged is lost, doubled, changed, reordered or torn, whoever dies and whenever.

The campaign is in campaign.py, what is promised in verdict.py, where processes die in points.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
import redis

from tests.crash.campaign import Campaign, Zygote
from tests.crash.points import ASIDE_POINTS, POINTS, REDIS_POINTS, SQLITE_POINTS

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]
LOTS = 4
NAMED = 0.6
"""The part of the kills that is at named points; the others are at any instant."""


def drawn(points: list[str], kills: int, seed: str) -> list[str | None]:
    """Draw the points of a lot, each as often as any other; None is any instant."""
    chance = Random(seed)  # noqa: S311 (to be repeated)
    named = [point for _ in range(kills // len(points) + 1) for point in chance.sample(points, len(points))]
    lot: list[str | None] = [*named[: round(NAMED * kills)]]
    lot += [None] * (kills - len(lot))
    chance.shuffle(lot)
    return lot


def holds(campaign: Campaign, *urls: str) -> None:
    """Let what is left be delivered, and fail unless every promise was kept."""
    assert campaign.drain() == 0, campaign.faults()
    for url in urls:
        assert campaign.judge(url) == {}, url
    assert campaign.acks()
    assert campaign.left_behind() == []
    assert campaign.faults() == []


def fought(campaign: Campaign, points: list[str], kills: int, seed: str, *urls: str) -> None:
    """Fight in two chapters over one journal, and judge after each."""
    lot = drawn(points, kills // LOTS, seed)
    middle = len(lot) // 2
    for chapter in (lot[:middle], lot[middle:]):
        campaign.fight(chapter)
        holds(campaign, *urls)
    assert campaign.kills >= 0.7 * len(lot), "most of those who should die did"


def test_kills_break_no_promise_over_sqlite(tmp_path: Path, kills: int, seed: str, zygote: Zygote) -> None:
    """Writers in one journal, a SQLite file behind them."""
    url = f"sqlite:///{tmp_path}/store.db"
    fought(Campaign(tmp_path, [url], seed, zygote), [*POINTS, *SQLITE_POINTS], kills, seed, url)


def test_kills_break_no_promise_over_redis(
    tmp_path: Path, redis_url: str, kills: int, seed: str, zygote: Zygote
) -> None:
    """The same over a real server."""
    fought(Campaign(tmp_path, [redis_url], seed, zygote), [*POINTS, *REDIS_POINTS], kills, seed, redis_url)


def test_kills_break_no_promise_over_two_stores(
    tmp_path: Path, redis_url: str, kills: int, seed: str, zygote: Zygote
) -> None:
    """Each store has cursors of its own, and in the end both have everything."""
    urls = [redis_url, f"sqlite:///{tmp_path}/store.db"]
    points = [*POINTS, *REDIS_POINTS, *SQLITE_POINTS]
    fought(Campaign(tmp_path, urls, seed, zygote), points, kills, seed, *urls)


def test_kills_break_no_promise_while_a_session_is_held(
    tmp_path: Path, redis_url: str, kills: int, seed: str, zygote: Zygote
) -> None:
    """Events that the server does not take for their key's sake go aside, and to the store when the key is free."""
    campaign = Campaign(tmp_path, [redis_url], seed, zygote)
    with redis.Redis.from_url(redis_url) as client:
        for chapter in range(2):
            with _held(client, "eventlog:{session-3}:e"):
                campaign.fight(drawn([*ASIDE_POINTS, *POINTS], kills // LOTS // 2, f"{seed}/{chapter}"))
            holds(campaign, redis_url)


@contextmanager
def _held(client: redis.Redis, key: str) -> Iterator[None]:
    """Have a key of another type in the way for a while."""
    there = client.exists(key)
    if there:
        client.rename(key, "meanwhile")
    client.set(key, "of another type")
    yield
    client.delete(key)
    if there:
        client.rename("meanwhile", key)


def test_every_named_point_is_a_place_to_die_at(tmp_path: Path, zygote: Zygote) -> None:
    """Else the campaigns prove less than they say."""
    points = [*POINTS, *SQLITE_POINTS]
    campaign = Campaign(tmp_path, [f"sqlite:///{tmp_path}/store.db"], "points", zygote)
    for point in points:
        campaign.wait_until_fewer_than(4)
        campaign.bear(point=point, nth=1)
    campaign.wait_until_fewer_than(1)
    for point in set(points) - campaign.reached():  # somebody who lives was there first
        campaign.bear(point=point, nth=1)
        campaign.wait_until_fewer_than(1)
    assert set(points) - campaign.reached() == set()
    assert campaign.faults() == []
