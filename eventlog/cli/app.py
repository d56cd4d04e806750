"""Room: the command `eventlog`. It reads arguments, opens a log, calls what does the work, and ends with a code.

What operators need is in status, drain, dead_letters and remove; what all share is in common.

Rules:
* 0: done. 1: it failed. 2: it was asked for wrongly (an option, a URL, a journal that is not fit). 130: Ctrl-C.
* An error is one line on stderr (telling.py).
* A command that only reads delivers nothing and writes nothing but its journal's empty folder.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from time import monotonic
from typing import Annotated, cast

import typer

from eventlog.cli.common import AsOf, JournalDir, Json, Timeout, To, Url, moment, opened, refuse_incomplete
from eventlog.cli.dead_letters import app as dead_letters
from eventlog.cli.drain import drain
from eventlog.cli.loading import Loader
from eventlog.cli.move import copy_, dump, export, import_, verify
from eventlog.cli.remove import compact, erase
from eventlog.cli.serve import serve
from eventlog.cli.showing import as_json, console, counted, one_line, show_messages
from eventlog.cli.status import status
from eventlog.cli.telling import INTERRUPTED, MISUSED, listen, tell, tell_error
from eventlog.cli.timeline import replay, timeline
from eventlog.cli.waiting import bytes_read, wait_until_delivered

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def _eventlog(context: typer.Context) -> None:
    """Chat histories as an event log: journaled on the local disk, delivered to every backend, replayable."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(MISUSED)


@app.command()
def demo(
    seconds: Annotated[float, typer.Option(metavar="S", min=3.0, max=600.0, help="How long to write.")] = 24.0,
    sabotage: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Kill a server and a writer, count what was lost.

    Takes half a minute, needs the packages of chat-eventlog[demo], leaves nothing behind.
    """
    from eventlog.demo.show import run  # noqa: PLC0415 (no other command needs it)

    raise typer.Exit(run(seconds, sabotage))


@app.command()
def load(
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON lines, plain or gzip; - is stdin.")],
    to: To = None,
    journal: JournalDir = None,
    timeout: Timeout = None,
    *,
    json: Json = False,
) -> None:
    """Add conversations from a file.

    One {"session": "…", "messages": […]} a line, or what `eventlog dump` printed; it ends when every backend has them.
    """
    with _input(file) as source, opened(to, journal, deliver=True) as log:
        started = monotonic()
        loader = Loader(log)
        _load(loader, source)
        wait_until_delivered(log, timeout)
        _report(loader, monotonic() - started, json=json)


@app.command()
def sessions(
    prefix: Annotated[str, typer.Option(metavar="P", help="Only those that begin with P.")] = "",
    url: Url = None,
    journal: JournalDir = None,
    *,
    json: Json = False,
) -> None:
    """List the sessions that hold any event."""
    with opened(url, journal) as log:
        for session in log.sessions(prefix):
            typer.echo(as_json({"session": session}) if json else one_line(session))


@app.command()
def messages(  # noqa: PLR0913 (the options of a command)
    session: Annotated[str, typer.Argument(metavar="SESSION", help="The id of a session.")],
    last: Annotated[int | None, typer.Option(metavar="N", min=0, help="Only the last N.")] = None,
    as_of: AsOf = None,
    url: Url = None,
    journal: JournalDir = None,
    *,
    json: Json = False,
) -> None:
    """Print the messages of a session, oldest first."""
    at = moment(as_of)
    with opened(url, journal) as log:
        found = log.history(session).messages(last, at)
        if json:
            for message in found:
                typer.echo(as_json(message))
        else:
            show_messages(found, console())
    refuse_incomplete(found.source, complete=found.complete)


app.command()(timeline)
app.command()(replay)
app.command()(serve)
app.command()(status)
app.command()(drain)
app.add_typer(dead_letters, name="dead-letters")
app.command("import")(import_)
app.command()(export)
app.command()(dump)
app.command("copy")(copy_)
app.command()(verify)
app.command()(erase)
app.command()(compact)


@contextmanager
def _input(file: str) -> Iterator[BufferedReader]:
    if file == "-":
        yield cast("BufferedReader", sys.stdin.buffer)
    else:
        with Path(file).open("rb") as opened:
            yield opened


def _load(loader: Loader, source: BufferedReader) -> None:
    try:
        with bytes_read(source) as look:
            loader.load(source, look)
    except KeyboardInterrupt:
        tell(f"interrupted; {loader.so_far}")
        raise


def _report(loader: Loader, seconds: float, *, json: bool) -> None:
    rate = loader.messages / seconds
    if json:
        counts = {"sessions": loader.sessions, "messages": loader.messages}
        typer.echo(as_json({**counts, "seconds": round(seconds, 3), "messages_per_s": round(rate)}))
    else:
        what = f"{counted(loader.sessions, 'session')}, {counted(loader.messages, 'message')}"
        typer.echo(f"loaded and delivered {what} in {seconds:.2f} s ({rate:,.0f} messages/s)")


def main() -> None:
    """Run the command and end the process with its code."""
    listen()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code = app(prog_name="eventlog", standalone_mode=False)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 (tell_error raises what is not ours to tell)
        code = tell_error(error)
    sys.exit(code)
