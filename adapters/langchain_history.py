"""Room: what every chat history of ours has in common: LangChain's face, on a stand's log.

Invariants:
* No method waits for a server but a read, an add or a clear with `ack="backend"`, and a clear that keeps old data.
* The attributes mean what they meant: a history whose name or lifetime was set anew goes by it.
* `clear` is a deletion: nothing stays for replay, unless `retain` asks for it.
* Nothing of the deprecated base class is called, so nothing warns; where it is gone, none is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, TypeVarTuple

from eventlog.adapters import missing
from eventlog.errors import Closed
from eventlog.events import to_ms
from eventlog.history import ChatHistory, Events, Messages
from eventlog.log import EventLog
from eventlog.reading import LOOP_RECORDS_MAX
from eventlog.settings import Expiry, checked_ack, checked_retain_ms

try:
    from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, get_buffer_string
except ImportError as error:
    raise missing("langchain", "langchain_core") from error

from eventlog.adapters.langchain_logs import Stand
from eventlog.adapters.langchain_messages import FORM, pack, unpack
from eventlog.adapters.langchain_old import Old, old_of

if TYPE_CHECKING:
    from langchain_core.chat_history import BaseChatMessageHistory
else:
    try:
        from langchain_core.chat_history import BaseChatMessageHistory
    except ImportError:
        BaseChatMessageHistory = object

T = TypeVar("T")
Args = TypeVarTuple("Args")

AT_ONCE = timedelta(0)
"""How long what a clear hid can be replayed, unless somebody asks for it."""


class LogChatMessageHistory(BaseChatMessageHistory):
    """A history on a stand; a subclass sets `_stand`, and says how long messages live."""

    session_id: str
    _expiry: Expiry = "fixed"
    _stand: Stand
    _held: ChatHistory
    _held_for: tuple[str, Any, EventLog] | None = None

    def _begin(self, stand: Stand, ack: str | None, retain: timedelta | None, *, legacy: bool) -> None:
        """Check what all of them have in common; nothing is read or written."""
        self._stand, self._legacy = stand, legacy
        self._ack = None if ack is None else checked_ack(ack)
        self._retain_ms = 0 if retain is AT_ONCE else checked_retain_ms(retain)
        self._chat()

    @property
    def key(self) -> str:
        """The name of the history in the log."""
        return self.session_id

    @property
    def _lifetime(self) -> Any:
        return None

    @property
    def log(self) -> EventLog:
        """The log behind all histories of this backend: for `flush`, `status` and the like."""
        return self._stand.log

    @property
    def messages(self) -> list[BaseMessage]:
        """The messages, oldest first; a list with `.source` and `.complete`, which is False in an outage."""
        old = self._old()
        return _messages(self._on(ChatHistory.read_events) if old is None else self._on(old.read))

    @messages.setter  # as in every history, a property stands for an attribute
    def messages(self, messages: list[BaseMessage]) -> NoReturn:  # pyright: ignore[reportIncompatibleVariableOverride]
        raise NotImplementedError("expected no assignment to messages: they are appended; use add_messages and clear")

    async def aget_messages(self) -> list[BaseMessage]:
        """Give the messages, with the backend's own async client."""
        old = self._old()
        found = await (self._aon(ChatHistory.aread_events) if old is None else self._aon(old.aread))
        return await asyncio.to_thread(_messages, found) if len(found.events) > LOOP_RECORDS_MAX else _messages(found)

    def add_message(self, message: BaseMessage) -> None:
        """Append a message; raises as `ChatHistory.add` does."""
        self._on(ChatHistory.add, pack(message), self._ack)

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append messages that are kept together or not at all."""
        self._on(ChatHistory.add_many, [pack(message) for message in messages], self._ack)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Do as `add_messages`; the event loop is never blocked for longer than a journal write."""
        await self._aon(ChatHistory.aadd_many, [pack(message) for message in messages], self._ack)

    def add_user_message(self, message: HumanMessage | str) -> None:
        """Append what a human said."""
        self.add_message(message if isinstance(message, HumanMessage) else HumanMessage(content=message))

    def add_ai_message(self, message: AIMessage | str) -> None:
        """Append what a model said."""
        self.add_message(message if isinstance(message, AIMessage) else AIMessage(content=message))

    def clear(self) -> None:
        """Delete every message so far, also those that arrive later with an earlier id."""
        self._on(self._clear)

    async def aclear(self) -> None:
        """Do as `clear`; the event loop is never blocked for longer than a journal write."""
        if self._legacy and self._retain_ms != 0:
            await asyncio.to_thread(self.clear)
        else:
            await self._aon(self._aclear)

    def _clear(self, chat: ChatHistory) -> None:
        covered, seal = self._covered(chat)
        chat.clear(self._ack, covered=covered, seal=seal)

    async def _aclear(self, chat: ChatHistory) -> None:
        covered, seal = self._covered(chat)
        await chat.aclear(self._ack, covered=covered, seal=seal)

    def _covered(self, chat: ChatHistory) -> tuple[int, bytes]:
        old = self._old()
        return (0, b"") if old is None else old.covered(chat, keeps=self._retain_ms != 0)

    def _old(self) -> Old | None:
        """Give what there is to be read through to, if anything is."""
        if not self._legacy:
            return None
        ttl_ms = to_ms(self._lifetime, "ttl") if self._expiry == "sliding" else 0
        return old_of(self._stand.backend, ttl_ms or 0)

    def __str__(self) -> str:
        return get_buffer_string(self.messages)

    def _on(self, do: Callable[[ChatHistory, *Args], T], *args: *Args) -> T:
        try:
            return do(self._chat(), *args)
        except Closed:
            return do(self._chat_anew(), *args)

    async def _aon(self, do: Callable[[ChatHistory, *Args], Awaitable[T]], *args: *Args) -> T:
        try:
            return await do(self._chat(), *args)
        except Closed:
            return await do(self._chat_anew(), *args)

    def _chat(self) -> ChatHistory:
        """Give the history in the log, made again when what it was made for has changed."""
        wanted = (self.key, self._lifetime, self._stand.log)
        if wanted != self._held_for:
            name, ttl, log = wanted
            self._held = ChatHistory(log, name, ttl=ttl, expiry=self._expiry, form=FORM, retain_ms=self._retain_ms)
            self._held_for = wanted
        return self._held

    def _chat_anew(self) -> ChatHistory:
        if self._held_for is not None:
            self._stand.reopen(self._held_for[2])
        return self._chat()


def _messages(found: Events) -> list[BaseMessage]:
    return Messages(filter(None, map(unpack, found.events)), found.source, complete=found.complete)
