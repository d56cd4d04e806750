"""Room: what a log was opened with, checked once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Literal, cast, get_args

import msgspec

Ack = Literal["journal", "fsync", "backend"]
Expiry = Literal["fixed", "sliding"]
_ACKS: tuple[str, ...] = get_args(Ack)
_EXPIRIES: tuple[str, ...] = get_args(Expiry)
Role = Literal["process", "none", "sidecar"]
"""Who delivers: the process itself, another one, or this one for all others of the host."""

SEGMENT_BYTES_MAX = 64 << 20
SEGMENTS_MIN = 8
JOURNAL_BYTES_MIN = 1 << 20
ADD_BYTES_MAX = 8 << 20


class Settings(msgspec.Struct, frozen=True):
    """The arguments of `eventlog.open`, in plain units."""

    journal: Path
    ack: Ack = "journal"
    retain_ms: int | None = None
    max_journal_bytes: int = 1 << 30
    max_block_s: float = 5.0
    role: Role = "process"
    strict_reads: bool = False
    temporary: bool = False

    @property
    def segment_bytes(self) -> int:
        """How large a segment grows."""
        return min(SEGMENT_BYTES_MAX, self.max_journal_bytes // SEGMENTS_MIN)


def checked_ack(ack: str) -> Ack:
    """Give a level of acknowledgement; `ValueError` naming those there are."""
    if ack in _ACKS:
        return cast("Ack", ack)
    raise ValueError(f"expected ack to be one of {', '.join(_ACKS)}; found {ack!r}")


def checked_expiry(expiry: str) -> Expiry:
    """Give a way of expiry; `ValueError` naming those there are."""
    if expiry in _EXPIRIES:
        return cast("Expiry", expiry)
    raise ValueError(f"expected expiry to be one of {', '.join(_EXPIRIES)}; found {expiry!r}")


def checked_retain_ms(retain: timedelta | None) -> int | None:
    """Give `retain` in ms; `ValueError` if it is negative or no duration."""
    if retain is None:
        return None
    if not isinstance(retain, timedelta):
        raise ValueError(f"expected retain as timedelta or None, found {type(retain).__name__}")  # noqa: TRY004
    if retain < timedelta(0):
        raise ValueError(f"expected retain of zero or more, found {retain}")
    return round(retain.total_seconds() * 1000)


def checked_bytes(max_journal_bytes: int) -> int:
    """Give the journal's bound; `ValueError` if it is too small to hold segments."""
    if max_journal_bytes < JOURNAL_BYTES_MIN:
        raise ValueError(f"expected max_journal_bytes of at least {JOURNAL_BYTES_MIN}, found {max_journal_bytes}")
    return max_journal_bytes
