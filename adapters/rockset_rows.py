"""Room: a record <-> a Rockset document, and the SQL that finds documents: pure.

    {"_id": "s/0199c...-9f1c02ab", "session": "s", "record": "0199c...gqVkcm9s...", "kind": "message", "at": "2026-..."}

Rules:
* `record` is the id in hexadecimal and the body in base64: its order is the order of events, so SQL compares it.
* `_id` names the event and its bytes: adding twice is adding once, and of two bodies under one id both are kept.
* `kind` and `at` (the id's time) are for people who look; nothing else of an event is shown to SQL.
* Values reach SQL as parameters. The names of the collection, which cannot, are letters, digits, `-`, `_` and `.`.
"""

from __future__ import annotations

import json
import re
from binascii import a2b_base64, b2a_base64, crc32
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from eventlog.codec import is_cut
from eventlog.errors import ConfigurationError
from eventlog.events import EPOCH, ID_BYTES
from eventlog.ports import Batch

WRITE_BYTES_MAX = 8 << 20
WRITE_DOCUMENTS_MAX = 20_000
ABOVE_ALL = "g"
"""What sorts after every record."""
_HEX = ID_BYTES * 2
_KEPT_ID_BYTES = _HEX * 3 // 4
_FIELDS_BYTES = 200
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")

Document = dict[str, Any]


class Filed(NamedTuple):
    """A document with whose it is and about what it takes."""

    session: str
    document: Document
    size_bytes: int


def filed(batch: Batch) -> Iterator[Filed]:
    """Give the documents of a batch."""
    for session, records in batch.items():
        name_bytes = len(json.dumps(session))
        for record in records:
            text = text_of(record)
            yield Filed(session, _document(session, record, text), len(text) + 2 * name_bytes + _FIELDS_BYTES)


def _document(session: str, record: bytes, text: str) -> Document:
    at = EPOCH + timedelta(milliseconds=min(int.from_bytes(record[:6], "big"), 1 << 47))
    return {
        "_id": f"{session}/{UUID(bytes=record[:ID_BYTES])}-{crc32(record):08x}",
        "session": session,
        "record": text,
        "kind": "clear" if is_cut(record) else "message",
        "at": at.isoformat(),
    }


def portions(documents: Iterator[Filed]) -> Iterator[list[Filed]]:
    """Split documents so that each part fits into a write."""
    part, filled = list[Filed](), 0
    for document in documents:
        if part and (filled + document.size_bytes > WRITE_BYTES_MAX or len(part) >= WRITE_DOCUMENTS_MAX):
            yield part
            part, filled = [], 0
        part.append(document)
        filled += document.size_bytes
    if part:
        yield part


def text_of(record: bytes) -> str:
    """Give what the field `record` holds."""
    return record[:ID_BYTES].hex() + b2a_base64(record[ID_BYTES:], newline=False).decode()


def record_of(text: str) -> bytes:
    """Read it."""
    return bytes.fromhex(text[:_HEX]) + a2b_base64(text[_HEX:])


def record_in(kept: bytes) -> bytes:
    """Read it from what base64 makes of all of it: its 32 hexadecimal digits are 24 bytes of that."""
    digits = b2a_base64(kept[:_KEPT_ID_BYTES], newline=False)
    return bytes.fromhex(digits.decode()) + kept[_KEPT_ID_BYTES:]


class Table:
    """The queries on one collection."""

    def __init__(self, workspace: str, collection: str) -> None:
        """Check the names; `ConfigurationError` for one that SQL could take for something else."""
        for name in (workspace, collection):
            if not _NAME.fullmatch(name):
                raise ConfigurationError(
                    "expected a workspace and a collection of letters, digits, '-', '_' and '.'; found another name"
                )
        self._from = f'FROM "{workspace}"."{collection}"'

    def old(self, field: str) -> str:
        """Select the messages of :session as the class kept them that users come from: one document, an array."""
        if not _NAME.fullmatch(field):
            raise ConfigurationError("expected as messages_key letters, digits, '-', '_' and '.'; found another name")
        return f'SELECT * FROM UNNEST ((SELECT "{field}" {self._from} WHERE _id = :session))'  # noqa: S608 (checked)

    def page(self, limit: int) -> str:
        """Select the newest records of :session below :top."""
        return (
            f"SELECT record {self._from} WHERE session = :session AND record < :top ORDER BY record DESC LIMIT {limit}"
        )

    def ids(self, limit: int) -> str:
        """Select what names the documents of :session from :bottom up to :top."""
        return (
            f"SELECT _id, record {self._from} WHERE session = :session AND record >= :bottom AND record < :top"
            f" ORDER BY record DESC LIMIT {limit}"
        )

    def cuts(self, sessions: Sequence[str]) -> tuple[str, dict[str, str]]:
        """Select the newest clear of each session."""
        given = {f"s{number}": session for number, session in enumerate(sessions)}
        wanted = ", ".join(f":{name}" for name in given)
        query = (
            f"SELECT session, MAX(record) AS record {self._from} WHERE kind = :kind AND session IN ({wanted})"
            " GROUP BY session"
        )
        return query, {"kind": "clear", **given}

    def sessions(self, limit: int) -> str:
        """Select the sessions after :after that begin with :prefix."""
        return (
            f"SELECT session {self._from} WHERE session > :after AND STARTS_WITH(session, :prefix)"
            f" GROUP BY session ORDER BY session LIMIT {limit}"
        )
