"""Room: what keeps Redis from serving, told apart for a person, and for the core by the class of the error.

Rules:
* A fault of one key is `SessionUnavailable`; in a cluster one of a node is too, for the others go on.
* Credentials and rights are the same everywhere: what is wrong with them concerns the store as a whole.
* No credentials: where redis-py tells of the clients that it asked, their connections are left out.
* What Redis cannot take for now (out of memory, no replica, loading) is never a fault of an event.
"""

from __future__ import annotations

from redis import exceptions

from eventlog.errors import BackendError, BackendUnavailable, EventRejected, SessionUnavailable

_WHO = "wrong password or user, or none where one is asked for"
_RIGHTS = "rights missing"
_PART_DOWN = "the cluster, or this part of it, is down"
_EVERYWHERE = frozenset({_WHO, _RIGHTS})
_BY_TEXT = {
    "WRONGTYPE": "a key of another type",
    "NOAUTH": _WHO,
    "WRONGPASS": _WHO,
    "NOPERM": _RIGHTS,
    "previous master is now a slave": "a read-only replica",
    "LOADING": "still loading its data",
    "MISCONF": "cannot save to its disk",
    "NOREPLICAS": "too few replicas to take writes",
    "CLUSTERDOWN": _PART_DOWN,
    "CERTIFICATE_VERIFY_FAILED": "a certificate that is not trusted",
    "No master found": "no sentinel names a master",
}
_BY_CLASS: list[tuple[type[BaseException], str]] = [
    (exceptions.AuthenticationError, _WHO),
    (exceptions.NoPermissionError, _RIGHTS),
    (exceptions.ReadOnlyError, "a read-only replica"),
    (exceptions.OutOfMemoryError, "out of memory"),
    (exceptions.BusyLoadingError, "still loading its data"),
    (exceptions.ClusterDownError, _PART_DOWN),
    (exceptions.TimeoutError, "no answer in time"),
    (exceptions.ConnectionError, "unreachable"),
    (OSError, "unreachable"),
]


def told(identity: str, error: BaseException, *, in_parts: bool = False) -> BackendError:
    """Give the error of ours; `in_parts`: others than the one that failed may go on."""
    word = _word(error)
    message = f"{identity}: {word}: {type(error).__name__}: {_without_clients(str(error))}"
    if "Protocol error" in str(error):
        return EventRejected(message)
    if "WRONGTYPE" in str(error) or (in_parts and word not in _EVERYWHERE):
        return SessionUnavailable(message)
    return BackendUnavailable(message)


def cause_of(error: BaseException) -> BaseException | None:
    """Give what may stand in a traceback: not what tells of clients, some of which show their passwords."""
    return None if "<redis.client." in str(error) else error


def _without_clients(text: str) -> str:
    """Leave out what sentinels are reached with, and keep what came of it."""
    head, *clients = text.split("<redis.client.")
    found = dict.fromkeys(client.rpartition(" - ")[2].rstrip(", ") for client in clients)
    return head + ", ".join(found)


def redirection(error: Exception) -> tuple[str, str, int] | None:
    """Read MOVED or ASK, with the host and the port that it names; older clients leave that to whoever reads."""
    if isinstance(error, exceptions.AskError):
        return "MOVED" if isinstance(error, exceptions.MovedError) else "ASK", error.host, error.port
    word, *rest = str(error).split()
    if word not in ("MOVED", "ASK"):
        return None
    host, _, port = rest[1].rpartition(":")
    return word, host, int(port)


def code(error: Exception) -> str:
    """Give the word that a refusal begins with."""
    return "CLUSTERDOWN" if isinstance(error, exceptions.ClusterDownError) else str(error).partition(" ")[0]


def _word(error: BaseException) -> str:
    text = str(error)
    for part, word in _BY_TEXT.items():
        if part in text:
            return word
    return next((word for kind, word in _BY_CLASS if isinstance(error, kind)), "refused")
