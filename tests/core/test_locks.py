"""Flocks: who holds one is alive, and nobody else lets go for him."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from threading import Thread

import pytest

from eventlog.locks import FileLock, is_locked
from tests.core.tools import eventually

LOCKER = """
import sys
from pathlib import Path
from eventlog.locks import FileLock
lock = FileLock(Path(sys.argv[1]))
print(lock.acquire(), flush=True)
input()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the place of a lock."""
    return tmp_path / "a.lock"


def open_count(path: Path) -> int:
    """Count this process's descriptors of a file."""
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            count += entry.readlink() == path
        except OSError:
            continue
    return count


def test_a_lock_is_held_by_one(path: Path) -> None:
    """A second taker gets none until the first lets go; taking what one has is harmless."""
    first, second = FileLock(path), FileLock(path)
    assert first.acquire()
    assert first.acquire()
    assert first.held
    assert not second.acquire()
    assert not second.held
    first.close()
    assert second.acquire()


def test_anyone_can_see_that_a_lock_is_held(path: Path) -> None:
    """Looking neither takes it nor makes its file."""
    assert not is_locked(path)
    assert not path.exists()
    lock = FileLock(path)
    lock.acquire()
    assert is_locked(path)
    lock.close()
    assert not is_locked(path)
    assert FileLock(path).acquire()


def test_a_lock_file_is_private_and_no_link(path: Path) -> None:
    """Its mode is 0600, and a link in its place is refused."""
    lock = FileLock(path)
    lock.acquire()
    assert path.stat().st_mode & 0o777 == 0o600
    link = path.with_name("link")
    link.symlink_to(path)
    with pytest.raises(OSError, match="symbolic link"):
        FileLock(link).acquire()


def test_a_lock_in_a_folder_that_is_gone_is_not_taken(tmp_path: Path) -> None:
    """Whoever removed the folder was faster."""
    assert not FileLock(tmp_path / "gone" / "a.lock").acquire()
    assert not is_locked(tmp_path / "gone" / "a.lock")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_lock_on_a_removed_file_does_not_count(path: Path) -> None:
    """Who waited for a lock whose file its holder removed has nothing, and a new file is a new lock."""
    first, waiting = FileLock(path), FileLock(path)
    first.acquire()
    results: list[bool] = []
    thread = Thread(target=lambda: results.append(waiting.acquire(wait=True)))
    thread.start()
    eventually(lambda: open_count(path) == 2)
    path.unlink()
    first.close()
    thread.join()
    assert results == [False]
    assert not waiting.held
    assert waiting.acquire()


def test_a_lock_goes_with_its_process(path: Path) -> None:
    """After SIGKILL of its holder a lock is free at once."""
    holder = subprocess.Popen([sys.executable, "-c", LOCKER, str(path)], stdin=PIPE, stdout=PIPE, text=True)
    assert holder.stdout is not None
    holder.stdout.readline()
    assert is_locked(path)
    assert not FileLock(path).acquire()
    holder.kill()
    holder.communicate()
    assert not is_locked(path)
    assert FileLock(path).acquire()


def test_a_child_that_closes_does_not_unlock_its_parent(path: Path) -> None:
    """The inherited descriptor is closed and the parent still holds the lock."""
    lock = FileLock(path)
    lock.acquire()
    child = os.fork()
    if child == 0:
        lock.close()
        os._exit(0 if is_locked(path) else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert is_locked(path)
