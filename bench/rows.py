"""Room: the table: who takes turns, which two numbers a row divides, and what is wanted of it."""

from __future__ import annotations

from typing import NamedTuple

from bench import (
    work_add,
    work_backlog,
    work_drain,
    work_fsync,
    work_moving,
    work_outage,
    work_pending,
    work_read,
    work_sidecar,
)
from bench.rounds import Contestant, Group, Results, Spread, spread

EQUAL = 1.05


class Number(NamedTuple):
    """One metric of one contestant."""

    contestant: str
    metric: str


class Row(NamedTuple):
    """One line: `top` divided by `bottom`."""

    group: str
    title: str
    top: Number
    bottom: Number
    at_least: float
    aim: float
    lower_is_better: bool = False

    def ratio(self, results: Results) -> float:
        """Divide the medians."""
        return self.top_spread(results).median / self.bottom_spread(results).median

    def ratios(self, results: Results) -> Spread:
        """Divide round by round: how far the ratio moved during the run."""
        pairs = zip(self.top_spread(results).rounds, self.bottom_spread(results).rounds, strict=True)
        return spread([{"ratio": top / bottom} for top, bottom in pairs], "ratio")

    def top_spread(self, results: Results) -> Spread:
        """Give what stands above the line."""
        return spread(results[self.top.contestant], self.top.metric)

    def bottom_spread(self, results: Results) -> Spread:
        """Give what stands below the line."""
        return spread(results[self.bottom.contestant], self.bottom.metric)

    def meets(self, results: Results, wanted: float) -> bool:
        """Tell whether the ratio is on the right side of a bound."""
        found = self.ratio(results)
        return found <= wanted if self.lower_is_better else found >= wanted


def groups(*, quick: bool) -> list[Group]:
    """Give who takes turns with whom, and how long."""
    return _add_groups(quick=quick) + _other_groups(quick=quick) + _running_groups(quick=quick)


def _add_groups(*, quick: bool) -> list[Group]:
    adds, theirs, rounds = (20_000, 4_000, 3) if quick else (100_000, 20_000, 7)
    slow, their_slow = (20_000, 150) if quick else (100_000, 500)
    new, their_new = (10_000, 600) if quick else (50_000, 2_000)
    return [
        Group(
            "add",
            [
                Contestant("chat.add", work_add.chat_add, adds),
                Contestant("their add", work_add.their_add, theirs),
                Contestant("drop-in add", work_add.drop_in_add, adds),
            ],
            rounds,
        ),
        Group(
            "add-ttl-1ms",
            [
                Contestant("drop-in add, ttl, 1 ms", work_add.drop_in_add_ttl, slow, slow=True),
                Contestant("their add, ttl, 1 ms", work_add.their_add_ttl, their_slow, slow=True),
            ],
            rounds,
        ),
        Group(
            "new-instance",
            [
                Contestant("drop-in, new each", work_add.drop_in_new, new),
                Contestant("theirs, new each", work_add.their_new, their_new),
            ],
            rounds,
        ),
    ]


def _other_groups(*, quick: bool) -> list[Group]:
    drain, rounds = (10_000, 2) if quick else (200_000, 3)
    large, reads = (20_000, 2) if quick else (100_000, 5)
    paced, calm_rounds = (work_outage.RATE_PER_S * 2, 2) if quick else (work_outage.RATE_PER_S * 5, 5)
    return [
        Group(
            "drain",
            [
                Contestant("drain", work_drain.our_drain, drain),
                Contestant("their drain", work_drain.their_drain, drain),
            ],
            rounds,
        ),
        Group(
            "read",
            [
                Contestant("chat.messages", work_read.chat_read, 5_000),
                Contestant("their read", work_read.their_read, 5_000),
                Contestant("drop-in read", work_read.drop_in_read, 5_000),
            ],
            reads,
        ),
        Group(
            "moving",
            [
                Contestant("their old read", work_moving.their_old_read, 1_000),
                Contestant("first read", work_moving.first_read, 1_000),
                Contestant("import", work_moving.bulk_import, large),
            ],
            reads,
        ),
        Group("last", [Contestant("last=20", work_read.last_few, large)], reads),
        Group(
            "outage",
            [
                Contestant("calm", work_outage.calm, paced),
                Contestant("outage", work_outage.outage, paced),
            ],
            calm_rounds,
        ),
    ]


def _running_groups(*, quick: bool) -> list[Group]:
    """Give what operators ask for: a sidecar, syncs, a backlog."""
    adds, theirs, rounds = (20_000, 4_000, 3) if quick else (100_000, 20_000, 7)
    paced, synced = (work_sidecar.RATE_PER_S, 640) if quick else (work_sidecar.RATE_PER_S * 5, 6_400)
    backlog, backlogs = (20_000, 2) if quick else (1_000_000, 2)
    return [
        Group(
            "sidecar",
            [
                Contestant("chat.add, sidecar", work_sidecar.sidecar_add, adds),
                Contestant("their add, beside", work_add.their_add, theirs),
                Contestant("drop-in add, sidecar", work_sidecar.sidecar_drop_in, adds),
            ],
            rounds,
        ),
        Group(
            "paced-20k",
            [
                Contestant("paced, sidecar", work_sidecar.paced_sidecar, paced),
                Contestant("paced, in process", work_sidecar.paced_process, paced),
            ],
            rounds,
        ),
        Group(
            "fsync",
            [
                Contestant("fsync, 1 thread", work_fsync.one_thread, synced),
                Contestant("fdatasync", work_fsync.raw, synced),
                Contestant("fsync, 64 threads", work_fsync.many_threads, 10 * synced),
                Contestant("fsync, 1, delivering", work_fsync.one_thread_delivering, synced),
                Contestant("fsync, 64, delivering", work_fsync.many_threads_delivering, 10 * synced),
            ],
            rounds,
        ),
        Group(
            "backlog",
            [
                Contestant("backlog", work_backlog.ours, backlog),
                Contestant("pipeline", work_backlog.raw, backlog),
                Contestant("backlog, ttl", work_backlog.ours_ttl, backlog),
                Contestant("pipeline, ttl", work_backlog.raw_ttl, backlog),
            ],
            backlogs,
        ),
        Group(
            "pending",
            [
                Contestant("pending", work_pending.pending, backlog),
                Contestant("pending, tenfold", work_pending.pending, 10 * backlog),
            ],
            1,
        ),
    ]


def _faster(group: str, title: str, ours: str, theirs: str, wanted: tuple[float, float]) -> Row:
    return Row(group, title, Number(ours, "per_s"), Number(theirs, "per_s"), *wanted)


def _budget(group: str, title: str, name: str, metric: str, aim: float) -> Row:
    """Divide a metric by what it may be at most."""
    budget = f"budget_{metric.rpartition('_')[2]}"
    return Row(group, title, Number(name, metric), Number(name, budget), 1, aim, lower_is_better=True)


ROWS = [
    _faster("add", "chat.add", "chat.add", "their add", (6, 12)),
    _faster("add", "drop-in add_message", "drop-in add", "their add", (5, 10)),
    _faster(
        "add-ttl-1ms",
        "the same with ttl, 1 ms to the server",
        "drop-in add, ttl, 1 ms",
        "their add, ttl, 1 ms",
        (200, 500),
    ),
    _faster("new-instance", "a new drop-in each call", "drop-in, new each", "theirs, new each", (50, 100)),
    _faster("drain", "until all is in Redis, 1,000 sessions", "drain", "their drain", (5, 10)),
    _faster("read", "messages of 5,000, plain dicts", "chat.messages", "their read", (8, 15)),
    _faster("read", "messages of 5,000, LangChain", "drop-in read", "their read", (2, 3)),
    Row(
        "moving",
        "first read of 1,000 old messages / theirs",
        Number("first read", "ms"),
        Number("their old read", "ms"),
        2,
        1.5,
        lower_is_better=True,
    ),
    Row(
        "moving",
        "the reads after it / theirs",
        Number("first read", "later_ms"),
        Number("their old read", "ms"),
        1.2,
        1,
        lower_is_better=True,
    ),
    Row(
        "moving",
        "import, Redis to Redis, of 20,000/s",
        Number("import", "per_s"),
        Number("import", "wanted_per_s"),
        1,
        2,
    ),
    Row(
        "last",
        "last=20 in a large session / in one of 100",
        Number("last=20", "large_ms"),
        Number("last=20", "small_ms"),
        2,
        1.2,
        lower_is_better=True,
    ),
    Row(
        "outage",
        "p99 of add at 5,000/s, outage / none",
        Number("outage", "p99_us"),
        Number("calm", "p99_us"),
        1.5,
        EQUAL,
        lower_is_better=True,
    ),
    Row(
        "outage",
        "p99.9 of add at 5,000/s, outage / none",
        Number("outage", "p999_us"),
        Number("calm", "p999_us"),
        1.5,
        EQUAL,
        lower_is_better=True,
    ),
    _faster("sidecar", "chat.add, a sidecar delivers", "chat.add, sidecar", "their add, beside", (15, 30)),
    _faster("sidecar", "drop-in add_message, the same", "drop-in add, sidecar", "their add, beside", (12, 25)),
    _budget("paced-20k", "p99 of add at 20,000/s, sidecar, of 50 us", "paced, sidecar", "p99_us", 0.4),
    _budget("paced-20k", "p99 of add at 20,000/s, in process, of 250 us", "paced, in process", "p99_us", 0.6),
    _faster("fsync", 'ack="fsync", 1 thread / bare fdatasync', "fsync, 1 thread", "fdatasync", (0.8, 0.9)),
    _faster("fsync", 'ack="fsync", 64 threads / bare fdatasync', "fsync, 64 threads", "fdatasync", (4, 8)),
    _faster("fsync", "1 thread, the loop in this process", "fsync, 1, delivering", "fdatasync", (0.8, 0.9)),
    _faster("fsync", "64 threads, the loop in this process", "fsync, 64, delivering", "fdatasync", (4, 8)),
    _faster("backlog", "1,000,000 pending into Redis / pipeline", "backlog", "pipeline", (0.25, 0.5)),
    _faster("backlog", "the same with a TTL on every event", "backlog, ttl", "pipeline, ttl", (0.2, 0.4)),
    Row(
        "pending",
        "messages with 1,000,000 pending / none",
        Number("pending", "read_ms"),
        Number("pending", "read_none_ms"),
        3,
        1.5,
        lower_is_better=True,
    ),
    _budget("pending", "the same, of 5 ms", "pending", "read_ms", EQUAL),
    _budget("pending", "its writer's memory, of 64 MB", "pending", "writer_mb", EQUAL),
    _budget("pending", "its reader's memory, of 64 MB", "pending", "reader_mb", EQUAL),
    Row(
        "pending",
        "messages with 10,000,000 pending / 1,000,000",
        Number("pending, tenfold", "read_ms"),
        Number("pending", "read_ms"),
        2,
        EQUAL,
        lower_is_better=True,
    ),
    _budget("pending", "memory with 10,000,000: the writer's, of 64 MB", "pending, tenfold", "writer_mb", EQUAL),
    _budget("pending", "the reader's, of 64 MB", "pending, tenfold", "reader_mb", EQUAL),
]
