"""Room: both sides of a comparison, made ready to play, and a referee who asks only the server."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

import redis
from langchain_community.chat_message_histories import RedisChatMessageHistory as TheirHistory
from langchain_core.messages import HumanMessage

from eventlog.adapters.langchain import RedisChatMessageHistory as OurHistory

MESSAGE_BYTES = 400
WARM_ADDS = 200
_DISTINCT = 1000
_TEXT = string.ascii_letters + string.digits + " "

Plain = dict[str, str]


def texts(count: int = _DISTINCT) -> list[str]:
    """Give different texts of 400 bytes, the same in every round."""
    draw = random.Random(20)  # noqa: S311 (nobody must not guess them)
    return ["".join(draw.choices(_TEXT, k=MESSAGE_BYTES)) for _ in range(count)]


def plain_messages(count: int) -> list[Plain]:
    """Give `count` messages as the chat APIs use them; a thousand different ones, again and again."""
    distinct = [{"role": "user", "content": text} for text in texts()]
    return [distinct[number % _DISTINCT] for number in range(count)]


def langchain_messages(count: int) -> list[HumanMessage]:
    """Give the same as LangChain messages."""
    distinct = [HumanMessage(content=text) for text in texts()]
    return [distinct[number % _DISTINCT] for number in range(count)]


def warm_up(add: Callable[[Any], object], messages: list[Any]) -> None:
    """Add a few, so that connections, folders and threads are there when the clock starts."""
    for message in islice(cycle(messages), WARM_ADDS):
        add(message)


def make_ours(url: str, session: str, ttl: int | None = None) -> OurHistory:
    """Give our drop-in as its users make it."""
    return OurHistory(session, url=url, ttl=ttl)


def make_theirs(url: str, session: str, ttl: int | None = None) -> TheirHistory:
    """Give the class that it replaces."""
    return TheirHistory(session, url=url, ttl=ttl)


def referee(url: str) -> redis.Redis:
    """Give a client of nobody's, for counting."""
    return redis.Redis.from_url(url)


def stored(client: redis.Redis) -> int:
    """Count the messages that the server holds: in sorted sets (ours) and in lists (theirs)."""
    pipe = client.pipeline(transaction=False)
    for key in client.scan_iter(count=1000, _type="zset"):
        pipe.zcard(key)
    for key in client.scan_iter(count=1000, _type="list"):
        pipe.llen(key)
    return sum(pipe.execute())


def newest(client: redis.Redis, session: str) -> bytes:
    """Give the raw newest message of a session, of whichever side."""
    newest_member = client.register_script("return redis.call('ZRANGE', KEYS[1], 0, 0, 'REV')[1]")
    for key in client.scan_iter(match=f"*{session}*", count=1000, _type="zset"):
        return bytes(newest_member([key]))
    newest_item = client.register_script("return redis.call('LINDEX', KEYS[1], 0)")
    for key in client.scan_iter(match=f"*{session}*", count=1000, _type="list"):
        return bytes(newest_item([key]))
    return b""


def expires(client: redis.Redis, session: str) -> bool:
    """Tell whether all that the server holds of a session goes by itself."""
    return all(int(client.ttl(key)) > 0 for key in client.scan_iter(match=f"*{session}*", count=1000))
