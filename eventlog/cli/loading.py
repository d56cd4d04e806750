"""Room: a file of conversations, into a log.

One JSON object a line, plain or gzip: {"session": "…", "messages": [ … ]}
                              or, dumped: {"session": "…", "records": [ base64 of id and body, … ]}

Rules:
* The messages of one line are added together; a line over the limit of one add call is added in pieces.
* Whatever ends it early: the error tells the line, what was expected and found, how much went in. Never text.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from io import BufferedReader
from time import time_ns
from typing import Any

import msgspec

from eventlog.codec import PERMANENT, decode, encode_message
from eventlog.errors import EventLogError, MessageTooLarge
from eventlog.events import ID_BYTES, EventId
from eventlog.history import ChatHistory
from eventlog.log import EventLog
from eventlog.settings import ADD_BYTES_MAX

LINE_BYTES_MAX = 256 << 20
_GZIP_MAGIC = b"\x1f\x8b"

Lines = BufferedReader | gzip.GzipFile


class LoadStopped(EventLogError):
    """A line of the file is not what a line must be, or could not be added."""


class Conversation(msgspec.Struct):
    """One line: messages to be added, or events as `eventlog dump` prints them, with their ids."""

    session: str
    messages: list[Any] | msgspec.UnsetType = msgspec.UNSET
    records: list[bytes] | msgspec.UnsetType = msgspec.UNSET


class Loader:
    """Puts the lines of one file into a log; the counts tell how far it got, also after an error."""

    def __init__(self, log: EventLog) -> None:
        """Begin with nothing."""
        self._log = log
        self._sessions: set[str] = set()
        self.lines = self.messages = 0

    @property
    def sessions(self) -> int:
        """The sessions met so far."""
        return len(self._sessions)

    @property
    def so_far(self) -> str:
        """What the journal has acknowledged, in words."""
        return f"lines loaded: {self.lines:,}, messages: {self.messages:,}"

    def load(self, file: BufferedReader, on_line: Callable[[], None]) -> None:
        """Add every line; `LoadStopped` names the first that cannot be."""
        lines, number = _unpacked(file), 1
        try:
            while line := _next_line(lines):
                self._take(line)
                on_line()
                number += 1
        except (EventLogError, ValueError) as error:
            raise LoadStopped(f"line {number}: {error}; {self.so_far}") from error

    def _take(self, line: bytes) -> None:
        if line.isspace():
            return
        conversation = _decode(line)
        history = self._log.history(conversation.session)
        self._add(history, conversation.messages or [])
        self._keep(history, conversation.records or [])
        self._sessions.add(conversation.session)
        self.lines += 1

    def _add(self, history: ChatHistory, messages: list[Any]) -> None:
        try:
            self.messages += len(history.add_many(messages))
        except MessageTooLarge:
            for piece in _pieces(messages):
                self.messages += len(history.add_many(piece))

    def _keep(self, history: ChatHistory, records: list[bytes]) -> None:
        for record in records:
            EventId(record[:ID_BYTES])
            decode(record)
        history.keep(records)
        self.messages += len(records)


def _unpacked(file: BufferedReader) -> Lines:
    return gzip.open(file) if file.peek(2)[:2] == _GZIP_MAGIC else file


def _next_line(lines: Lines) -> bytes:
    try:
        line = lines.readline(LINE_BYTES_MAX + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise ValueError("expected whole gzip data, found them cut off or damaged") from None
    if len(line) > LINE_BYTES_MAX:
        raise ValueError(f"expected at most {LINE_BYTES_MAX:,} bytes, found more")
    return line


def _decode(line: bytes) -> Conversation:
    try:
        found = msgspec.json.decode(line, type=Conversation)
    except UnicodeDecodeError:
        raise ValueError("expected UTF-8, found other bytes") from None
    except RecursionError:
        raise ValueError("expected JSON that is not nested too deeply, found it so") from None
    except msgspec.MsgspecError as error:
        raise ValueError(f'expected {{"session": "…", "messages": […]}}, found other JSON or none: {error}') from None
    if found.messages is msgspec.UNSET and found.records is msgspec.UNSET:
        raise ValueError('expected {"session": "…", "messages": […]}, found neither messages nor records')
    return found


def _pieces(messages: list[Any]) -> list[list[Any]]:
    """Cut into pieces that one add call takes; `MessageTooLarge` if a message fits into none."""
    sizes = [len(encode_message(PERMANENT, time_ns() // 1_000_000, "", message, 0)) for message in messages]
    if max(sizes) > ADD_BYTES_MAX:
        raise MessageTooLarge(f"expected messages of at most {ADD_BYTES_MAX:,} bytes, found one of {max(sizes):,}")
    pieces: list[list[Any]] = []
    left = 0
    for message, size in zip(messages, sizes, strict=True):
        if size > left:
            pieces.append([])
            left = ADD_BYTES_MAX
        pieces[-1].append(message)
        left -= size
    return pieces
