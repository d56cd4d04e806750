"""Room: sessions written back as langchain-community's Redis class would have written them.

Rules:
* What was imported goes back byte for byte; what was added since, as that class writes it.
* A list is replaced as a whole, in one transaction, with the deadline that its session has.
* Where the events lie in the same store, a clear right above what was exported hides it there: the list is what counts,
  and whoever comes back reads it through. What is added meanwhile stays, and goes with the next export.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, runtime_checkable

from eventlog.adapters.langchain_messages import as_element
from eventlog.adapters.legacy import FOREVER_MS, mark_of
from eventlog.cli.moving import Import, ListSource, NotMoved, Report
from eventlog.clock import id_at, now_ms, tick_of
from eventlog.codec import SLIDING, encode_cleared
from eventlog.compacting import read_all
from eventlog.errors import ConfigurationError
from eventlog.events import ID_BYTES, HistoryCleared, MessageAdded
from eventlog.ports import Backend
from eventlog.projections.messages import fold_merged

RETAIN_MS = 30 * 24 * 3600 * 1000


@runtime_checkable
class ListTarget(Backend, Protocol):
    """A store that old lists can be written to."""

    def write_old(self, session: str, elements: Sequence[bytes], deadline_ms: int) -> None:
        """Replace a list."""
        ...


def export(source: Backend, target: Backend, sessions: Iterable[str], told: Callable[[str], None]) -> Report:
    """Write the visible messages of sessions as lists."""
    if not isinstance(target, ListTarget):
        raise ConfigurationError("expected as --to a Redis URL: the lists of the other classes cannot be written yet")
    report = Report()
    for session in sessions:
        if source.identity == target.identity and isinstance(source, ListSource):
            Import(source, source, dry=False, on_strange=lambda _: None).run([session], lambda _: None)
        records = read_all(source, session)
        visible = fold_merged(records, now_ms()).messages
        if visible:
            target.write_old(session, [as_element(event) for event in visible], _deadline_ms(records, visible))
            if source.identity == target.identity:
                _hide(target, session, records[-1])
        report.sessions += 1
        report.messages += len(visible)
        told(session)
    return report


def _deadline_ms(records: Sequence[bytes], visible: Sequence[MessageAdded]) -> int:
    """Give when a session goes as a whole: only where each of its messages does."""
    sliding = sum(record.startswith(SLIDING, ID_BYTES) for record in records)
    ends_ms = visible[-1].at_ms + visible[-1].ttl_ms
    return ends_ms if sliding >= len(visible) and visible[-1].ttl_ms and ends_ms < FOREVER_MS else 0


def _hide(store: Backend, session: str, newest: bytes) -> None:
    cut = id_at(tick_of(newest) + 1, mark_of(newest)) + encode_cleared(HistoryCleared(now_ms(), RETAIN_MS))
    for error in store.append({session: [cut]}).values():
        raise NotMoved(f"expected the store to take a clear of {session!r}, found: {error}") from error
