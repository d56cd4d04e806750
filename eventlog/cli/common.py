"""Room: what the commands share: options, a log opened with them, a question to the user.

Rules:
* Who is not at a terminal is not asked: `--yes` says it then, or nothing is changed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

import eventlog
from eventlog.cli.showing import one_line
from eventlog.cli.telling import tell
from eventlog.errors import BackendUnavailable, ConfigurationError, EventLogError
from eventlog.events import EventId
from eventlog.log import EventLog

LOAD_WAITS_S = 60.0

Url = Annotated[
    list[str] | None,
    typer.Option(
        "--url",
        metavar="URL",
        envvar="EVENTLOG_URL",
        help="A backend; repeat it for several, the first is read from. Default: sqlite:///eventlog.db",
    ),
]
To = Annotated[
    list[str] | None,
    typer.Option(
        "--to",
        metavar="URL",
        envvar="EVENTLOG_URL",
        help="The backend to load into; repeat it for several. Default: sqlite:///eventlog.db",
    ),
]
AsOf = Annotated[
    str | None, typer.Option("--as-of", metavar="T", help="As it was: a time with its zone, or an event id.")
]
JournalDir = Annotated[
    Path | None,
    typer.Option("--journal", metavar="DIR", help="The journal's directory. Default: the first backend's own."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Timeout = Annotated[
    float | None, typer.Option("--timeout", metavar="S", min=0.0, help="Seconds to wait for delivery. Default: no end.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


class NotConfirmed(EventLogError):
    """The user said no."""


@contextmanager
def opened(
    urls: list[str] | None, journal: Path | None, *, deliver: bool = False, max_block_s: float = LOAD_WAITS_S
) -> Iterator[EventLog]:
    """Give a log over the backends that the options name."""
    with readable_urls():
        log = eventlog.open(*(urls or ()), journal=journal, deliver=deliver, max_block=max_block_s)
    with log:
        yield log


@contextmanager
def readable_urls() -> Iterator[None]:
    """Raise `ConfigurationError` for a URL that cannot be read, without quoting it."""
    try:
        yield
    except EventLogError:
        raise
    except ValueError:
        raise ConfigurationError(
            "expected URLs such as redis://user:password@host:6379/0, found one that cannot be read; "
            "what is special in a password is to be percent-encoded"
        ) from None


def confirm(question: str, *, yes: bool) -> None:
    """Return if the user means it; `NotConfirmed` if not, and misuse where there is nobody to ask."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigurationError(f"expected --yes, for nobody can be asked here: {question}")
    if input_line(f"{question} [y/N] ").lower() not in {"y", "yes"}:
        raise NotConfirmed("expected a yes, found none; nothing was changed")


def input_line(question: str) -> str:
    """Ask on stderr; give the line that was typed."""
    sys.stderr.write(one_line(question))
    sys.stderr.flush()
    try:
        return sys.stdin.readline().strip()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        raise


def moment(text: str | None) -> datetime | EventId | None:
    """Read `--as-of`."""
    if text is None:
        return None
    for read in (EventId.parse, datetime.fromisoformat):
        try:
            found = read(text)
        except ValueError:
            continue
        if isinstance(found, EventId) or found.utcoffset() is not None:
            return found
    raise typer.BadParameter(
        "expected a time with its zone, as 2030-01-31T12:00:00Z, or an event id", param_hint="--as-of"
    )


def refuse_incomplete(source: str, *, complete: bool) -> None:
    """Say that the first backend did not answer; `BackendUnavailable` if none did."""
    if complete:
        return
    if source == "journal":
        raise BackendUnavailable("expected an answer of a backend, found none; shown is only what waits in the journal")
    tell(f"the first backend did not answer; shown is what {source} and the journal hold")
