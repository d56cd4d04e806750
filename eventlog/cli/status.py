"""Room: `eventlog status`: once, again and again on a terminal, or for Prometheus."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from time import sleep
from typing import Annotated

import typer
from rich.live import Live

from eventlog.cli.common import JournalDir, Json, Url, opened
from eventlog.cli.metrics import exposition
from eventlog.cli.showing import as_json, console
from eventlog.cli.standing import Standing, look
from eventlog.cli.watching import screen, show
from eventlog.errors import ConfigurationError


def status(  # noqa: PLR0913 (the options of a command)
    url: Url = None,
    journal: JournalDir = None,
    max_journal_bytes: Annotated[
        int,
        typer.Option(
            metavar="BYTES", min=1, help="The bound of the journal, as the programs that write open it. Default: 1 GiB."
        ),
    ] = 1 << 30,
    every: Annotated[
        float, typer.Option(metavar="S", min=0.1, max=3600.0, help="With --watch: seconds between.")
    ] = 1.0,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,
    metrics: Annotated[bool, typer.Option("--metrics", help="Print the text format of Prometheus.")] = False,
    json: Json = False,
) -> None:
    """Tell how the backends and the journal stand.

    Backends are not asked: it is what those who deliver wrote down, and what lies in the journal.
    """
    _check(watch=watch, metrics=metrics, json=json)
    with opened(url, journal) as log:

        def seen() -> Standing:
            return look(log, max_journal_bytes)

        if watch and json:
            _print_again_and_again(seen, every)
        elif watch:
            _watch(seen, every)
        elif metrics:
            typer.echo(exposition(seen()), nl=False)
        elif json:
            typer.echo(as_json(seen().status))
        else:
            show(seen(), console())


def _check(*, watch: bool, metrics: bool, json: bool) -> None:
    if metrics and (watch or json):
        raise ConfigurationError("expected --metrics alone, found it with --watch or --json")
    if watch and not json and not sys.stdout.isatty():
        raise ConfigurationError("expected a terminal for --watch, found none; see --watch --json, or --metrics")


def _watch(seen: Callable[[], Standing], every_s: float) -> None:
    with suppress(KeyboardInterrupt), Live(screen(seen()), console=console(), auto_refresh=False) as live:
        while True:
            sleep(every_s)
            live.update(screen(seen()), refresh=True)


def _print_again_and_again(seen: Callable[[], Standing], every_s: float) -> None:
    with suppress(KeyboardInterrupt):
        while True:
            typer.echo(as_json(seen().status))
            sleep(every_s)
