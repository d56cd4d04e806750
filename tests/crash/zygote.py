"""Makes writers by fork, sees them killed, and counts what the store has against what was acknowledged.

    python -m tests.crash.zygote PLACE URL KILLS SEED [sabotaged]

Writers of one journal live two at a time, so that the living take over what the dead left. Each writes down what was
acknowledged, with a plain write, after `add` returned; when sabotaged, before. At the end a last process drains, and
the store itself is read, not through our read path. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

import redis

import eventlog
from eventlog.codec import decode
from eventlog.errors import JournalFull
from eventlog.events import MessageAdded
from tests.crash.points import NTH_MAX, POINTS, die

SESSIONS = 5
ADDS_MAX = 3000
LIFE_S = (0.02, 0.3)
JOURNAL_BYTES = 1 << 20
DRAIN_S = 60.0
LOGIC = 3


def child(  # noqa: PLR0913 (what a writer is told)
    place: Path, url: str, tag: str, seed: int, *, point: str | None, sabotaged: bool
) -> NoReturn:
    """Write until dead: at a named point, or at an instant of the seed's choice."""
    try:
        chance = random.Random(seed)  # noqa: S311 (to be repeated)
        if point is not None:
            os.environ.update(HITS=str(place / "hits"), POINT=point)
            POINTS[point](chance.randint(1, NTH_MAX.get(point, 8)))
        timer = threading.Timer(LIFE_S[1] * 2 if point else chance.uniform(*LIFE_S), die)
        timer.daemon = True
        timer.start()
        write(place, url, tag, chance, sabotaged=sabotaged)
        time.sleep(LIFE_S[1] * 2)
        die()
    except BaseException:  # noqa: BLE001 (a child must not return into the parent's code)
        traceback.print_exc()
    os._exit(LOGIC)


def write(place: Path, url: str, tag: str, chance: random.Random, *, sabotaged: bool) -> None:
    """Add numbered messages to a few sessions, and write down each that was acknowledged."""
    acks = os.open(place / "acks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    log = eventlog.open(url, journal=place / "journal", max_journal_bytes=JOURNAL_BYTES, max_block=0.05)
    chats = [log.history(f"session-{number}") for number in range(SESSIONS)]
    for sequence in range(ADDS_MAX):
        number = chance.randrange(SESSIONS)
        message = {"writer": tag, "sequence": sequence, "pad": "x" * chance.randrange(700)}
        acknowledged = f"{tag} session-{number} {sequence}\n".encode()
        if sabotaged:
            os.write(acks, acknowledged)
        try:
            chats[number].add(message, ack="fsync" if sequence % 500 == 499 else None)
        except JournalFull:
            continue
        if not sabotaged:
            os.write(acks, acknowledged)


def spawn(*args: Any, **kwargs: Any) -> int:
    """Fork a writer and give its process id."""
    pid = os.fork()
    if pid == 0:
        child(*args, **kwargs)
    return pid


def drained(place: Path, url: str) -> bool:
    """Let a process of its own deliver what is left."""
    pid = os.fork()
    if pid == 0:
        try:
            log = eventlog.open(url, journal=place / "journal")
            os._exit(0 if log.flush(DRAIN_S) else 1)
        except BaseException:  # noqa: BLE001 (a child must not return into the parent's code)
            traceback.print_exc()
        os._exit(LOGIC)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def stored(url: str) -> dict[str, list[tuple[bytes, dict[str, Any]]]]:
    """Read the store itself: session -> (id, message) in id order."""
    if url.startswith("sqlite"):
        found = _rows(url.removeprefix("sqlite:///"))
    else:
        client = redis.Redis.from_url(url)
        found = [(_session(key), record) for key in client.scan_iter("eventlog:*") for record in _members(client, key)]
    sessions: dict[str, list[tuple[bytes, dict[str, Any]]]] = {}
    for session, record in sorted(found, key=lambda item: item[1]):
        event = decode(record)
        if isinstance(event, MessageAdded):
            sessions.setdefault(session, []).append((record[:16], event.message))
    return sessions


def _rows(path: str) -> list[tuple[str, bytes]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT session, id, body FROM events").fetchall()
    connection.close()
    return [(session, event_id + body) for session, event_id, body in rows]


def _session(key: bytes) -> str:
    return key.decode().split("{")[1].split("}")[0]


def _members(client: redis.Redis, key: bytes) -> list[bytes]:
    return [bytes(member) for member in client.zrange(key, 0, -1)]  # type: ignore[arg-type]


def compare(place: Path, url: str) -> dict[str, int]:
    """Count what is lost, doubled and out of order."""
    acknowledged = [tuple(line.split()) for line in (place / "acks").read_text().splitlines()]
    there: dict[tuple[str, str, str], int] = {}
    disordered = 0
    for session, events in stored(url).items():
        last: dict[str, int] = {}
        for _, message in events:
            writer, sequence = message["writer"], message["sequence"]
            there[writer, session, str(sequence)] = there.get((writer, session, str(sequence)), 0) + 1
            disordered += sequence <= last.get(writer, -1)
            last[writer] = sequence
    return {
        "acknowledged": len(acknowledged),
        "lost": sum(ack not in there for ack in acknowledged),
        "doubled": sum(times > 1 for times in there.values()),
        "disordered": disordered,
    }


def run(place: Path, url: str, kills: int, seed: int, *, sabotaged: bool) -> dict[str, int]:
    """Kill writers two at a time, then drain and compare."""
    chance = random.Random(seed)  # noqa: S311 (to be repeated)
    faults = 0
    for number in range(0, kills, 2):
        points = [chance.choice([*POINTS]) if chance.random() < 0.7 else None, None]
        pids = [
            spawn(place, url, f"{number + index}", chance.getrandbits(32), point=point, sabotaged=sabotaged)
            for index, point in enumerate(points)
        ]
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        faults += sum(code != -signal.SIGKILL for code in codes)
    hits = (place / "hits").read_text().splitlines() if (place / "hits").exists() else []
    return {
        "hits": len(hits),
        "points": len(set(hits)),
        "faults": faults,
        "drained": int(drained(place, url)),
    } | compare(place, url)


def main() -> None:
    """Run once, and print what came out."""
    place, url, kills, seed, *rest = sys.argv[1:]
    report = run(Path(place), url, int(kills), int(seed), sabotaged=bool(rest))
    print(json.dumps({"seed": int(seed), "kills": int(kills), **report}))  # noqa: T201


if __name__ == "__main__":
    main()
