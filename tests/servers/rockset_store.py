"""Room: what a Rockset collection holds, without a network: documents, writes that become visible later, limits.

Invariants:
* A write is accepted at once and applied to what queries see in its order, when its delay is over and nobody holds the
  ingest back. Its offset tells whether that has happened.
* A document with the `_id` of another replaces it.
* What is over a limit is refused: a request as a whole, a field for its document alone.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import uuid4

REQUEST_BYTES_MAX = 10 << 20
DOCUMENTS_MAX = 20_000
FIELD_BYTES_MAX = 4 << 20

Document = dict[str, Any]
Change = Callable[["Documents"], None]


class Refused(Exception):
    """An HTTP status, a type, and a sentence."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        """Keep the three."""
        super().__init__(f"{status} {kind}: {message}")
        self.status, self.kind, self.message = status, kind, message


class Limits(NamedTuple):
    """What one request may bring."""

    request_bytes: int = REQUEST_BYTES_MAX
    documents: int = DOCUMENTS_MAX
    field_bytes: int = FIELD_BYTES_MAX


class Documents:
    """What queries see, found by `_id` and by any field that queries compare."""

    def __init__(self) -> None:
        """Begin empty."""
        self._by_id: dict[str, Document] = {}
        self._indexes: dict[str, dict[Any, dict[str, Document]]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, name: str) -> Document | None:
        """Give a document."""
        return self._by_id.get(name)

    def put(self, document: Document) -> None:
        """Add a document or replace one."""
        self.remove(document["_id"])
        self._by_id[document["_id"]] = document
        for field, index in self._indexes.items():
            index.setdefault(_hashable(document.get(field)), {})[document["_id"]] = document

    def remove(self, name: str) -> None:
        """Remove a document, if it is there."""
        document = self._by_id.pop(name, None)
        if document is not None:
            for field, index in self._indexes.items():
                index[_hashable(document.get(field))].pop(name, None)

    def patch(self, name: str, operations: Sequence[Mapping[str, Any]]) -> None:
        """Append to lists of a document."""
        document = self._by_id.get(name)
        if document is not None:
            for operation in operations:
                document.setdefault(operation["path"].strip("/-"), []).append(operation["value"])

    def rows(self, equal: Mapping[str, Any]) -> Iterable[Document]:
        """Give what may have these values, in no order that anyone may rely on."""
        if "_id" in equal:
            found = self._by_id.get(equal["_id"])
            return [found] if found is not None else []
        for field, value in equal.items():
            return list(self._index(field).get(_hashable(value), {}).values())
        return list(self._by_id.values())

    def _index(self, field: str) -> dict[Any, dict[str, Document]]:
        if field not in self._indexes:
            index = self._indexes[field] = {}
            for name, document in self._by_id.items():
                index.setdefault(_hashable(document.get(field)), {})[name] = document
        return self._indexes[field]


def _hashable(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool, type(None))) else json.dumps(value)


class _Write(NamedTuple):
    number: int
    visible_at_ms: int
    change: Change


class Collection:
    """Documents and the writes that are not seen yet."""

    def __init__(self, now_ms: Callable[[], int], limits: Limits) -> None:
        """Begin empty."""
        self._now_ms, self._limits = now_ms, limits
        self._seen = Documents()
        self._writes: deque[_Write] = deque()
        self._accepted: set[str] = set()
        self._last = self._applied = 0
        self.delay_ms = 0
        self.held = False
        """Whether the ingest stands still."""
        self.retention_secs: int | None = None

    def seen(self) -> Documents:
        """Give what queries see now."""
        while self._writes and not self.held and self._writes[0].visible_at_ms <= self._now_ms():
            write = self._writes.popleft()
            write.change(self._seen)
            self._applied = write.number
        return self._seen

    def passed(self, offsets: Iterable[str]) -> bool:
        """Tell whether queries see all writes up to these."""
        self.seen()
        return all(int(offset.rpartition(":")[2]) <= self._applied for offset in offsets)

    def add(self, documents: Sequence[Document], size_bytes: int) -> tuple[list[dict[str, Any]], str]:
        """Accept documents; tell what becomes of each, and the offset of the write."""
        self._check(documents, size_bytes)
        answers, taken = [], list[Document]()
        for document in documents:
            document.setdefault("_id", str(uuid4()))
            answers.append(self._answer(document))
            if answers[-1]["status"] != "ERROR":
                taken.append(document)

        def change(seen: Documents) -> None:
            for document in taken:
                seen.put(document)

        return answers, self._write(change)

    def _answer(self, document: Document) -> dict[str, Any]:
        name = document["_id"]
        over = [field for field, value in document.items() if len(json.dumps(value)) > self._limits.field_bytes]
        if over:
            error = {"type": "INVALIDINPUT", "message": f"the field {over[0]} is over the limit of its size"}
            return {"_id": name, "status": "ERROR", "error": error}
        status = "REPLACED" if name in self._accepted else "ADDED"
        self._accepted.add(name)
        return {"_id": name, "status": status}

    def patch(self, patches: Sequence[Mapping[str, Any]], size_bytes: int) -> tuple[list[dict[str, Any]], str]:
        """Accept patches that append to lists."""
        self._check(patches, size_bytes)
        for patch in patches:
            for operation in patch["patch"]:
                if operation["op"] != "ADD" or not operation["path"].endswith("/-"):
                    raise Refused(400, "INVALIDINPUT", "only ADD to the end of a list is understood")

        def change(seen: Documents) -> None:
            for patch in patches:
                seen.patch(patch["_id"], patch["patch"])

        return [{"_id": patch["_id"], "status": "PATCHED"} for patch in patches], self._write(change)

    def delete(self, names: Sequence[str], size_bytes: int) -> tuple[list[dict[str, Any]], str]:
        """Accept that documents go."""
        self._check(names, size_bytes)
        self._accepted.difference_update(names)

        def change(seen: Documents) -> None:
            for name in names:
                seen.remove(name)

        return [{"_id": name, "status": "DELETED"} for name in names], self._write(change)

    def _check(self, parts: Sequence[Any], size_bytes: int) -> None:
        if size_bytes > self._limits.request_bytes:
            raise Refused(413, "PAYLOADTOOLARGE", f"a request of more than {self._limits.request_bytes} bytes")
        if len(parts) > self._limits.documents:
            raise Refused(400, "INVALIDINPUT", f"more than {self._limits.documents} documents")

    def _write(self, change: Change) -> str:
        self._last += 1
        self._writes.append(_Write(self._last, self._now_ms() + self.delay_ms, change))
        return f"f1:0:0:1:{self._last}"
