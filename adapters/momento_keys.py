"""Room: where a session's events lie in a Momento cache, and which fetches read them: pure.

    eventlog:0:<session>       the first segment: a sorted set, value = record, score = the id's time and counter
    eventlog:<n>:<session>     the next ones, of about 1 MiB each, where a session outgrows it
    eventlog:sessions:<shard>  the names of sessions; score = when they were last written to, in ms

What else is in a segment lies elsewhere on the axis of scores:

    <= -EVENTS    copies of the clears, the newest first (first segment only): found without reading events
    0 .. EVENTS   how many bytes the writers of the segment have reserved
    EVENTS ..     the events
    MARKS ..      which segments there are beside the first (first segment only): the highest is seen first

Rules:
* A record may lie in any segment, in several of them too: writers need not agree, for readers merge all segments.
* Clears lie in the first segment, so that it outlives what they hide (momento.py keeps it alive).
* A page is never short because a reply was: it is asked for on from where it ended (`walk`).
"""

from __future__ import annotations

from binascii import crc32
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from eventlog.codec import is_cut
from eventlog.events import ID_BYTES

SEGMENT_BYTES_MAX = 1 << 20
LEASE_BYTES = 128 << 10
"""What a writer reserves in a segment at once."""
FREE_BYTES = 64 << 10
"""What a process writes to a session without reserving it, so that short sessions cost one call a batch."""
PUT_BYTES_MAX = 512 << 10
COUNT_MAX = 1 << 30
SHARDS = 16

EVENTS, MARKS = 2.0**40, 2.0**62
COUNTER, _CUT, _MARK = b"bytes", b"cut:", b"segment:"
_MARK_STEP = 1024.0
_ELEMENT_BYTES = 16

Elements = dict[bytes, float]
T = TypeVar("T")


class Fetch(NamedTuple):
    """One call: the elements of a key whose scores lie between two, both included."""

    key: str
    low: float | None = None
    high: float | None = None
    offset: int = 0
    number: int = 1
    descending: bool = True


Reply = list[tuple[bytes, float]]
Steps = Generator[Fetch, Reply | None, T]
"""What asks for fetches; None in reply is: more than a reply can hold."""


def segment_key(session: str, number: int) -> str:
    """Name a segment."""
    return f"eventlog:{number}:{session}"


def shard_key(session: str) -> str:
    """Name the set that a session is listed in."""
    return shard_keys()[crc32(session.encode()) % SHARDS]


def shard_keys() -> list[str]:
    """Name all sets of sessions."""
    return [f"eventlog:sessions:{number}" for number in range(SHARDS)]


def score(event_id: bytes) -> float:
    """Give the place of an id: exact to the counter until 2039, in order for ever."""
    counter = int.from_bytes(event_id[6:8], "big") & 0xFFF
    return EVENTS + float(int.from_bytes(event_id[:6], "big") << 12 | counter)


def mark(number: int) -> Elements:
    """Give what says that a segment is there."""
    return {_MARK + str(number).encode(): MARKS + number * _MARK_STEP}


def events(records: Iterable[bytes]) -> Elements:
    """Give the elements of records."""
    return {record: score(record) for record in records}


def copies(cuts: Iterable[bytes]) -> Elements:
    """Give the elements by which clears are found."""
    return {_CUT + cut: -score(cut) for cut in cuts}


def size_bytes(elements: Elements) -> int:
    """Give about what elements take."""
    return sum(map(len, elements)) + _ELEMENT_BYTES * len(elements)


def portions(values: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Split values so that each part fits into a call."""
    begin = filled = 0
    for end, value in enumerate(values):
        if filled and filled + len(value) + _ELEMENT_BYTES > PUT_BYTES_MAX:
            yield values[begin:end]
            begin, filled = end, 0
        filled += len(value) + _ELEMENT_BYTES
    if filled:
        yield values[begin:]


def marks(session: str) -> Fetch:
    """Ask for the highest mark."""
    return Fetch(segment_key(session, 0), low=MARKS)


def highest(reply: Reply | None) -> int:
    """Give the number of the last segment that a reply tells of."""
    return max((int(value[len(_MARK) :]) for value, place in reply or () if place >= MARKS), default=0)


def newest_cut(session: str) -> Fetch:
    """Ask for the newest clear."""
    return Fetch(segment_key(session, 0), high=-EVENTS, descending=False)


def cut_of(reply: Reply) -> bytes | None:
    """Give the record that a reply to that has."""
    return reply[0][0][len(_CUT) :] if reply else None


def walk(key: str, low: float, high: float | None, wanted: int) -> Steps[Reply]:
    """Give the `wanted` highest elements between two scores, however many replies that takes."""
    found: Reply = []
    ties, size = 0, wanted
    while True:
        asked = min(size, wanted - len(found))
        reply = yield Fetch(key, low, high, ties, asked)
        if reply is None:
            size = max(1, asked // 2)
            continue
        found += reply
        if len(reply) < asked or len(found) >= wanted:
            return found
        high = found[-1][1]
        ties = sum(place == high for _, place in found)


def page(session: str, before: bytes | None, limit: int) -> Steps[tuple[list[bytes], int]]:
    """Give the newest `limit` records below `before`, ascending, and the number of the last segment."""
    if before is None:
        records, last = yield from _newest(session, limit)
    else:
        last = highest((yield marks(session)))
        records = yield from _below(segment_key(session, 0), before, limit)
    if not last:
        return sorted(records)[-limit:], last
    for number in range(1, last + 1):
        records += yield from _below(segment_key(session, number), before, limit)
    return sorted(set(records))[-limit:], last


def _newest(session: str, limit: int) -> Steps[tuple[list[bytes], int]]:
    """Read the first segment from its end, where the marks are."""
    wanted = limit + 1
    while True:
        found = yield from walk(segment_key(session, 0), EVENTS, None, min(wanted, COUNT_MAX))
        records = [value for value, place in found if place < MARKS]
        if len(found) < wanted or len(records) >= limit:
            return records, highest(found)
        wanted = limit + len(found) - len(records)


def _below(key: str, before: bytes | None, limit: int) -> Steps[list[bytes]]:
    """Read the newest `limit` records of a segment below an id, which shares its score with few others."""
    high, wanted = (MARKS - _MARK_STEP, limit) if before is None else (score(before), limit + 1)
    while True:
        found = yield from walk(key, EVENTS, high, min(wanted, COUNT_MAX))
        records = [value for value, _ in found if before is None or value[:ID_BYTES] < before]
        if len(found) < wanted or len(records) >= limit:
            return records
        wanted = limit + len(found) - len(records)


def between(key: str, low: bytes, high: bytes) -> Steps[list[bytes]]:
    """Give a segment's records whose scores lie between those of two ids."""
    found = yield from walk(key, score(low), score(high), COUNT_MAX)
    return [value for value, _ in found]


def with_copies(records: Sequence[bytes]) -> list[bytes]:
    """Give the values that go when records do."""
    return [*records, *copies(filter(is_cut, records))]
