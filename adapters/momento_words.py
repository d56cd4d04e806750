"""Room: what keeps Momento from serving, told apart for a person, and for the core by the class of the error.

Rules:
* Only the size of an element or of a request is a fault of an event; a full segment is the adapter's own affair.
* The rate, the throughput and what the service does not explain are for later: try again.
* No credentials and no metadata of the call are repeated.
"""

from __future__ import annotations

from momento.errors import MomentoErrorCode, SdkException
from momento.errors.exceptions import LimitExceededMessageWrapper as Limit

from eventlog.errors import BackendError, BackendUnavailable, EventRejected, SessionUnavailable

_WORDS = {
    MomentoErrorCode.SERVER_UNAVAILABLE: "unreachable",
    MomentoErrorCode.TIMEOUT_ERROR: "no answer in time",
    MomentoErrorCode.CANCELLED_ERROR: "unreachable",
    MomentoErrorCode.AUTHENTICATION_ERROR: "wrong API key, or none where one is asked for",
    MomentoErrorCode.PERMISSION_ERROR: "rights missing",
    MomentoErrorCode.NOT_FOUND_ERROR: "no such cache; make it in the console, or open it with ?create=true",
    MomentoErrorCode.FAILED_PRECONDITION_ERROR: "a key of another type",
    MomentoErrorCode.LIMIT_EXCEEDED_ERROR: "over a limit of the account",
}
_GONE = {MomentoErrorCode.SERVER_UNAVAILABLE, MomentoErrorCode.CANCELLED_ERROR, MomentoErrorCode.UNKNOWN_ERROR}
_REJECTED = {Limit.ELEMENTS_SIZE_LIMIT_EXCEEDED.value, Limit.REQUEST_SIZE_LIMIT_EXCEEDED.value}
_TOO_LARGE = "larger than max"


def told(identity: str, error: SdkException) -> BackendError:
    """Give the error of ours."""
    word = _WORDS.get(error.error_code, "refused")
    message = f"{identity}: {word}: {error.error_code.name}: {error.message}"
    if error.error_code == MomentoErrorCode.LIMIT_EXCEEDED_ERROR and error.message_wrapper in _REJECTED:
        return EventRejected(message)
    if error.error_code == MomentoErrorCode.FAILED_PRECONDITION_ERROR:
        return SessionUnavailable(message)
    return BackendUnavailable(message)


def finds_nobody(error: SdkException) -> bool:
    """Tell whether the connection is of no use any more."""
    return error.error_code in _GONE


def is_full(error: SdkException) -> bool:
    """Tell whether a key has no room left."""
    return error.message_wrapper == Limit.ITEM_SIZE_LIMIT_EXCEEDED.value


def is_too_large(error: SdkException) -> bool:
    """Tell whether a reply was more than the client takes."""
    return error.error_code == MomentoErrorCode.LIMIT_EXCEEDED_ERROR and _TOO_LARGE in str(error.message)


def is_missing(error: SdkException) -> bool:
    """Tell whether there is no such cache."""
    return error.error_code == MomentoErrorCode.NOT_FOUND_ERROR
