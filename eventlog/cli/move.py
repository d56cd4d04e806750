"""Room: the commands that move sessions: import, export, dump, copy and verify."""

from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from time import monotonic
from typing import Annotated, Any

import typer

from eventlog.adapters import from_url
from eventlog.cli.common import Json, readable_urls
from eventlog.cli.moving import Import, NotMoved, Report, Strange, copy, differences, pages
from eventlog.cli.showing import as_json, counted, one_line
from eventlog.cli.waiting import sessions_moved
from eventlog.errors import ConfigurationError
from eventlog.ports import Backend

LAYOUT = "langchain-community"
PREFIX = "message_store:"

From = Annotated[str, typer.Option("--from", metavar="URL", help="The store to read.")]
Into = Annotated[str, typer.Option("--to", metavar="URL", help="The store to write.")]
Layout = Annotated[str, typer.Option(metavar="NAME", help=f"Only {LAYOUT}: what its chat history classes wrote.")]
Prefix = Annotated[str, typer.Option("--sessions", metavar="PREFIX", help="Only sessions that begin with it.")]


def import_(  # noqa: PLR0913 (the options of a command)
    source: From,
    to: Into,
    layout: Layout,
    sessions: Annotated[
        str | None, typer.Option(metavar="PREFIX", help=f"Only lists that begin with it. Default: {PREFIX}")
    ] = None,
    session: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Just this one; for a store that lists none. Repeat it.")
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Then read both sides again and compare bytes.")] = False,
    json: Json = False,
) -> None:
    """Import what langchain-community's classes wrote, as it is; to be repeated at will.

    What no version of them wrote is kept too, and shown by --json with its bytes in base64.
    """
    _check(layout)
    with _opened(source) as old, _opened(to) as store:
        work = Import(old, store, dry=dry_run, on_strange=_show_strange if json else _pass_over)
        started = monotonic()
        with sessions_moved() as told:
            work.run(_named(old, sessions, session), told)
        _report("would import" if dry_run else "imported", work.report, monotonic() - started, json=json)
        if verify:
            _refuse(work.differences(_named(old, sessions, session)))


def export(source: From, to: Into, layout: Layout, sessions: Prefix = PREFIX, *, json: Json = False) -> None:
    """Write sessions back as langchain-community's Redis class would have: the way back."""
    from eventlog.cli.exporting import export as write  # noqa: PLC0415 (needs langchain-core)

    _check(layout)
    with _opened(source) as one, _opened(to) as other:
        started = monotonic()
        with sessions_moved() as told:
            report = write(one, other, list(one.sessions(sessions)), told)
        _report("exported", report, monotonic() - started, json=json)


def dump(
    url: Annotated[str, typer.Option("--url", metavar="URL", envvar="EVENTLOG_URL")], sessions: Prefix = ""
) -> None:
    """Print every event of a store as JSON lines, without any loss: `eventlog load` puts them back."""
    with _opened(url) as store:
        for name in store.sessions(sessions):
            for page in pages(store, name):
                records = [b64encode(record).decode() for record in page]
                sys.stdout.write(as_json({"session": name, "records": records}) + "\n")


def copy_(source: From, to: Into, sessions: Prefix = "", *, json: Json = False) -> None:
    """Copy every event from one store to another, while writers go on; to be repeated at will."""
    with _opened(source) as one, _opened(to) as other:
        started = monotonic()
        with sessions_moved() as told:
            report = copy(one, other, one.sessions(sessions), told)
        _report("copied", report, monotonic() - started, json=json)


def verify(
    first: Annotated[str, typer.Argument(metavar="URL", help="A store.")],
    second: Annotated[str, typer.Argument(metavar="URL", help="Another.")],
    sessions: Prefix = "",
) -> None:
    """Compare two stores: ids and bytes, session by session."""
    with _opened(first) as one, _opened(second) as other, sessions_moved() as told:
        _refuse(differences(one, other, sessions, told))
    typer.echo("both hold the same")


@contextmanager
def _opened(url: str) -> Iterator[Backend]:
    with readable_urls():
        backend = from_url(url)
    with closing(backend):
        yield backend


def _check(layout: str) -> None:
    if layout != LAYOUT:
        raise ConfigurationError(f"expected --layout {LAYOUT}, found {layout!r}")


def _named(old: Any, prefix: str | None, names: list[str] | None) -> Iterable[str]:
    if names:
        return names
    if not hasattr(old, "old_sessions"):
        raise ConfigurationError("expected --session NAME for a store that cannot list what it holds, found none")
    found: Iterable[str] = old.old_sessions(PREFIX if prefix is None else prefix)
    return found


def _pass_over(_: Strange) -> None:
    """Say nothing of one; the report counts them."""


def _show_strange(found: Strange) -> None:
    raw = b64encode(found.element).decode()
    typer.echo(as_json({"quarantined": raw, "session": found.session, "id": str(found.event_id)}))


def _report(what: str, report: Report, seconds: float, *, json: bool) -> None:
    rate = report.messages / max(seconds, 1e-9)
    if json:
        typer.echo(as_json({**_counts(report), "seconds": round(seconds, 3), "messages_per_s": round(rate)}))
        return
    typer.echo(
        f"{what} {counted(report.sessions, 'session')}, {counted(report.messages, 'message')} in {seconds:.2f} s "
        f"({rate:,.0f} messages/s); {report.already_there:,} were there, {report.quarantined:,} quarantined"
    )


def _counts(report: Report) -> dict[str, int]:
    return {name: getattr(report, name) for name in report.__struct_fields__}


def _refuse(different: Iterable[str]) -> None:
    count = 0
    for name in different:
        count += 1
        typer.echo(f"different: {one_line(name)}")
    if count:
        raise NotMoved(f"expected both sides to hold the same, found {counted(count, 'session')} that differ")
