"""Row 4: a real Redis, under load, is killed, frozen, cut off, refused, slow, silent; SQLite is the other backend.

The control waits for the backend at each add.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from eventlog.adapters.sqlite import SQLiteBackend
from eventlog.codec import decode
from eventlog.demo.server import HOST, RedisServer
from eventlog.events import MessageAdded
from tests.chaos.load import RATE_PER_S, SESSIONS, Drained, Load, writing
from tests.chaos.promises import Figures, Trial, kept
from tests.contract.suite import ALL
from tests.servers.proxy import Proxy
from tests.servers.redis_server import make_redis

CALM_S, OUTAGE_S = 0.5, 1.0
PILE_EVENTS = 40_000
DELAY_S = 0.05
P99_RATIO_MAX, DRAIN_RATIO_MIN = 1.5, 5.0
OTHER_LAG_MAX = RATE_PER_S // 2
COUNTED = ("lost", "doubled", "disordered", "refused", "stuck")

Break = Callable[[RedisServer, Proxy], None]


def _frozen(server: RedisServer, _: Proxy) -> None:
    server.freeze()


def _killed(server: RedisServer, _: Proxy) -> None:
    server.kill()


def _cut(_: RedisServer, proxy: Proxy) -> None:
    proxy.refuse()
    proxy.cut()


def _slow(_: RedisServer, proxy: Proxy) -> None:
    proxy.delay_s = DELAY_S


def _deaf(_: RedisServer, proxy: Proxy) -> None:
    proxy.drop_replies(1 << 30)


OUTAGES: list[Break] = [_killed, _frozen, _cut, _deaf, _slow]


def mend(server: RedisServer, proxy: Proxy, outage: Break) -> None:
    """Be well again."""
    if outage is _killed:
        server.restart()
    if outage is _frozen:
        server.thaw()
    proxy.delay_s = 0.0
    proxy.resume()


def outages(trial: Trial) -> Figures:
    """One after another, each kind in turn."""
    figures = _suffered(trial)
    names = (*COUNTED, "slow_adds", "other_lagged", "slow_drains") if trial.judged else COUNTED
    return kept(figures, *names)


def waits(trial: Trial) -> Figures:
    """The control."""
    return kept(_suffered(trial, ack="backend", max_block=0.1), "refused")


def _suffered(trial: Trial, **options: Any) -> Figures:
    calm_s: list[float] = []
    rough_s: list[float] = []
    lags: list[int] = []
    drains: list[Drained] = []
    with make_redis(durable=True) as server, Proxy((HOST, server.port)) as proxy:
        url = f"redis://{HOST}:{proxy.port}/0"
        with writing(url, trial.place, **options) as load:
            load.do("add", CALM_S)
            for number in range(trial.n):
                outage = OUTAGES[(trial.seed + number) % len(OUTAGES)]
                calm_s += load.do("add", CALM_S)
                rough_s += _through(load, server, proxy, outage)
                lags.append(load.do("lag", "sqlite"))
                drains.append(_drained(load, server, proxy, outage, pile=not options))
            taken, refused = load.do("acknowledged")
        found = compared(server, trial.place, taken)
    return _figures(calm_s, rough_s, lags, drains) | {"outages": trial.n, "refused": refused, **found}


def _through(load: Load, server: RedisServer, proxy: Proxy, outage: Break) -> list[float]:
    outage(server, proxy)
    took_s: list[float] = load.do("add", OUTAGE_S)
    return took_s


def _drained(load: Load, server: RedisServer, proxy: Proxy, outage: Break, *, pile: bool) -> Drained:
    if pile:
        load.do("pile_up", PILE_EVENTS)
    mend(server, proxy, outage)
    drained: Drained = load.do("drain", "redis")
    return drained


def _figures(calm_s: list[float], rough_s: list[float], lags: list[int], drains: list[Drained]) -> Figures:
    ratio = _p99(rough_s) / _p99(calm_s)
    rates = sorted(drained.events / drained.seconds / RATE_PER_S for drained in drains if drained.events > RATE_PER_S)
    slowest = rates[0] if rates else float("inf")
    return {
        "adds": len(calm_s) + len(rough_s),
        "p99_us_calm": round(_p99(calm_s) * 1e6),
        "p99_us_outage": round(_p99(rough_s) * 1e6),
        "slow_adds": int(ratio > P99_RATIO_MAX),
        "other_lag_max": max(lags),
        "other_lagged": int(max(lags) > OTHER_LAG_MAX),
        "slowest_drain_x_of_ingress": round(slowest, 1),
        "slow_drains": int(slowest < DRAIN_RATIO_MIN),
        "stuck": sum(not drained.done for drained in drains),
    }


def _p99(took_s: list[float]) -> float:
    return sorted(took_s)[int(len(took_s) * 0.99)]


def compared(server: RedisServer, place: Path, taken: dict[int, array[int]]) -> Figures:
    """Compare both stores with what was acknowledged; what was refused may be there."""
    store = SQLiteBackend(place / "store.db")
    total: Figures = {"acknowledged": sum(map(len, taken.values())), "lost": 0, "doubled": 0, "disordered": 0}
    with redis.Redis.from_url(server.url) as client:
        for session in range(SESSIONS):
            members: Any = client.zrange(f"eventlog:{{s{session}}}:e", 0, -1)
            for records in (members, store.read(f"s{session}", limit=ALL * 100)):
                numbers = [event.message[0] for event in map(decode, records) if isinstance(event, MessageAdded)]
                total["lost"] += len(set(taken[session]) - set(numbers))
                total["doubled"] += len(numbers) - len(set(numbers))
                total["disordered"] += numbers != sorted(numbers)
    store.close()
    return total
