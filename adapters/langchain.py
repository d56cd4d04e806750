"""Room: the chat history classes that LangChain users have, on the event log.

Invariants:
* Making a history costs microseconds: one `EventLog` a process, backend and journal stands behind all of them. It is
  opened when the first is made, lives through a fork, and is opened anew after somebody closed it.
* A client or URL that was not seen before renews what its backend connects with, for the histories of before too.
* An add is acknowledged by the journal, in the time that it takes: no method waits for a server but a read, and an add
  with `ack="backend"`.
* `clear` is a deletion: nothing stays for replay, unless `retain` asks for it.
* Nothing of a deprecated base class is called, so that nothing warns; where there is none, none is needed.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import lru_cache
from threading import RLock
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from eventlog.adapters import from_url, missing
from eventlog.errors import Closed, ConfigurationError
from eventlog.history import ChatHistory, Events, Messages
from eventlog.log import EventLog
from eventlog.log import open as open_log
from eventlog.ports import Backend
from eventlog.settings import checked_ack, checked_retain_ms

try:
    import langchain_core
except ImportError as error:
    raise missing("langchain", "langchain_core") from error

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, get_buffer_string

from eventlog.adapters.langchain_messages import FORM, pack, unpack

if TYPE_CHECKING:
    import redis
    from langchain_core.chat_history import BaseChatMessageHistory
else:
    try:
        from langchain_core.chat_history import BaseChatMessageHistory
    except ImportError:  # it is to go with langchain-core 2
        BaseChatMessageHistory = object

__all__ = ["RedisChatMessageHistory"]
