"""Room: `eventlog serve`: the page to look at, until Ctrl-C."""

from __future__ import annotations

from typing import Annotated

import typer

from eventlog.cli.common import JournalDir, Url, opened
from eventlog.errors import ConfigurationError


def serve(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen; elsewhere, a token is needed.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(metavar="PORT", min=0, max=65535, help="0: any that is free.")] = 8321,
    token: Annotated[
        str | None, typer.Option(metavar="T", envvar="EVENTLOG_TOKEN", help="The token to ask for. Default: a new one.")
    ] = None,
    url: Url = None,
    journal: JournalDir = None,
) -> None:
    """Serve a page to look at sessions, their timelines and the health of the backends.

    It only reads. It needs the packages of chat-eventlog[web].
    """
    try:
        from eventlog.web import serving  # noqa: PLC0415 (its packages may be missing)
    except ImportError as error:
        raise ConfigurationError(
            f"expected the package {error.name}, found none; run: pip install 'chat-eventlog[web]'"
        ) from None
    with opened(url, journal) as log:
        serving.serve(log, host, port, token, typer.echo)
