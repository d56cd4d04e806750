"""What a child of the harness is told, and the messages that it writes: known beforehand to whoever checks them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from zlib import crc32

import msgspec

SESSIONS = tuple(f"session-{number}" for number in range(6))
CALL_EVENTS_MAX = 5


class Task(msgspec.Struct, frozen=True):
    """One process of the harness."""

    name: str
    place: str
    urls: tuple[str, ...]
    seed: str
    work: Literal["write", "drain"] = "write"
    calls: int = 1500
    """After so many a thread of the writer ends; who must live until he is killed has many."""
    threads: int = 1
    point: str | None = None
    nth: int = 1
    behind_ms: int = 0
    """How far its wall clock is behind the true one."""
    sabotage: str | None = None
    journal_bytes: int = 1 << 20

    @property
    def journal(self) -> Path:
        """Where all processes of a campaign keep their journal."""
        return Path(self.place) / "journal"

    @property
    def acks(self) -> Path:
        """Where it writes down what was acknowledged."""
        return Path(self.place) / f"{self.name}.acks"

    @property
    def told(self) -> Path:
        """Where its stderr goes."""
        return Path(self.place) / f"{self.name}.log"

    @property
    def struck(self) -> Path:
        """The file that says its point was reached."""
        return Path(self.place) / f"{self.name}.struck"


class Message(msgspec.Struct, frozen=True):
    """A message that a writer adds."""

    author: str
    number: int
    """Rises with each message of the author."""
    index: int
    of: int
    """Its place among the messages of one call, and how many they are."""
    text: str


def message(author: str, number: int, index: int, of: int) -> Message:
    """Make the author's message of this number; its text follows from the rest."""
    mark = crc32(f"{author}/{number}".encode())
    size = mark % 60_000 if mark % 97 == 0 else mark % 900
    text = (f"{author} {number} {mark:08x} äöü {'☃' * (mark % 3)} " * (size // 20 + 1))[:size]
    return Message(author, number, index, of, text)
