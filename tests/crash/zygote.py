"""A process that has imported everything and opened nothing: children are forked from it in milliseconds.

    python -m tests.crash.zygote

Reads one JSON value a line: a task, of which a child is made and its process id answered; or null, answered with the
children that have ended since, [[process id, exit code], ...]. A child is not waited for before that: until then its
process id is nobody else's. When stdin ends, the zygote kills the children that are left, and ends.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from typing import NoReturn

import msgspec

from tests.crash.tasks import Task
from tests.crash.writer import work

FAULT = 3
_children: set[int] = set()
_task = msgspec.json.Decoder(Task | None)


def main() -> None:
    """Serve until stdin ends."""
    for line in sys.stdin.buffer:
        task = _task.decode(line)
        answer = _ended() if task is None else _born(task)
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()
    for pid in _children:
        os.kill(pid, signal.SIGKILL)


def _born(task: Task) -> int:
    pid = os.fork()
    if pid == 0:
        _live(task)
    _children.add(pid)
    return pid


def _ended() -> list[tuple[int, int]]:
    ended = []
    for pid in list(_children):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            _children.discard(pid)
            ended.append((pid, os.waitstatus_to_exitcode(status)))
    return ended


def _live(task: Task) -> NoReturn:
    """Be the child: with nothing of the zygote's but its memory, and never back into its code."""
    code = FAULT
    try:
        told = os.open(task.told, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(told, 1)
        os.dup2(told, 2)
        code = work(task)
    except BaseException:  # noqa: BLE001 (see the docstring)
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
