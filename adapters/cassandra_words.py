"""Room: what keeps Cassandra from serving, told apart for a person, and for the core by the class of the error.

Rules:
* Only a request that no retry can cure is `EventRejected`. A table that is gone is made again; a name or a password
  that is wrong is set right by a person: both are told and tried again.
* One token range that lacks replicas while others do not is `SessionUnavailable` (cassandra_ring.py judges).
* The driver's texts name hosts and tables, never values or credentials.
"""

from __future__ import annotations

from cassandra import (
    AuthenticationFailed,
    CoordinationFailure,
    InvalidRequest,
    OperationTimedOut,
    Timeout,
    Unauthorized,
    Unavailable,
    UnresolvableContactPoints,
)
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionException
from cassandra.protocol import ErrorMessage, OverloadedErrorMessage, SyntaxException

from eventlog.errors import BackendError, BackendUnavailable, EventRejected, SessionUnavailable

_WHO = "wrong password or user, or none where one is asked for"
_TEXT_CHARS_MAX = 500
_GONE = ("unconfigured table", "does not exist", "unconfigured columnfamily")
_TOO_LARGE = ("too large for the maximum size", "too big", "is longer than maximum")
_BY_CLASS: list[tuple[type[BaseException] | tuple[type[BaseException], ...], str]] = [
    (AuthenticationFailed, _WHO),
    (Unauthorized, "rights missing"),
    (Unavailable, "too few replicas are up"),
    ((Timeout, OperationTimedOut), "no answer in time"),
    (CoordinationFailure, "a replica failed"),
    (OverloadedErrorMessage, "overloaded"),
    (UnresolvableContactPoints, "unknown hosts"),
    ((NoHostAvailable, ConnectionException, OSError), "unreachable"),
]


def told(identity: str, error: BaseException, *, in_part: bool = False) -> BackendError:
    """Give the error of ours; `in_part`: it concerns some sessions, and others are served."""
    if isinstance(error, BackendError):
        return type(error)(f"{identity}: {error}")
    message = f"{identity}: {_word(error)}: {type(error).__name__}: {str(error)[:_TEXT_CHARS_MAX]}"
    if is_refusal(error):
        return EventRejected(message)
    return SessionUnavailable(message) if in_part else BackendUnavailable(message)


def is_refusal(error: BaseException) -> bool:
    """Tell whether the same request can never succeed."""
    if isinstance(error, InvalidRequest):
        return not is_gone(error)
    return isinstance(error, ErrorMessage) and any(text in str(error) for text in _TOO_LARGE)


def is_gone(error: BaseException) -> bool:
    """Tell whether the table or the keyspace is not there (any more)."""
    return isinstance(error, InvalidRequest) and any(text in str(error) for text in _GONE)


def _word(error: BaseException) -> str:
    if "AuthenticationFailed" in str(error) or "Bad credentials" in str(error):
        return _WHO
    if is_gone(error):
        return "the table or the keyspace is gone"
    known = (word for kind, word in _BY_CLASS if isinstance(error, kind))
    return next(known, "refused" if isinstance(error, (InvalidRequest, SyntaxException)) else "failed")
