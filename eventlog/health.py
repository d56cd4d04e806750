"""Room: how a log stands, put together from what lies in the directory: the same from any process.

Rules:
* Lag is counted by ordinals, not by reading what is pending.
* Nothing here holds a message or a credential.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from eventlog.directory import Directory, Folder
from eventlog.events import ID_BYTES
from eventlog.follower import SegmentReader, segment_numbers
from eventlog.frames import HEADER_BYTES
from eventlog.incarnation import Incarnation
from eventlog.past import Counts
from eventlog.ports import Backend, note_of
from eventlog.segment import Position, segment_path
from eventlog.statefile import read_state
from eventlog.status import BackendStatus, DelivererState, State, Status

_RANK: dict[State, int] = {"ok": 0, "retrying": 1, "down": 2}


def gather(live: Incarnation) -> Status:
    """Give the status of a log's directory and backends."""
    folders = live.directory.folders()
    ends = {folder.path: folder.end() for folder in folders}
    kinds = [place.what for place in live.directory.past.damage()]
    return Status(
        backends={
            name: _backend(folders, ends, live.keys[name], backend, live) for name, backend in live.backends.items()
        },
        journal=str(live.directory.root),
        journal_bytes=live.directory.usage_bytes() + live.aside.size_bytes,
        segments=sum(len(segment_numbers(folder.path)) for folder in folders),
        clock_drift_s=max(0.0, (live.clock.last_ms - live.now_ms()) / 1000) if live.clock.last else 0.0,
        incomplete_reads=live.reader.incomplete_reads,
        quarantined=len(live.reader.quarantined),
        damaged_frames=kinds.count("damage") + kinds.count("no segment"),
        torn_tails=kinds.count("torn tail"),
        other_journals=_others(live.directory),
    )


def _backend(
    folders: list[Folder], ends: dict[Path, Position], key: str, backend: Backend, live: Incarnation
) -> BackendStatus:
    concerned = [folder for folder in folders if key in folder.backends()]
    delivery = live.deliveries[key]
    states = [delivery.told(folder.path.name) or read_state(folder.state_path(key)) for folder in concerned]
    if delivery.running:
        states.append(DelivererState(state=delivery.state, last_error=delivery.last_error))
    worst = max(states, key=lambda state: _RANK[state.state], default=DelivererState())
    aside, past = live.aside.counts(key), live.directory.past.delivered().get(key, Counts())
    lags = [_lag(folder, key, ends[folder.path], live.now_ms()) for folder in concerned]
    return BackendStatus(
        identity=backend.identity,
        state=worst.state,
        lag_events=sum(events for events, _, _ in lags) + aside.held + aside.dead,
        lag_bytes=sum(size for _, size, _ in lags),
        oldest_age_s=max((age for _, _, age in lags), default=0.0),
        delivered=past.delivered + sum(state.delivered for state in states),
        retries=past.retries + sum(state.retries for state in states),
        dead_letters=aside.dead,
        last_error=worst.last_error,
        note=note_of(backend),
    )


def _lag(folder: Folder, key: str, end: Position, now_ms: int) -> tuple[int, int, float]:
    """Give the events, the bytes and the age in seconds of what a backend lacks of a folder."""
    position = folder.position(key)
    if position[:2] >= end[:2]:
        return 0, 0, 0.0
    numbers = [number for number in segment_numbers(folder.path) if number >= position.segment]
    sizes = {number: _size_bytes(segment_path(folder.path, number)) for number in numbers}
    before = position.offset if position.segment in sizes else 0
    return (
        max(0, end.ordinal - position.ordinal),
        max(0, sum(sizes.values()) - before),
        _age_s(folder, position, numbers, now_ms),
    )


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # delivered and removed meanwhile


def _age_s(folder: Folder, position: Position, numbers: list[int], now_ms: int) -> float:
    for number in numbers:
        try:
            segment = SegmentReader(folder.path, number)
        except FileNotFoundError:
            continue
        try:
            for frame in segment.scan(position.offset if number == position.segment else HEADER_BYTES):
                if frame.records:
                    ms = int.from_bytes(frame.records[0][:ID_BYTES][:6], "big")
                    return max(0.0, (now_ms - ms) / 1000)
        finally:
            segment.close()
    return 0.0


def _others(directory: Directory) -> int:
    """Count the journals beside this one that still hold something, as far as we may look."""
    count = 0
    with suppress(OSError):
        for path in directory.root.parent.iterdir():
            count += path != directory.root and _holds_something(path)
    return count


def _holds_something(path: Path) -> bool:
    try:
        return (path / "high-water").exists() and any(path.glob("*/*.seg"))
    except OSError:
        return False
