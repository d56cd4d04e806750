"""Somebody who adds messages through the public face of a log, and writes down what became of each.

The note is written after `add` returned, with one plain write to a file in append mode: a kill can lose the note of an
add, never make one up. `AckTimeout` says that the event is kept, so it is noted as kept.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import msgspec

from eventlog import ChatHistory, EventId, EventLog
from eventlog.errors import AckTimeout, JournalError
from tests.crash.tasks import CALL_EVENTS_MAX, SESSIONS, Message, message
from tests.crash.verdict import REFUSED, UNKNOWN, line

PAUSE_S = 0.004
CALLS_A_PAUSE = 12


class Author:
    """One who adds; each process and each thread has its own."""

    def __init__(self, log: EventLog, name: str, acks: Path, seed: str = "", *, waits: bool = False) -> None:
        """Begin at number 0; one who `waits` does so for the store now and then."""
        self.name = name
        self._chance = Random(f"{seed}/{name}")  # noqa: S311 (to be repeated)
        self._histories = [log.history(session) for session in SESSIONS]
        self._acks = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._levels = (60, 4, int(waits))
        self._number = 0
        self.adding = False
        """Whether it is in the middle of an add, so that an interrupt cannot cost the note of one."""

    def write(self, calls: int, *, pauses: bool = True) -> None:
        """Make so many calls of `add` and `add_many`."""
        for _ in range(calls):
            self.call()
            if pauses and self._chance.randrange(CALLS_A_PAUSE) == 0:
                time.sleep(self._chance.uniform(0, PAUSE_S))

    def call(self) -> None:
        """Make one call and note what came of it; what interrupts it goes through, with a note that nobody knows."""
        history, messages = self._drawn()
        ids: Sequence[bytes | str] = [UNKNOWN] * len(messages)
        try:
            self.adding = True
            ids = self._add(history, messages)
        except AckTimeout as late:
            ids = [late.event_id]
        except JournalError:
            ids = [REFUSED] * len(messages)
        finally:
            self.adding = False
            self._note(history, messages, ids)

    async def acall(self) -> None:
        """Add in an event loop, and read it back."""
        history, messages = self._drawn()
        values = [msgspec.to_builtins(each) for each in messages]
        self._note(history, messages, await history.aadd_many(values))
        found = await history.amessages()
        if any(value not in found for value in values):
            raise RuntimeError(f"expected to read what was just added to {history.session_id}, found it missing")

    def _drawn(self) -> tuple[ChatHistory, list[Message]]:
        of = 1 if self._chance.random() < 0.8 else self._chance.randint(2, CALL_EVENTS_MAX)
        first, self._number = self._number, self._number + of
        return self._chance.choice(self._histories), [message(self.name, first + at, at, of) for at in range(of)]

    def _add(self, history: ChatHistory, messages: list[Message]) -> list[EventId]:
        ack = self._chance.choices((None, "fsync", "backend"), self._levels)[0]
        values = [msgspec.to_builtins(each) for each in messages]
        if len(values) == 1:
            return [history.add(values[0], ack=ack)]
        return history.add_many(values, ack=None if ack == "backend" else ack)

    def _note(self, history: ChatHistory, messages: list[Message], ids: Sequence[bytes | str]) -> None:
        pairs = zip(messages, ids, strict=True)
        os.write(self._acks, b"".join(line(self.name, each.number, history.session_id, told) for each, told in pairs))
