"""Room: how the command tells what went wrong: one line on stderr, and an exit code; and how a service logs.

Rules:
* No traceback for what is somebody's mistake or an outage; a fault of ours keeps its own.
* A service logs to stdout, what the log reports included: one line a record, as text or as JSON.
* Passwords of the URLs on the command line and in $EVENTLOG_URL are hidden in whatever is told.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TextIO
from urllib.parse import unquote

from eventlog.cli.showing import as_json, one_line
from eventlog.errors import ConfigurationError, EventLogError

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
_USER_PART = re.compile(r"//([^\s/]*)@|//(\S*)@")
_PASSWORD_OPTION = re.compile(r"\bpassword=([^&\s]+)")
_HIDDEN = "***"


def tell(text: str) -> None:
    """Print one line to stderr."""
    sys.stderr.write(f"eventlog: {one_line(hidden(text))}\n")


def tell_error(error: Exception) -> int:
    """Print what went wrong and give the exit code; raises what is a fault of ours."""
    misuse = getattr(error, "format_message", None)
    if misuse is not None:
        tell(f"{misuse().rstrip('.')}; see: {_command(error)} --help")
        return MISUSED
    if not isinstance(error, (EventLogError, ValueError, OSError)):
        raise error
    tell(_words(error))
    asked_wrongly = isinstance(error, ConfigurationError) or not isinstance(error, (EventLogError, OSError))
    return MISUSED if asked_wrongly else FAILED


def _command(error: Exception) -> str:
    return getattr(getattr(error, "ctx", None), "command_path", "eventlog")


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def hidden(text: str) -> str:
    """Give the text without the passwords that this command was given."""
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return text


def _secrets() -> set[str]:
    found: set[str] = set()
    for word in [*sys.argv[1:], os.environ.get("EVENTLOG_URL", "")]:
        found.update(_secrets_in(word))
    return found - {""}


def _secrets_in(word: str) -> Iterator[str]:
    parts = [a or b for a, b in _USER_PART.findall(word)]
    passwords = [part.partition(":")[2] for part in parts] + _PASSWORD_OPTION.findall(word)
    for password in passwords:
        yield from (password, unquote(password))


class _Handler(logging.Handler):
    """Tells what the log itself reports, without tracebacks."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(record.getMessage())


def listen() -> None:
    """Let warnings of the log go to stderr as our own lines."""
    logger = logging.getLogger("eventlog")
    if not logger.handlers:
        logger.addHandler(_Handler(logging.WARNING))
        logger.propagate = False


class _Lines(logging.StreamHandler[TextIO]):
    """Writes each record as one line, without tracebacks: they may quote what was added."""

    def __init__(self, *, json: bool) -> None:
        super().__init__(sys.stdout)
        self._json = json

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields = {
            "time": time,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": hidden(record.getMessage()),
        }
        return as_json(fields) if self._json else one_line(f"{time} {fields['level']:<7} {fields['message']}")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the name that logging calls)
        """Go on: that nobody reads the log is no reason to stop delivering."""


def log_to_stdout(*, json: bool) -> None:
    """Let everything that the log reports, from INFO on, go to stdout."""
    logger = logging.getLogger("eventlog")
    logger.handlers[:] = [_Lines(json=json)]
    logger.setLevel(logging.INFO)
    logger.propagate = False
