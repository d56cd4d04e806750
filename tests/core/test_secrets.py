"""A password is in no log record, no status, no exception and no file; a message is in none of the first three."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path

import fakeredis
import pytest
import redis

from eventlog import BackendUnavailable
from eventlog.adapters.redis import RedisBackend
from eventlog.log import EventLog
from tests.core.tools import BadDisk, Moody, eventually

Open = Callable[..., EventLog]
PASSWORD = "pa55word-of-redis"  # noqa: S105 - it opens nothing
WORDS = "what a person said to a bot"


def told_by(error: BaseException) -> str:
    """Give all that a traceback would print."""
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("made", ["url", "object"])
def test_a_password_is_nowhere(opened: Open, place: Path, caplog: pytest.LogCaptureFixture, made: str) -> None:
    """Whatever happens to a server that is not there."""
    caplog.set_level(logging.DEBUG)
    url = f"redis://user:{PASSWORD}@127.0.0.1:1/0"
    log = opened(url if made == "url" else RedisBackend(redis.Redis.from_url(url)), strict_reads=True)
    log.history("s").add(WORDS)
    with pytest.raises(BackendUnavailable) as reading:
        log.history("s").messages()
    with pytest.raises(TimeoutError) as waiting:
        log.history("s").add(WORDS, ack="backend")
    eventually(lambda: log.status().backends["redis"].last_error)
    told = [caplog.text, repr(log.status()), told_by(reading.value), told_by(waiting.value), repr(log.__dict__.keys())]
    log.close(timeout=0)
    told += [str(path) for path in place.rglob("*")]
    assert not [text for text in told if PASSWORD in text]
    assert not [path for path in place.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
    assert not [text for text in told if WORDS in text]


def test_a_message_is_in_no_error_and_no_log_record(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    """Not when the disk is full, not when it is refused, not when an adapter fails."""
    caplog.set_level(logging.DEBUG)
    disk, store = BadDisk(), Moody(RedisBackend(fakeredis.FakeRedis(server=fakeredis.FakeServer())))
    log = opened(store, files=disk, max_journal_bytes=1 << 20, max_block=0.01)
    chat = log.history("s")
    chat.add(WORDS)
    store.faults = [RuntimeError("of ours")]
    chat.add({"text": WORDS})
    errors: list[BaseException] = []
    for message in ({"text": WORDS, "bad": object()}, [WORDS, "\ud800"], WORDS * 1_000_000, WORDS * 100_000):
        with pytest.raises((TypeError, ValueError, Exception)) as caught:
            chat.add(message)
        errors.append(caught.value)
    disk.full()
    with pytest.raises(Exception, match="No space") as caught:
        chat.add(WORDS)
    errors.append(caught.value)
    told = [caplog.text, repr(log.status()), *(str(error) + repr(error) for error in errors)]
    assert not [text for text in told if WORDS in text]
