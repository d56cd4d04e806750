"""Room: `<key>.state` on disk, so that `status()` of any process tells the same. Losing it loses only counts."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from time import monotonic

import msgspec

from eventlog.files import PRIVATE_FILE
from eventlog.status import DelivererState

EVERY_S = 1.0

logger = logging.getLogger("eventlog.status")


def read_state(path: Path) -> DelivererState:
    """Read what a deliverer told; an empty state if it told nothing readable."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=DelivererState)
    except (OSError, msgspec.MsgspecError):
        return DelivererState()


class StateFile:
    """The deliverer's side: change `value`, then `touch`."""

    def __init__(self, path: Path) -> None:
        """Go on from what the last deliverer told."""
        self._path = path
        self.value = read_state(path)
        self._written = msgspec.structs.replace(self.value)
        self._due = 0.0

    def touch(self) -> None:
        """Write it if the state changed, else at most once a second."""
        if self.value.state != self._written.state or monotonic() >= self._due:
            self.flush()

    def flush(self) -> None:
        """Write it now, whole or not at all; a full disk is no reason to stop delivering."""
        if self.value == self._written:
            return
        temporary = self._path.with_suffix(".state-new")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE_FILE)
            try:
                os.write(descriptor, msgspec.json.encode(self.value))
            finally:
                os.close(descriptor)
            temporary.replace(self._path)
        except OSError as error:
            logger.debug("expected to write %s, found %s", self._path, error.strerror)
            return
        self._written = msgspec.structs.replace(self.value)
        self._due = monotonic() + EVERY_S
