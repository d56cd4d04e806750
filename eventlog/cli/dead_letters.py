"""Room: `eventlog dead-letters`: what a backend refused for good, for a person to decide."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventlog.aside import DeadLetter
from eventlog.cli.common import JournalDir, Json, Url, Yes, confirm, opened
from eventlog.cli.letters import Letter, Outcome, event_of, letters_of, told
from eventlog.cli.showing import as_json, console, counted, one_line, show_fields, show_messages, size
from eventlog.cli.watching import age
from eventlog.errors import BackendError, ConfigurationError
from eventlog.events import EventId, MessageAdded
from eventlog.log import EventLog

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="The ids of events, as `list` tells them.")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]
BackendName = Annotated[
    str | None, typer.Option("--backend", metavar="NAME", help="Only of this backend, named as in `eventlog status`.")
]
OutcomeTimeout = Annotated[
    float, typer.Option("--timeout", metavar="S", min=0.0, help="Seconds to wait for the outcome.")
]


_HOLDS = {
    "message": "a message:",
    "clear": "a clear: it hides what was there before it",
    "erase": "an erasure: the backend still has what it removes",
    "unknown": "something that this version does not know",
    "damaged": "bytes that cannot be read",
}


class StillRefused(BackendError):
    """Not all of what was tried again was taken."""


@app.callback(invoke_without_command=True)
def dead_letters(context: typer.Context) -> None:
    """List, show, retry or drop what a backend refused for good.

    A dead letter waits in the journal and is shown with its session's messages, on this host only.
    """
    if context.invoked_subcommand is None:
        raise ConfigurationError("expected list, show, retry or drop; see: eventlog dead-letters --help")


@app.command("list")
def list_(backend: BackendName = None, url: Url = None, journal: JournalDir = None, *, json: Json = False) -> None:
    """Tell each one's session, id, time, age, size and reason, never its text."""
    with opened(url, journal) as log, letters_of(log.status(), backend) as letters:
        found = [told(name, letter) for name, letter in letters.all()]
    if json:
        for letter in found:
            typer.echo(as_json(letter))
    elif found:
        _list(found, console())
    else:
        typer.echo("no dead letters")


@app.command()
def show(
    event: Annotated[str, typer.Argument(metavar="ID", help="The id of an event, as `list` tells it.")],
    backend: BackendName = None,
    url: Url = None,
    journal: JournalDir = None,
    *,
    json: Json = False,
) -> None:
    """Print one with its message."""
    ids = _ids([event], every=False)
    with opened(url, journal) as log, letters_of(log.status(), backend) as letters:
        found = letters.chosen(ids)
    for name, letter in found:
        (_show_json if json else _show)(told(name, letter), letter)


@app.command()
def retry(  # noqa: PLR0913 (the options of a command)
    ids: Ids = None,
    backend: BackendName = None,
    timeout: OutcomeTimeout = 10.0,
    url: Url = None,
    journal: JournalDir = None,
    *,
    every: All = False,
    json: Json = False,
) -> None:
    """Try to deliver some again, and tell what became of them."""
    wanted = _ids(ids, every=every)
    with opened(url, journal) as log, letters_of(log.status(), backend) as letters:
        chosen = letters.all() if every else letters.chosen(wanted)
        letters.retry(chosen)
    with opened(url, journal, deliver=bool(chosen)) as log:
        outcome = _outcome(log, backend, chosen, timeout)
    _tell(outcome, json=json)


@app.command()
def drop(  # noqa: PLR0913 (the options of a command)
    ids: Ids = None,
    backend: BackendName = None,
    url: Url = None,
    journal: JournalDir = None,
    *,
    every: All = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Give some up, for good."""
    wanted = _ids(ids, every=every)
    with opened(url, journal) as log, letters_of(log.status(), backend) as letters:
        chosen = letters.all() if every else letters.chosen(wanted)
        number = counted(len(chosen), "dead letter")
        if chosen:
            confirm(f"Drop {number}, for good? What no other backend has is lost.", yes=yes)
        letters.drop(chosen)
    typer.echo(as_json({"dropped": len(chosen)}) if json else f"dropped {number}")


def _ids(texts: list[str] | None, *, every: bool) -> list[EventId]:
    if bool(texts) == every:
        raise ConfigurationError(
            "expected ids or --all, found both" if every else "expected ids or --all, found neither"
        )
    return [_id(text) for text in texts or ()]


def _id(text: str) -> EventId:
    try:
        return EventId.parse(text)
    except ValueError:
        raise ConfigurationError(f"expected the id of an event, found {one_line(text)!r}") from None


def _outcome(log: EventLog, backend: str | None, chosen: list[tuple[str, DeadLetter]], timeout_s: float) -> Outcome:
    with letters_of(log.status(), backend) as letters:
        return letters.wait(chosen, timeout_s)


def _tell(outcome: Outcome, *, json: bool) -> None:
    delivered, rejected, waiting = outcome
    words = f"delivered {delivered:,}, refused again {rejected:,}, still waiting {waiting:,}"
    typer.echo(as_json(outcome._asdict()) if json else words)
    if rejected:
        raise StillRefused(f"expected all to be taken, found {rejected:,} refused: see eventlog dead-letters list")
    if waiting:
        raise StillRefused(f"expected an answer, found none for {waiting:,}: tried again when the backend is back")


def _list(letters: list[Letter], to: Console) -> None:
    """Print a line each, or on a terminal, where that would not fit, a block."""
    if not to.is_terminal:
        to.print(_table(letters))
        return
    for letter in letters:
        event_id, backend, session, *numbers, reason = map(one_line, _cells(letter))
        to.print(Text.assemble((event_id, "bold"), "  ", "  ".join(numbers)))
        to.print(Text(f"  {session}, {backend}"))
        to.print(Text(f"  {reason}", style="dim"))


def _table(letters: list[Letter]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("id", "backend", "session", "time"):
        table.add_column(title, overflow="fold")
    table.add_column("age", justify="right", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for letter in letters:
        table.add_row(*(Text(one_line(text)) for text in _cells(letter)))
    return table


def _cells(letter: Letter) -> tuple[str, ...]:
    old, big = age(letter.age_s), size(letter.size_bytes)
    return letter.id, letter.backend, letter.session, _utc(letter.time), old, big, letter.reason


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%SZ}"


def _show(letter: Letter, found: DeadLetter) -> None:
    rows = {
        "id": letter.id,
        "backend": letter.backend,
        "session": letter.session,
        "time": f"{_utc(letter.time)}, {age(letter.age_s)} ago",
        "size": size(letter.size_bytes),
        "refused": f"{_utc(letter.dead_since)}: {letter.reason}",
        "holds": _HOLDS[letter.kind],
    }
    show_fields(rows, console())
    event = event_of(found)
    if isinstance(event, MessageAdded):
        show_messages([event.message], console())


def _show_json(letter: Letter, found: DeadLetter) -> None:
    event = event_of(found)
    message = {"message": event.message} if isinstance(event, MessageAdded) else {}
    typer.echo(as_json({**_fields(letter), **message}))


def _fields(letter: Letter) -> dict[str, Any]:
    return {name: getattr(letter, name) for name in letter.__struct_fields__}
