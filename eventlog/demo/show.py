"""Room: the demo. Writers add; the server is killed and comes back; a writer is killed for good; then it is counted.

Rules:
* It uses the public API alone, a real server, real SIGKILLs; what it says in the end is counted, never assumed.
* Whatever ends it, Ctrl-C included, no process and no folder stays behind.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from time import sleep

from rich.console import Console
from rich.text import Text

import eventlog
from eventlog.cli.showing import console, show_messages
from eventlog.demo.check import Verdict, check
from eventlog.demo.company import ADDS_PER_S, SESSIONS, WRITERS, Company
from eventlog.demo.play import SERVER_BACK, SERVER_KILLED, WRITER_KILLED, Play
from eventlog.demo.sabotage import Sabotage, spoil
from eventlog.demo.screen import Screen
from eventlog.demo.server import RedisServer
from eventlog.demo.talk import conversation

TTL_S = 1.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(seconds: float, sabotage: str | None = None) -> int:
    """Play it for so many seconds and count; 0 when nothing was lost, doubled or out of order, else 1."""
    damage = Sabotage(sabotage) if sabotage else None
    with ExitStack() as stack:
        _end_on_signals(stack)
        folder = Path(tempfile.mkdtemp(prefix="eventlog-demo-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = stack.enter_context(RedisServer(durable=True))
        company = stack.enter_context(Company(server.url, folder))
        stack.callback(_ignore_signals)
        return _played(server, company, seconds, damage)


def _end_on_signals(stack: ExitStack) -> None:
    """Let any signal end the demo as Ctrl-C does, until the stack is done."""
    for number in _SIGNALS:
        stack.callback(signal.signal, number, signal.signal(number, signal.default_int_handler))


def _ignore_signals() -> None:
    """Tidy up undisturbed."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _played(server: RedisServer, company: Company, seconds: float, damage: Sabotage | None) -> int:
    to = console()
    _introduce(server, seconds, to)
    company.wait_until_all_write()
    with eventlog.open(server.url, journal=company.journal, deliver=False) as log, Screen(to) as screen:
        Play(server, company, log, screen).play(seconds)
    if damage is not None:
        spoil(server.url, damage)
    verdict = check(server.url, company.tasks)
    _show_verdict(verdict, to)
    with eventlog.open(server.url, journal=company.journal) as log:
        _show_clear(log, to)
        _show_ttl(log, to)
    return 0 if verdict.passed else 1


def _introduce(server: RedisServer, seconds: float, to: Console) -> None:
    killed, writer_killed, back = (f"{seconds * part:.1f} s" for part in (SERVER_KILLED, WRITER_KILLED, SERVER_BACK))
    to.print(
        f"{WRITERS} processes add {ADDS_PER_S:,} messages a second each, to {SESSIONS} conversations.\n"
        "An add returns when the journal, on the local disk, has it; from there it is\n"
        f"delivered to a Valkey server, {server.url}\n"
        f"The server is killed at {killed}, a writer at {writer_killed}; the server is back at {back}.\n"
    )


def _show_verdict(verdict: Verdict, to: Console) -> None:
    to.print(f"\n{verdict.acknowledged:,} messages were acknowledged, {verdict.stored:,} are in the server itself:")
    counts = f"lost {verdict.lost:,}, doubled {verdict.doubled:,}, out of order {verdict.out_of_order:,}"
    to.print(Text(counts, style="bold green" if verdict.passed else "bold red"))


def _show_clear(log: eventlog.EventLog, to: Console) -> None:
    chat = log.history("a-clear")
    *_, before = chat.add_many(islice(conversation("a clear"), 4))
    chat.clear()
    chat.add({"role": "user", "content": "Let us begin again."})
    _head("A conversation, after a clear:", to)
    show_messages(chat.messages(), to)
    _head("The same, as of the last event before the clear:", to)
    show_messages(chat.messages(as_of=before), to)


def _show_ttl(log: eventlog.EventLog, to: Console) -> None:
    chat = log.history("a-ttl", ttl=TTL_S)
    chat.add({"role": "user", "content": "This message has a time to live of one second."})
    chat.add({"role": "assistant", "content": "So has this one."})
    then = datetime.now(UTC)
    sleep(TTL_S + 0.1)
    _head(f"A conversation with a TTL of {TTL_S:.0f} s, a little later: {len(chat.messages())} messages.", to)
    _head("The same, as of the time of its last message:", to)
    show_messages(chat.messages(as_of=then), to)


def _head(text: str, to: Console) -> None:
    to.print(Text(f"\n{text}", style="bold"))
