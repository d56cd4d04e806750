"""Room: the drop-in for LangChain's history on Rockset.

Invariants:
* What the class of this name refused is refused as it was. Its workspace is where its events go, in any of its calls.
* A message is kept as it was given and is never changed. Where the caller wants ids in `additional_kwargs`, a copy gets
  one: with `sync`, or a `message_uuid_method` of his own.
* `sync` is `ack="backend"`: an add returns when queries see it. If that takes too long, it raises an `AckTimeout`,
  which is a `TimeoutError`; the message is kept all the same, and nobody needs to add it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

from eventlog.adapters import missing
from eventlog.adapters.langchain_history import AT_ONCE, LogChatMessageHistory
from eventlog.adapters.langchain_logs import Journal, stand_of_client
from eventlog.ports import Backend

try:
    import rockset
except ImportError as error:
    raise missing("rockset", "rockset") from error

from langchain_core.messages import BaseMessage

from eventlog.adapters.rockset import RocksetBackend


def _uuid() -> str:
    return str(uuid4())


class RocksetChatMessageHistory(LogChatMessageHistory):
    """A drop-in for langchain-community's class of this name.

    `ack` is when an add returns ("journal", "fsync", "backend"; else `sync` decides, or $EVENTLOG_ACK); `journal` names
    the directory of pending events (else $EVENTLOG_JOURNAL); `retain` is how long what a clear hid can be replayed;
    with `legacy=False` nothing is looked for that the class of langchain-community wrote. `messages_key` names the
    array that it wrote to; now each message is a document of its own.
    """

    SLEEP_INTERVAL_MS: int = 5
    ADD_TIMEOUT_MS: int = 5000
    CREATE_TIMEOUT_MS: int = 20000

    def __init__(  # noqa: PLR0913, PLR0917 (the signature that users have)
        self,
        session_id: str,
        client: Any,
        collection: str,
        workspace: str = "commons",
        messages_key: str = "messages",
        sync: bool = False,  # noqa: FBT001, FBT002 (as it was)
        message_uuid_method: Callable[[], str | int] = _uuid,
        *,
        ack: str | None = None,
        journal: Journal = None,
        retain: timedelta | None = AT_ONCE,
        legacy: bool = True,
    ) -> None:
        """Find the log; no server is asked, and a missing collection is made at the first delivery or read."""
        if not isinstance(client, rockset.RocksetClient):
            raise ValueError(f"client should be an instance of rockset.RocksetClient, got {type(client)}")  # noqa: TRY004 (as it was)
        self.session_id, self.client = session_id, client
        self.collection, self.workspace, self.messages_key = collection, workspace, messages_key
        self.location = f'"{workspace}"."{collection}"'
        self.rockset = rockset
        self.sync, self.message_uuid_method = sync, message_uuid_method

        def make(client: rockset.RocksetClient) -> Backend:
            return RocksetBackend(client, collection, workspace, create=True, old_field=messages_key)

        stand = stand_of_client(client, journal, make, (workspace, collection, messages_key))
        self._begin(stand, ack or ("backend" if sync else None), retain, legacy=legacy)

    def add_message(self, message: BaseMessage) -> None:
        """Append a message; raises as `ChatHistory.add` does."""
        super().add_message(self._with_id(message))

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append messages that are kept together or not at all."""
        super().add_messages([self._with_id(message) for message in messages])

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Do as `add_messages`; the event loop is never blocked for longer than a journal write."""
        await super().aadd_messages([self._with_id(message) for message in messages])

    def _with_id(self, message: BaseMessage) -> BaseMessage:
        wanted = self.sync or self.message_uuid_method is not _uuid
        held: dict[str, Any] | None = getattr(message, "additional_kwargs", None)
        if not wanted or held is None or "id" in held:
            return message
        return message.model_copy(update={"additional_kwargs": {**held, "id": self.message_uuid_method()}})
