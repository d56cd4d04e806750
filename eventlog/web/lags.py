"""Room: how the backends stand, and how far behind they were over the last while."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import Any

import msgspec

from eventlog.log import EventLog

SAMPLE_S = 2.0
SAMPLES_MAX = 1800


class Lags:
    """A status each `SAMPLE_S` seconds, for an hour."""

    def __init__(self, log: EventLog) -> None:
        """Remember nothing yet."""
        self._log, self._lock = log, Lock()
        self._samples: deque[dict[str, Any]] = deque(maxlen=SAMPLES_MAX)

    def sample(self) -> None:
        """Look how it stands and remember the lag."""
        status = self._log.status()
        lags = {name: [each.lag_events, round(each.oldest_age_s, 1)] for name, each in status.backends.items()}
        with self._lock:
            self._samples.append({"at": self._log.now_ms(), "lags": lags})

    def standing(self) -> dict[str, Any]:
        """Tell how it stands now, and what is remembered."""
        status = self._log.status()
        with self._lock:
            return {"now": self._log.now_ms(), "status": msgspec.to_builtins(status), "samples": list(self._samples)}
