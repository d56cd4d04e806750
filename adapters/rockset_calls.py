"""Room: the calls that the adapter makes on one collection, through Rockset's SDK, and the errors of ours.

Rules:
* Every call has a time limit; nobody retries but the core.
* Replies are read as the bytes that they are: no text of a message passes through the SDK's own log.
* A child process forgets its parent's client and lets it not be collected: their sockets are one.
* What is over the limit of a request is a fault of an event; all else is for later, or for a person.
* No credentials in errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec
import urllib3
from rockset import RocksetClient
from rockset.configuration import Configuration
from rockset.exceptions import ApiException, NotFoundException
from rockset.models import DeleteDocumentsRequestData, QueryParameter, QueryRequestSql

from eventlog.adapters.rockset_rows import Document
from eventlog.errors import BackendError, BackendUnavailable, ConfigurationError, EventRejected

READ_TIMEOUT_S = 2.0
WRITE_TIMEOUT_S = 10.0
_WORDS = {
    401: "wrong API key",
    403: "rights missing",
    404: "no such collection; make it, or open it with ?create=true",
    429: "over a limit of the rate",
}
_TOO_LARGE = 413
_CONFLICT = 409
_TOLD_MAX = 200
_PORTS = {"https": 443, "http": 80}
_inherited: list[Any] = []

Row = dict[str, Any]
_Call = Callable[[RocksetClient, dict[str, Any]], Any]


class Kept(msgspec.Struct):
    """A row with a record alone, which is read as base64 from its first letter (rockset_rows.py)."""

    record: bytes


T = TypeVar("T")


class _Reply(msgspec.Struct, Generic[T]):
    results: list[T] | None = None
    results_total_doc_count: int | None = None
    query_errors: list[Any] | None = None


_read_any: Callable[[bytes], Any] = msgspec.json.decode
read_rows: Callable[[bytes], _Reply[Row]] = msgspec.json.Decoder(_Reply[Row]).decode
read_plain: Callable[[bytes], _Reply[dict[str, Any]]] = msgspec.json.Decoder(_Reply[dict[str, Any]]).decode
read_kept: Callable[[bytes], _Reply[Kept]] = msgspec.json.Decoder(_Reply[Kept]).decode


class Rows(NamedTuple, Generic[T]):
    """What a query gave, and whether that is all."""

    rows: list[T]
    complete: bool


class Place:
    """Where Rockset's REST API is spoken, and the key to it, which nothing shows."""

    __slots__ = ("key", "url")

    def __init__(self, url: str, key: str) -> None:
        """Take the address."""
        self.url, self.key = url.rstrip("/"), key

    @property
    def address(self) -> str:
        """The host, with its port where that is not the usual one."""
        parts = urlsplit(self.url)
        usual = parts.port in (None, _PORTS.get(parts.scheme))
        return f"{parts.hostname}" if usual else f"{parts.hostname}:{parts.port}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and (self.url, self.key) == (other.url, other.key)

    def __hash__(self) -> int:
        return hash(self.url)

    def client(self) -> RocksetClient:
        """Make a client of our own; the SDK takes hosts of its service only, unless one is set afterwards."""
        configuration = Configuration(api_key=self.key, retries=False)
        made = RocksetClient(config=configuration)
        made.api_client.configuration.host = self.url
        return made


def place_of(client: RocksetClient | Place) -> Place:
    """Learn from a client where it is connected to."""
    if isinstance(client, Place):
        return client
    if not isinstance(client, RocksetClient):
        raise ConfigurationError(f"expected a rockset.RocksetClient, found {type(client).__name__}")
    configuration = client.api_client.configuration
    return Place(str(configuration.host), str(configuration.api_key))


class Calls:
    """The calls on one collection."""

    def __init__(self, place: Place, workspace: str, collection: str, identity: str, *, create: bool) -> None:
        """Take the names; nothing is asked."""
        self.place, self.create = place, create
        self._names, self._identity = {"workspace": workspace, "collection": collection}, identity
        self._client: RocksetClient | None = None

    def move(self, place: Place) -> None:
        """Ask another address from now on, or with another key."""
        if place != self.place:
            self.place, self._client = place, None

    def after_fork(self) -> None:
        """Forget the parent's client."""
        _inherited.append(self._client)
        self._client = None

    def close(self) -> None:
        """Close our connections."""
        client, self._client = self._client, None
        if client is not None:
            client.api_client.rest_client.pool_manager.clear()

    def add(self, documents: Sequence[Document]) -> tuple[list[Row], str]:
        """Add or replace documents; give what became of each, and the offset of the write."""
        reply = self._ask(
            lambda client, options: client.Documents.add_documents(**self._names, data=list(documents), **options),
            WRITE_TIMEOUT_S,
        )
        return reply["data"], reply["last_offset"]

    def delete(self, names: Iterable[str]) -> str:
        """Remove documents; give the offset of the write."""
        data: Any = [DeleteDocumentsRequestData(id=name) for name in names]
        reply = self._ask(
            lambda client, options: client.Documents.delete_documents(**self._names, data=data, **options),
            WRITE_TIMEOUT_S,
        )
        return str(reply["last_offset"])

    def passed(self, offsets: Sequence[str]) -> bool:
        """Tell whether queries see what was written up to these offsets."""
        reply = self._ask(
            lambda client, options: client.Collections.get_collection_offsets(
                **self._names, name=list(offsets), **options
            ),
            READ_TIMEOUT_S,
        )
        return bool(reply["data"]["passed"])

    def query(self, sql: str, parameters: dict[str, str], read: Callable[[bytes], _Reply[T]]) -> Rows[T]:
        """Give the rows of a query, as many as the reply holds."""
        given = [QueryParameter(name=name, type="string", value=value) for name, value in parameters.items()]
        request: Any = QueryRequestSql(query=sql, parameters=given)
        reply: _Reply[T] = self._ask(
            lambda client, options: client.Queries.query(sql=request, **options), READ_TIMEOUT_S, read
        )
        if reply.results is None or reply.query_errors:
            raise BackendUnavailable(f"{self._identity}: expected the results of a query, found none or a part")
        total = reply.results_total_doc_count
        return Rows(reply.results, total is None or total <= len(reply.results))

    def _ask(self, call: _Call, timeout_s: float, read: Callable[[bytes], Any] = _read_any) -> Any:
        try:
            return self._reply(call, timeout_s, read)
        except NotFoundException as error:
            if not self.create:
                raise self._told(error) from None
        except (ApiException, urllib3.exceptions.HTTPError, OSError, msgspec.DecodeError) as error:
            raise self._told(error) from None
        return self._once_made(call, timeout_s, read)

    def _reply(self, call: _Call, timeout_s: float, read: Callable[[bytes], Any] = _read_any) -> Any:
        options = {"_request_timeout": timeout_s, "_preload_content": False}
        client = self._client = self._client or self.place.client()
        return read(call(client, options).data)

    def _once_made(self, call: _Call, timeout_s: float, read: Callable[[bytes], Any]) -> Any:
        """Make the collection, which another may be doing too, and ask again."""
        try:
            self._make(timeout_s)
            return self._reply(call, timeout_s, read)
        except (ApiException, urllib3.exceptions.HTTPError, OSError, msgspec.DecodeError) as error:
            raise self._told(error) from None

    def _make(self, timeout_s: float) -> None:
        names = {"workspace": self._names["workspace"], "name": self._names["collection"]}
        try:
            self._reply(lambda client, options: client.Collections.create_s3_collection(**names, **options), timeout_s)
        except ApiException as error:
            if error.status != _CONFLICT:
                raise

    def _told(self, error: Any) -> BackendError:
        if not isinstance(error, ApiException):
            return BackendUnavailable(f"{self._identity}: {_missed(error)}: {type(error).__name__}")
        status = int(error.status or 0)
        message = f"{self._identity}: {_WORDS.get(status, 'refused')}: {status} {_said(error.body)}"
        return EventRejected(message) if status == _TOO_LARGE else BackendUnavailable(message)


def _missed(error: Exception) -> str:
    """Tell why there is no reply."""
    refused = isinstance(error, urllib3.exceptions.NewConnectionError)  # a time-out too, by its class
    late = isinstance(error, urllib3.exceptions.TimeoutError)
    return "no answer in time" if late and not refused else "unreachable"


def _said(body: Any) -> str:
    """Give the service's own words for an error."""
    try:
        found = msgspec.json.decode(body)
        return f"{found['type']}: {found['message']}"[:_TOLD_MAX]
    except (msgspec.DecodeError, TypeError, KeyError):
        return "without a word"
