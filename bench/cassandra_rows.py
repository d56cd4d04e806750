"""Room: the table of Cassandra: who takes turns, which two numbers a row divides, and what is wanted of it."""

from __future__ import annotations

from bench import cassandra_work as work
from bench.rounds import Contestant, Group
from bench.rows import EQUAL, Number, Row


def groups(*, quick: bool) -> list[Group]:
    """Give who takes turns with whom, and how long."""
    adds, theirs, rounds = (20_000, 1_000, 2) if quick else (100_000, 5_000, 5)
    ones, eights = (8_000, 20_000) if quick else (40_000, 200_000)
    events, clears_rounds = (200_000, 1) if quick else (1_000_000, 3)
    return [
        Group(
            "add",
            [
                Contestant("drop-in add", work.drop_in_add, adds),
                Contestant("their add", work.their_add, theirs),
                Contestant("drop-in add, sidecar", work.drop_in_add_sidecar, adds),
            ],
            rounds,
        ),
        Group(
            "drain",
            [
                Contestant("drain, ones", work.drain_ones, ones),
                Contestant("their drain", work.their_drain, theirs),
                Contestant("drain, eights", work.drain_eights, eights),
            ],
            min(rounds, 3),
        ),
        Group(
            "read",
            [
                Contestant("chat.messages", work.chat_read, 5_000),
                Contestant("their read", work.their_read, 5_000),
                Contestant("drop-in read", work.drop_in_read, 5_000),
            ],
            rounds,
        ),
        Group("pause", [Contestant("amessages", work.paused, 20_000)], rounds),
        Group("cleared", [Contestant("last=20", work.last_of_cleared, 100)], clears_rounds),
        Group("memory", [Contestant("delivery", work.memory, events)], 1),
    ]


def _faster(group: str, title: str, ours: str, theirs: str, wanted: tuple[float, float]) -> Row:
    return Row(group, title, Number(ours, "per_s"), Number(theirs, "per_s"), *wanted)


def _no_more(group: str, title: str, numbers: tuple[Number, Number], wanted: tuple[float, float]) -> Row:
    return Row(group, title, *numbers, *wanted, lower_is_better=True)


ROWS = [
    _faster("add", "drop-in add_message, delivery in process", "drop-in add", "their add", (40, 80)),
    _faster("add", "drop-in add_message, by a sidecar", "drop-in add, sidecar", "their add", (80, 150)),
    _faster("drain", "until all is in Cassandra, 1 event a session in a batch", "drain, ones", "their drain", (3, 5)),
    _faster(
        "drain", "until all is in Cassandra, 8 events a session in a batch", "drain, eights", "their drain", (10, 20)
    ),
    _faster("read", "messages of 5,000, plain dicts", "chat.messages", "their read", (2.5, 4)),
    _faster("read", "messages of 5,000, LangChain", "drop-in read", "their read", (1.3, 2)),
    _no_more(
        "pause",
        "amessages of 20,000: longest pause of the loop / 20 ms",
        (Number("amessages", "pause_ms"), Number("amessages", "bound_ms")),
        (1, 0.25),
    ),
    _no_more(
        "cleared",
        "last=20 in a session cleared 10,000 times / in a new one",
        (Number("last=20", "cleared_ms"), Number("last=20", "new_ms")),
        (2, 1.2),
    ),
    _no_more(
        "memory",
        "memory after 1,000,000 delivered events / after 200,000",
        (Number("delivery", "end_MB"), Number("delivery", "early_MB")),
        (1.1, EQUAL),
    ),
]
