"""Room: `eventlog timeline` and `eventlog replay`: a session for a person, or as data.

Rules:
* Entries are printed as they are read, whatever the length of the session.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from time import sleep
from typing import Annotated

import typer

from eventlog.cli.common import AsOf, JournalDir, Json, Url, moment, opened, refuse_incomplete
from eventlog.cli.entries import paced, show_entries, show_summary
from eventlog.cli.showing import as_json, console, counted, one_line
from eventlog.errors import ConfigurationError
from eventlog.projections.timeline import TimelineEntry, plain
from eventlog.replaying import Replay
from eventlog.web.page import one_file

Session = Annotated[str, typer.Argument(metavar="SESSION", help="The id of a session.")]


def timeline(  # noqa: PLR0913, PLR0917 (the options of a command)
    session: Session,
    as_of: AsOf = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="ID", help="With --follow: only what comes after this event.")
    ] = None,
    url: Url = None,
    journal: JournalDir = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write it as one page that needs nothing else.")
    ] = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what is written, until Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """Show all that happened in a session, and what became of it.

    What was cleared and has not been removed yet is shown, and marked as such.
    """
    _check(as_of, after, html, follow=follow, json=json)
    at = moment(as_of)
    with opened(url, journal) as log:
        chat = log.history(session)
        if follow:
            _show(chat.follow(after), json=json, flush=True)
            return
        found = chat.replay(at)
        found.look()
        if html is not None:
            _write(html, session, found)
        else:
            if not json:
                show_summary(found.summary(), console())
            _show(found, json=json)
    refuse_incomplete(found.source, complete=found.complete)


def _check(as_of: str | None, after: str | None, html: Path | None, *, follow: bool, json: bool) -> None:
    if html is not None and (follow or json):
        raise ConfigurationError("expected --html alone, found it with --follow or --json")
    if follow and as_of is not None:
        raise ConfigurationError("expected --follow or --as-of, found both")
    if after is not None and not follow:
        raise ConfigurationError("expected --after with --follow, found it without")


def _write(file: Path, session: str, found: Replay) -> None:
    """Write the page, whole or not at all."""
    part = file.with_name(f"{file.name}.part")
    try:
        with part.open("w", encoding="utf-8") as page:
            page.writelines(one_file(session, found))
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    typer.echo(f"wrote {counted(len(found), 'event')} to {one_line(str(file))}")


def _show(entries: Iterable[TimelineEntry], *, json: bool, flush: bool = False) -> None:
    if not json:
        show_entries(entries, console())
        return
    for each in entries:
        sys.stdout.write(as_json(plain(each)) + "\n")
        if flush:
            sys.stdout.flush()


def replay(  # noqa: PLR0913, PLR0917 (the options of a command)
    session: Session,
    speed: Annotated[float, typer.Option(metavar="N", min=0.001, help="How many times as fast.")] = 1.0,
    longest: Annotated[float, typer.Option(metavar="S", min=0.0, help="No pause is longer, in seconds.")] = 5.0,
    as_of: AsOf = None,
    url: Url = None,
    journal: JournalDir = None,
) -> None:
    """Play a session back, each event after the pause that there was.

    It is shown as it was then: also what was cleared later.
    """
    at = moment(as_of)
    with opened(url, journal) as log:
        found = log.history(session).replay(at)
        found.look()
        show_entries(paced(found, speed, longest, sleep), console(), then=True)
    refuse_incomplete(found.source, complete=found.complete)
