"""Room: what a journal's directory still knows of bytes that were damaged and of folders that are gone.

    <root>/damage.jsonl     one line for each place where bytes were stepped over; whoever has seen to it may remove it
    <root>/delivered.json   what went out of folders that are gone: {key: {delivered, retries}}

Rules:
* The same place, met by another backend or after a restart, counts once.
* Losing either file loses only counts; a full disk is no reason to stop.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from eventlog.files import PRIVATE_FILE
from eventlog.status import DelivererState

DAMAGE_BYTES_MAX = 1 << 20

logger = logging.getLogger("eventlog.journal")


class Damage(msgspec.Struct, frozen=True):
    """A place in a segment where bytes were stepped over."""

    segment: str
    offset: int
    size_bytes: int
    what: str


class Counts(msgspec.Struct, frozen=True):
    """What was delivered to one backend, and the retries that it took."""

    delivered: int = 0
    retries: int = 0


class Past:
    """The memory of one directory. `add` is called with the directory's lock held."""

    def __init__(self, root: Path) -> None:
        """Name the files; nothing is opened."""
        self._damage = root / "damage.jsonl"
        self._delivered = root / "delivered.json"

    def report(self, path: Path, offset: int, size_bytes: int, what: str) -> None:
        """Tell and note that bytes were stepped over, unless that place is known."""
        found = Damage(f"{path.parent.name}/{path.name}", offset, size_bytes, what)
        known = self.damage()
        if any((place.segment, place.offset, place.what) == (found.segment, offset, what) for place in known):
            return
        logger.error("found %s in %s at %d, %d bytes; stepped over", what, path, offset, size_bytes)
        with suppress(OSError):
            descriptor = os.open(self._damage, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, PRIVATE_FILE)
            try:
                if os.fstat(descriptor).st_size < DAMAGE_BYTES_MAX:
                    os.write(descriptor, msgspec.json.encode(found) + b"\n")
            finally:
                os.close(descriptor)

    def damage(self) -> set[Damage]:
        """Give the places that are known; lines that cannot be read are passed over."""
        found = set()
        with suppress(OSError):
            for line in self._damage.read_bytes().splitlines():
                with suppress(msgspec.MsgspecError):
                    found.add(msgspec.json.decode(line, type=Damage))
        return found

    def delivered(self) -> dict[str, Counts]:
        """Give key -> what went out of folders that are gone."""
        try:
            return msgspec.json.decode(self._delivered.read_bytes(), type=dict[str, Counts])
        except (OSError, msgspec.MsgspecError):
            return {}

    def add(self, states: Mapping[str, DelivererState]) -> None:
        """Count what a folder that is about to go has delivered."""
        past = self.delivered()
        for key, state in states.items():
            before = past.get(key, Counts())
            past[key] = Counts(before.delivered + state.delivered, before.retries + state.retries)
        temporary = self._delivered.with_suffix(".json-new")
        with suppress(OSError):
            temporary.touch(PRIVATE_FILE)
            temporary.write_bytes(msgspec.json.encode(past))
            temporary.replace(self._delivered)
