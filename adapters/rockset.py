"""Room: Rockset's REST API, through its SDK. Documents and SQL: rockset_rows.py; calls: rockset_calls.py.

    rockset://host[:port]/workspace/collection[?tls=false][&create=true]                key: $ROCKSET_API_KEY

The service itself closed on 2024-09-30. This is for who runs something that speaks its API, and says so in the status.

Rules:
* `append` returns when queries see what it wrote: it waits for the fence of its writes. So do `remove` and `discard`.
* One write call a batch, whatever its sessions, one read call a page.
* A reply that holds less than there is is asked on from where it ended: half a session is never taken for all.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from eventlog.adapters import missing
from eventlog.errors import BackendError, BackendUnavailable, ConfigurationError, EventRejected, SessionUnavailable
from eventlog.events import ID_BYTES
from eventlog.ports import Batch

try:
    import rockset
except ImportError as error:
    raise missing("rockset", "rockset") from error

from eventlog.adapters.legacy import NOTHING, Look
from eventlog.adapters.rockset_calls import Calls, Place, Row, Rows, place_of, read_kept, read_plain, read_rows
from eventlog.adapters.rockset_rows import (
    ABOVE_ALL,
    WRITE_DOCUMENTS_MAX,
    Filed,
    Table,
    filed,
    portions,
    record_in,
    record_of,
    text_of,
)

__all__ = ["RocksetBackend", "from_url"]

VISIBLE_TIMEOUT_S = 60.0
OLD_FIELD = "messages"
KEY_VARIABLE = "ROCKSET_API_KEY"
_PAUSE_FIRST_S, _PAUSE_MAX_S = 0.002, 0.25
_CUTS_MAX = 500
_SESSIONS_MAX = 5000
_NAMED_MAX = 1 << 30
_FORM = "rockset://host[:port]/workspace/collection[?tls=false][&create=true]"


class RocksetBackend:
    """A Rockset collection with every event in it, a document each."""

    scheme = "rockset"
    page_events = 8192
    note = "Rockset's own service closed on 2024-09-30: this is a server that speaks its REST API"

    def __init__(
        self,
        client: rockset.RocksetClient | Place,
        collection: str,
        workspace: str = "commons",
        *,
        create: bool = False,
        old_field: str = OLD_FIELD,
    ) -> None:
        """Stand on the address and key of `client`, with connections of our own; `create`: make what is missing.

        `old_field`: what the class that users come from was told as `messages_key`.
        """
        place = place_of(client)
        self._table = Table(workspace, collection)
        self.identity = f"rockset:{place.address}/{workspace}/{collection}"
        self._calls = Calls(place, workspace, collection, self.identity, create=create)
        self._old_field = old_field

    def renew(self, newer: RocksetBackend) -> None:
        """Connect from now on as `newer` does, a backend of the same identity; make the collection if either would."""
        self._calls.create |= newer._calls.create
        self._calls.move(newer._calls.place)
        self._old_field = newer._old_field

    def append(self, batch: Batch) -> dict[str, BackendError]:
        """Store every record and wait until queries see it."""
        failed: dict[str, BackendError] = {}
        offsets = []
        for portion in portions(filed(batch)):
            try:
                answers, offset = self._calls.add([one.document for one in portion])
            except EventRejected as error:
                failed |= dict.fromkeys((one.session for one in portion), error)
            else:
                failed |= self._failed(portion, answers)
                offsets.append(offset)
        self._wait_for(offsets)
        return failed

    def _failed(self, portion: Sequence[Filed], answers: Sequence[Row]) -> dict[str, BackendError]:
        wrong = ((one.session, answer) for one, answer in zip(portion, answers, strict=True) if answer.get("error"))
        return {session: self._fault(answer["error"]) for session, answer in wrong}

    def _fault(self, error: Row) -> BackendError:
        kind = error.get("type")
        told = f"{self.identity}: a document was refused: {kind}: {error.get('message')}"
        return EventRejected(told) if kind == "INVALIDINPUT" else SessionUnavailable(told)

    def _wait_for(self, offsets: Sequence[str]) -> None:
        """Return when queries see these writes; `BackendUnavailable` when that takes too long: they come again."""
        deadline, pause_s = time.monotonic() + VISIBLE_TIMEOUT_S, _PAUSE_FIRST_S
        while offsets and not self._calls.passed(offsets):
            if time.monotonic() > deadline:
                raise BackendUnavailable(f"{self.identity}: written, and not seen after {VISIBLE_TIMEOUT_S:g} s")
            time.sleep(pause_s)
            pause_s = min(_PAUSE_MAX_S, pause_s * 2)

    # reading

    def read(self, session: str, *, before: bytes | None = None, limit: int) -> list[bytes]:
        """Give the newest `limit` records below `before`, ascending."""
        top = ABOVE_ALL if before is None else before.hex()
        found: list[bytes] = []
        while True:
            asked = limit - len(found)
            reply = self._calls.query(self._table.page(asked), {"session": session, "top": top}, read_kept)
            found += [record_in(row.record) for row in reply.rows]
            if self._is_all(reply, asked):
                return found[::-1]
            top = text_of(found[-1])

    async def aread(self, session: str, *, before: bytes | None = None, limit: int) -> list[bytes]:
        """Do as `read`, in a thread: so does the SDK itself."""
        return await asyncio.to_thread(self.read, session, before=before, limit=limit)

    def _is_all(self, reply: Rows[Any], asked: int) -> bool:
        """Tell whether a reply has what was asked for; raises where asking on would lead nowhere."""
        if reply.complete or len(reply.rows) >= asked:
            return True
        if not reply.rows:
            raise BackendUnavailable(f"{self.identity}: expected rows of a session, found a reply without any")
        return False

    def sessions(self, prefix: str = "") -> Iterator[str]:
        """Give the sessions that begin with `prefix`, in order."""
        after = ""
        while True:
            reply = self._calls.query(
                self._table.sessions(_SESSIONS_MAX), {"after": after, "prefix": prefix}, read_rows
            )
            names = [row["session"] for row in reply.rows]
            yield from names
            if not names or (reply.complete and len(names) < _SESSIONS_MAX):
                return
            after = names[-1]

    def cuts(self, sessions: Sequence[str]) -> dict[str, bytes]:
        """Give the newest clear of each session that has one."""
        found: dict[str, bytes] = {}
        for begin in range(0, len(sessions), _CUTS_MAX):
            reply = self._calls.query(*self._table.cuts(sessions[begin : begin + _CUTS_MAX]), read_rows)
            if not reply.complete:
                raise BackendUnavailable(f"{self.identity}: expected the clears of sessions, found a part of them")
            found |= {row["session"]: record_of(row["record"]) for row in reply.rows}
        return found

    # the document of the class that users come from

    def read_with_old(self, session: str, limit: int) -> tuple[list[bytes], Look]:
        """Do as `read`, and look at the session's old document, with a query of its own."""
        return self.read(session, limit=limit), self.look_at_old(session)

    async def aread_with_old(self, session: str, limit: int) -> tuple[list[bytes], Look]:
        """Do as `read_with_old`, in a thread."""
        return await asyncio.to_thread(self.read_with_old, session, limit)

    def look_at_old(self, session: str) -> Look:
        """Look at the session's old document: no query that is sure to be understood tells less than all of it."""
        elements = self.old_page(session, 0)
        return Look(len(elements), elements[-1]) if elements else NOTHING

    def old_page(self, session: str, start: int, stop: int | None = None) -> list[bytes]:
        """Give elements of the session's old array by their places, oldest first, as JSON."""
        reply = self._calls.query(self._table.old(self._old_field), {"session": session}, read_plain)
        if not reply.complete:
            raise BackendUnavailable(f"{self.identity}: expected all of an old document, found a part of it")
        return [json.dumps(row).encode() for row in reply.rows][start:stop]

    def remove_old(self, session: str, before: bytes) -> None:  # noqa: ARG002 (an array has no times)
        """Empty the session's old array."""
        if self.look_at_old(session).length:
            self._wait_for([self._calls.add([{"_id": session, self._old_field: []}])[1]])

    # removing

    def remove(self, session: str, before: bytes) -> None:
        """Remove the session's events below `before`."""
        self._delete(row["_id"] for row in self._named(session, "", before.hex()))

    def discard(self, session: str, records: Sequence[bytes]) -> None:
        """Remove just these events of the session, whatever else is stored under their ids."""
        ids = {record[:ID_BYTES].hex() for record in records}
        if ids:
            rows = self._named(session, min(ids), max(ids) + ABOVE_ALL)
            self._delete(row["_id"] for row in rows if row["record"][: 2 * ID_BYTES] in ids)

    def _named(self, session: str, bottom: str, top: str) -> list[Row]:
        """Give what names the session's documents between two texts."""
        found: list[Row] = []
        while True:
            parameters = {"session": session, "bottom": bottom, "top": top}
            reply = self._calls.query(self._table.ids(_NAMED_MAX), parameters, read_rows)
            found += reply.rows
            if self._is_all(reply, _NAMED_MAX + 1):
                return found
            top = found[-1]["record"]

    def _delete(self, names: Iterable[str]) -> None:
        chosen = list(names)
        parts = [chosen[at : at + WRITE_DOCUMENTS_MAX] for at in range(0, len(chosen), WRITE_DOCUMENTS_MAX)]
        self._wait_for([self._calls.delete(part) for part in parts])

    def after_fork(self) -> None:
        """Forget the parent's connections."""
        self._calls.after_fork()

    def close(self) -> None:
        """Close our connections, not the client that was given."""
        self._calls.close()


def from_url(url: str) -> RocksetBackend:
    """Read a URL; no server is asked."""
    try:
        parts = urlsplit(url)
        names = [unquote(name) for name in parts.path.strip("/").split("/")]
        asked = dict(parse_qsl(parts.query, keep_blank_values=True))
        address = parts.hostname and f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    except ValueError:
        raise ConfigurationError(f"expected {_FORM}, found a URL that does not parse") from None
    if not address or "@" in parts.netloc or len(names) != 2 or asked.keys() - {"tls", "create"}:  # noqa: PLR2004
        raise ConfigurationError(f"expected {_FORM}; the key stands in ${KEY_VARIABLE}")
    key = os.environ.get(KEY_VARIABLE)
    if not key:
        raise ConfigurationError(f"expected a Rockset API key in ${KEY_VARIABLE}, found none")
    scheme = "http" if asked.get("tls", "").lower() in ("false", "0", "no") else "https"
    create = asked.get("create", "").lower() in ("true", "1", "yes")
    return RocksetBackend(Place(f"{scheme}://{address}", key), names[1], names[0], create=create)
