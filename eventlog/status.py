"""Room: values that tell how it goes. What a deliverer writes beside its cursor, and what `status()` gives."""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["ok", "retrying", "down"]


class DelivererState(msgspec.Struct):
    """What the deliverer of one backend tells of one folder: `<key>.state`, JSON."""

    state: State = "ok"
    delivered: int = 0
    retries: int = 0
    last_error: str | None = None


class BackendStatus(msgspec.Struct, frozen=True):
    """How one backend stands, over all writers of the directory."""

    identity: str
    state: State
    lag_events: int
    lag_bytes: int
    oldest_age_s: float
    delivered: int
    retries: int
    dead_letters: int
    last_error: str | None
    note: str | None = None
    """What is peculiar to this backend, such as that it is a cache."""


class Status(msgspec.Struct, frozen=True):
    """How the log stands. `backends` are named by their URL's scheme, numbered when it repeats."""

    backends: dict[str, BackendStatus]
    journal: str
    journal_bytes: int
    segments: int
    clock_drift_s: float
    incomplete_reads: int
    quarantined: int
    damaged_frames: int
    torn_tails: int
    other_journals: int
