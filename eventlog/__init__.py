"""Chat histories as events: journaled on the local disk in microseconds, delivered to every backend, replayable."""

from eventlog.errors import (
    AckTimeout,
    BackendUnavailable,
    ConfigurationError,
    EventLogError,
    EventRejected,
    JournalError,
    JournalFull,
    MessageNotSerializable,
    MessageTooLarge,
)
from eventlog.events import EventId
from eventlog.history import ChatHistory, Messages, Timeline
from eventlog.log import EventLog, open  # noqa: A004 (the settled public face)
from eventlog.projections.timeline import Summary, TimelineEntry
from eventlog.status import BackendStatus, Status

__all__ = [
    "AckTimeout",
    "BackendStatus",
    "BackendUnavailable",
    "ChatHistory",
    "ConfigurationError",
    "EventId",
    "EventLog",
    "EventLogError",
    "EventRejected",
    "JournalError",
    "JournalFull",
    "MessageNotSerializable",
    "MessageTooLarge",
    "Messages",
    "Status",
    "Summary",
    "Timeline",
    "TimelineEntry",
    "open",
]
