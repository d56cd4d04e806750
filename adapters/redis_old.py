"""Room: the list in which langchain-community's Redis class kept a session: which commands look at it. Pure.

    <session>      LPUSH: the newest element has index 0; EXPIRE at each write where there was a TTL

Rules:
* The name of the list is the session's: prefix and id. Ours begin with another word, so they never meet.
* A place is counted from the oldest element, so it stays when elements are added; from the end, that is its index.
* What is no list is none of ours: a refusal counts as an empty one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eventlog.adapters.legacy import NOTHING, Look
from eventlog.adapters.redis_keys import Commands
from eventlog.adapters.redis_wire import pack

PREFIX = "message_store:"


def to_look(session: str) -> Commands:
    """Give what asks for length, newest element and deadline."""
    key = session.encode()
    return _of(session, [pack(b"LLEN", key), pack(b"LINDEX", key, 0), pack(b"PEXPIRETIME", key)])


def look_of(replies: Sequence[Any]) -> Look:
    """Read the replies to `to_look`."""
    length, newest, deadline_ms = replies
    return Look(length, newest, max(0, deadline_ms)) if isinstance(newest, bytes) else NOTHING


def to_page(session: str, start: int, stop: int | None) -> Commands:
    """Give what reads elements by their places, newest first."""
    return _of(session, [pack(b"LRANGE", session.encode(), 0 if stop is None else -stop, -1 - start)])


def page_of(replies: Sequence[Any]) -> list[bytes]:
    """Give the elements, oldest first."""
    return replies[0][::-1] if isinstance(replies[0], list) else []


def to_remove(session: str) -> Commands:
    """Give what removes a list, and refuses anything else."""
    return _of(session, [pack(b"LTRIM", session.encode(), 1, 0)])


def to_replace(session: str, elements: Sequence[bytes], deadline_ms: int) -> Commands:
    """Give what replaces a list, in one transaction."""
    key = session.encode()
    expiry = [pack(b"PEXPIREAT", key, deadline_ms)] if deadline_ms else []
    pushed = pack(b"LPUSH", key, *elements)
    return _of(session, [pack(b"MULTI"), pack(b"DEL", key), pushed, *expiry, pack(b"EXEC")])


def _of(session: str, commands: list[bytes]) -> Commands:
    return [_owner(session)] * len(commands), commands


def _owner(session: str) -> str:
    """Name a session whose keys are in the hash slot of the list: that of its tag, where it has one."""
    tag = session.partition("{")[2].partition("}")
    return tag[0] if tag[0] and tag[1] else session
