"""Room: `eventlog erase` and `eventlog compact`: what is removed for good."""

from __future__ import annotations

from typing import Annotated

import typer

from eventlog.cli.common import JournalDir, Json, Url, Yes, confirm, opened
from eventlog.cli.removing import Arrivals, wait_for_cut
from eventlog.cli.showing import as_json, counted, lag, one_line
from eventlog.cli.telling import tell
from eventlog.cli.waiting import sessions_done
from eventlog.compacting import Compacted
from eventlog.errors import BackendUnavailable


def erase(  # noqa: PLR0913 (the options of a command)
    session: Annotated[str, typer.Argument(metavar="SESSION", help="The id of a session.")],
    timeout: Annotated[float, typer.Option(metavar="S", min=0.0, help="Seconds to wait for backends.")] = 10.0,
    url: Url = None,
    journal: JournalDir = None,
    *,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Remove a session from this host's journal and from every backend, for good.

    Run it on each host whose journal may still hold events of it. What a backend keeps of deleted bytes (append-only
    files, snapshots, backups) is removed by its own means.
    """
    with opened(url, journal, deliver=True, max_block_s=timeout) as log:
        status = log.status()
        names = ", ".join(backend.identity for backend in status.backends.values())
        unseen = "" if log.history(session).messages(last=1) else " It shows no message: is the id right?"
        confirm(f"Erase {session!r} from {status.journal} and {names}, for good?{unseen}", yes=yes)
        cut = log.erase(session)
        arrivals = wait_for_cut(log, cut, timeout)
    if json:
        typer.echo(
            as_json({"session": session, "cut": cut, "done": arrivals.done, "on_its_way": list(arrivals.missing)})
        )
    else:
        typer.echo(one_line(f"erased {session!r} from {', '.join(['the journal', *arrivals.done])}"))
    _refuse_missing(arrivals)


def _refuse_missing(arrivals: Arrivals) -> None:
    for name, backend in arrivals.missing.items():
        why = f"; its last error: {backend.last_error}" if backend.last_error else ""
        tell(f"still on its way to {name}, which lacks {lag(backend)}{why}")
    if arrivals.missing:
        raise BackendUnavailable(
            f"expected it to be erased everywhere, found {counted(len(arrivals.missing), 'backend')} to be done; "
            "it is kept in the journal and done when they are back; see: eventlog status"
        )


def compact(url: Url = None, journal: JournalDir = None, *, json: Json = False) -> None:
    """Remove from every backend what nobody may need any more.

    That is what a clear hid and the retention lets go, and what expired. Ctrl-C is safe: the rest is for the next time.
    """
    sessions = removed = 0

    def on_session(_session: str, events: int) -> None:
        nonlocal sessions, removed
        sessions, removed = sessions + 1, removed + events
        step(f"{counted(removed, 'event')} removed")

    with opened(url, journal) as log:
        try:
            with sessions_done(log) as step:
                log.compact(on_session)
        except (KeyboardInterrupt, BackendUnavailable):
            tell(f"ended early; {_words(Compacted(sessions, removed))}")
            raise
    done = Compacted(sessions, removed)
    typer.echo(as_json(done._asdict()) if json else _words(done))


def _words(done: Compacted) -> str:
    return f"looked at {counted(done.sessions, 'session')}, removed {counted(done.removed, 'event')}"
