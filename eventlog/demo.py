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
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

from rich.console import Console

import eventlog
from eventlog.demo_check import Verdict, check
from eventlog.demo_company import Company
from eventlog.demo_sabotage import Sabotage, spoil
from eventlog.demo_screen import Note, Screen, Second, screen_on
from eventlog.demo_server import RedisServer
from eventlog.demo_talk import conversation
from eventlog.showing import console, show_messages

SERVER_KILLED, WRITER_KILLED, SERVER_BACK = 0.4, 0.55, 0.7
"""When, as parts of the whole time."""
LOOK_EVERY_S = 0.1
DRAIN_TIMEOUT_S = 60.0
CAUGHT_UP_EVENTS = 2000
_DOOMED = 1
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(seconds: float, sabotage: Sabotage | None = None) -> int:
    """Play it for so many seconds and count; 0 when nothing was lost, doubled or out of order, else 1."""
    with ExitStack() as stack:
        _leave_in_order(stack)
        folder = Path(tempfile.mkdtemp(prefix="eventlog-demo-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = stack.enter_context(RedisServer(durable=True))
        company = stack.enter_context(Company(server.url, folder))
        to = console()
        _introduce(server, company, to)
        with screen_on(to) as screen:
            Play(server, company, folder, screen).play(seconds)
        if sabotage is not None:
            spoil(server.url, sabotage)
        verdict = check(server.url, company.tasks)
        _judge(verdict, to)
        _show_time(server.url, folder, to)
        return 0 if verdict.passed else 1


def _leave_in_order(stack: ExitStack) -> None:
    """Let a signal end the demo like Ctrl-C does, and none disturb its tidying up."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in _SIGNALS}
    stack.callback(lambda: [signal.signal(number, handler) for number, handler in before.items()])
