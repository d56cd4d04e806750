"""Room: the thread that keeps a process's part of a journal in order: it syncs, takes over, tidies, and goes on."""

from __future__ import annotations

import logging
from threading import Event, Thread
from time import monotonic

from eventlog.alarm import Alarm
from eventlog.deliverer import TICK_S, Deliverer
from eventlog.pending import PendingView
from eventlog.writing import SYNC_EVERY_S, Writer

STOP_S = 0.5

logger = logging.getLogger("eventlog.journal")


class Keeper:
    """Syncs soon after an append, ticks twice a second, sleeps in between."""

    def __init__(self, writer: Writer, deliverer: Deliverer, pending: PendingView, sleepers: set[Alarm]) -> None:
        """Start the thread; while it sleeps, its alarm is among `sleepers`."""
        self._writer, self._deliverer, self._pending, self._sleepers = writer, deliverer, pending, sleepers
        self._alarm, self._stop = Alarm(), Event()
        self._thread = Thread(target=self._run, name="eventlog-keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, or leave it to itself: the handler that calls may have interrupted what it waits for."""
        self._stop.set()
        self._alarm.ring()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        tick_at = monotonic() + TICK_S
        while not self._stop.is_set():
            self._doze(max(0.0, tick_at - monotonic()))
            try:
                self._writer.sync()
                if monotonic() >= tick_at:
                    tick_at = monotonic() + TICK_S
                    self._writer.tidy()
                    self._deliverer.tick()
                    self._pending.let_go()
            except Exception:
                logger.exception("the keeper of the journal met a fault of ours; it goes on")
                self._stop.wait(TICK_S)

    def _doze(self, most_s: float) -> None:
        self._sleepers.add(self._alarm)
        if self._writer.journal is None or not self._writer.journal.dirty:
            self._alarm.wait(most_s)
        self._sleepers.discard(self._alarm)
        self._alarm.clear()
        self._stop.wait(SYNC_EVERY_S)
