"""Room: the error tree. One class a fault that a caller can tell apart, one sentence each.

Rules: an error names what was expected, where, what was found and what to do; it never carries message text or a
password.
"""


class EventLogError(Exception):
    """Anything that eventlog raises on purpose."""


class ConfigurationError(EventLogError):
    """The program asked for something that cannot be: an unknown URL scheme, a missing extra, an unsafe place."""


class MessageNotSerializable(EventLogError, TypeError):
    """The message holds something that has no bytes; nothing was written."""


class MessageTooLarge(EventLogError, ValueError):
    """One add call is larger than the limit; nothing was written."""


class JournalError(EventLogError):
    """The journal could not take the event: it is not acknowledged and not written; `__cause__` has the `OSError`."""


class JournalFull(JournalError):
    """The journal stands at `max_journal_bytes` and no space came free within `max_block`; nothing was written."""


class AckTimeout(EventLogError, TimeoutError):
    """The event is kept and will be delivered, but not yet where `ack` wanted it: do not add it again."""

    def __init__(self, message: str, event_id: bytes) -> None:
        """Keep the id of the (last) event that is still on its way."""
        super().__init__(message)
        self.event_id = event_id


class BackendError(EventLogError):
    """What crosses the port of a backend; nothing else does."""


class BackendUnavailable(BackendError):
    """The backend cannot now: try again."""


class SessionUnavailable(BackendUnavailable):
    """The backend cannot serve this one session now, and may well serve others."""


class EventRejected(BackendError):
    """The backend will never take this event as it is."""


class DamagedBody(EventLogError):
    """The bytes of an event do not decode."""


class Closed(EventLogError):
    """The log was closed; open a new one."""
