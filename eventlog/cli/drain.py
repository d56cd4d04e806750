"""Room: `eventlog drain`: what is pending goes out, once or for as long as a sidecar lives; or to another backend."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eventlog.cli import rebinding
from eventlog.cli.common import JournalDir, Json, Timeout, Url, Yes, confirm, opened, readable_urls
from eventlog.cli.following import follow as deliver_until
from eventlog.cli.following import until_signalled
from eventlog.cli.rebinding import Waiting
from eventlog.cli.showing import as_json, counted, one_line
from eventlog.cli.telling import log_to_stdout
from eventlog.cli.waiting import slowest_of, wait_until_delivered
from eventlog.errors import ConfigurationError
from eventlog.log import open_sidecar


def drain(  # noqa: PLR0913 (the options of a command)
    url: Url = None,
    journal: JournalDir = None,
    timeout: Timeout = None,
    rebind: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="First let what waits for OLD go to NEW: identities or URLs."),
    ] = None,
    forget: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="First give up, for good, what waits for a backend: its identity or URL."),
    ] = None,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", help="Deliver for all processes of this host until SIGTERM: a sidecar.")
    ] = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="With --follow: log JSON, an object a line.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Deliver what is pending in the journal.

    What killed processes left is delivered too. Name every backend that it is for.

    --rebind and --forget are for a backend that is renamed or gone: no process may write or deliver for it, and what
    is left is delivered only where --url names the backends that are.
    """
    _check(follow=follow, log_json=log_json, once=timeout is not None or json)
    changed = _change(rebind or [], forget or [], journal, yes=yes, json=json)
    if follow:
        _follow(url, journal, log_json=log_json)
    elif not (rebind or forget):
        _drain(url, journal, timeout, json=json)
    elif url:
        for place in changed:
            _drain(url, place, timeout, json=json)
    elif not json:
        for place in changed:
            typer.echo(f"what is left there is delivered by: eventlog drain --journal {one_line(str(place))} --url …")


def _check(*, follow: bool, log_json: bool, once: bool) -> None:
    if log_json and not follow:
        raise ConfigurationError("expected --log-json with --follow, found it alone")
    if follow and once:
        raise ConfigurationError("expected --follow without --timeout and --json, found one of them")


def _drain(url: list[str] | None, journal: Path | None, timeout: float | None, *, json: bool) -> None:
    with opened(url, journal) as log:
        pending = slowest_of(log.status()).lag_events  # before a loop has begun to deliver it
    with opened(url, journal, deliver=True) as log:
        events = max(pending, wait_until_delivered(log, timeout))
    text = f"delivered {counted(events, 'event')}; nothing is pending"
    typer.echo(as_json({"delivered": events}) if json else text)


def _follow(url: list[str] | None, journal: Path | None, *, log_json: bool) -> None:
    with until_signalled() as stop:
        log_to_stdout(json=log_json)
        with readable_urls():
            sidecar = open_sidecar(*(url or ()), journal=journal)
        with sidecar:
            deliver_until(sidecar, stop)


def _change(pairs: list[str], gone: list[str], journal: Path | None, *, yes: bool, json: bool) -> list[Path]:
    """Rebind and forget; give the journals that were changed."""
    with readable_urls():
        bound = [rebinding.pair(text) for text in pairs]
        identities = [rebinding.identity_of(text) for text in gone]
    changed = [each for old, new in bound for each in _rebind(rebinding.find(old, journal), new, json=json)]
    changed += [
        each for identity in identities for each in _forget(rebinding.find(identity, journal), yes=yes, json=json)
    ]
    return sorted(set(changed))


def _rebind(found: list[Waiting], new: str, *, json: bool) -> list[Path]:
    for waiting in found:
        rebinding.rebind(waiting, new)
        told = {"rebound": waiting.identity, "to": new, "events": waiting.events, "journal": str(waiting.journal)}
        events = counted(waiting.events, "event")
        text = f"{events} that waited for {waiting.identity} in {waiting.journal} now for {new}"
        typer.echo(as_json(told) if json else one_line(text))
    return [waiting.journal for waiting in found]


def _forget(found: list[Waiting], *, yes: bool, json: bool) -> list[Path]:
    for waiting in found:
        events = counted(waiting.events, "event")
        where = f"for {waiting.identity} in {waiting.journal}"
        confirm(f"Give up {events} that wait {where}? What no other backend has is lost.", yes=yes)
        rebinding.forget(waiting)
        told = {"forgotten": waiting.identity, "events": waiting.events, "journal": str(waiting.journal)}
        typer.echo(as_json(told) if json else one_line(f"gave up {events} that waited {where}"))
    return [waiting.journal for waiting in found]
