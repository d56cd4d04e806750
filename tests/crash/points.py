"""The named points at which a writer dies: played in the child by wrapping what production code calls.

Each takes the number of the call at which to strike. Nothing of this is known to the code that is tested.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from eventlog.access import Access
from eventlog.files import Files
from eventlog.follower import Cursor


def die() -> None:
    """End this process as the kernel's killer would."""
    os.kill(os.getpid(), signal.SIGKILL)


def strike() -> None:
    """Die at a named point, and leave word that it was reached."""
    descriptor = os.open(os.environ["HITS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, os.environ["POINT"].encode() + b"\n")
    die()


def _wrapped(call: Callable[..., Any], nth: int, *, after: bool) -> Callable[..., Any]:
    numbers = count(1)

    def struck(*args: Any, **kwargs: Any) -> Any:
        hit = next(numbers) == nth
        if hit and not after:
            strike()
        result = call(*args, **kwargs)
        if hit:
            strike()
        return result

    return struck


def _torn(call: Callable[[int, bytes, int], int], nth: int) -> Callable[[int, bytes, int], int]:
    numbers = count(1)

    def struck(descriptor: int, data: bytes, offset: int) -> int:
        if next(numbers) == nth:
            call(descriptor, data[: len(data) // 2], offset)
            strike()
        return call(descriptor, data, offset)

    return struck


def _strike_backend(nth: int) -> None:
    """Die between a backend's apply and its reply."""
    begin = Access.__init__

    def init(self: Access, settings: Any, backends: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        for backend in backends.values():
            backend.append = _wrapped(backend.append, nth, after=True)
        begin(self, settings, backends, *args, **kwargs)

    Access.__init__ = init  # type: ignore[method-assign]


def _set(owner: Any, name: str, value: Any, *, static: bool = False) -> None:
    setattr(owner, name, staticmethod(value) if static else value)


POINTS: dict[str, Callable[[int], None]] = {
    "before the write": lambda nth: _set(Files, "write", _wrapped(Files.write, nth, after=False), static=True),
    "half way through the write": lambda nth: _set(Files, "write", _torn(Files.write, nth), static=True),
    "after the write": lambda nth: _set(Files, "write", _wrapped(Files.write, nth, after=True), static=True),
    "before the rotation": lambda nth: _set(Files, "create", _wrapped(Files.create, nth, after=False)),
    "after the rotation": lambda nth: _set(Files, "create", _wrapped(Files.create, nth, after=True)),
    "before the sync": lambda nth: _set(Files, "sync", _wrapped(Files.sync, nth, after=False), static=True),
    "after the sync": lambda nth: _set(Files, "sync", _wrapped(Files.sync, nth, after=True), static=True),
    "before the cursor save": lambda nth: _set(Cursor, "save", _wrapped(Cursor.save, nth, after=False)),
    "after the cursor save": lambda nth: _set(Cursor, "save", _wrapped(Cursor.save, nth, after=True)),
    "before the unlink": lambda nth: _set(Files, "unlink", _wrapped(Files.unlink, nth, after=False)),
    "after the unlink": lambda nth: _set(Files, "unlink", _wrapped(Files.unlink, nth, after=True)),
    "before the folder's rename": lambda _: _set(Path, "rename", _wrapped(Path.rename, 1, after=False)),
    "after the folder's rename": lambda _: _set(Path, "rename", _wrapped(Path.rename, 1, after=True)),
    "before a dead folder goes": lambda _: _set(shutil, "rmtree", _wrapped(shutil.rmtree, 1, after=False)),
    "after a dead folder went": lambda _: _set(shutil, "rmtree", _wrapped(shutil.rmtree, 1, after=True)),
    "between apply and reply": _strike_backend,
}

NTH_MAX = {
    "before the write": 400,
    "half way through the write": 400,
    "after the write": 400,
    "before the rotation": 6,
    "after the rotation": 6,
    "before the unlink": 4,
    "after the unlink": 4,
    "before the sync": 3,
    "after the sync": 3,
}
"""From how late a call on a point still comes up; the others strike within the first eight."""
