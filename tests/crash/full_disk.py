"""A program whose journal lies on a small disk of its own, which it fills up in an outage; then the backend comes back.

`python -m tests.crash.full_disk FOLDER`, in a mount namespace of its own. It asserts all that it claims.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import eventlog
from eventlog.adapters.sqlite import SQLiteBackend
from tests.contract.suite import ALL
from tests.core.tools import Moody, open_log

NAMESPACE = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
DISK_MIB = 8
SESSIONS = 5
TEXT = "x" * 2000


def main(folder: Path) -> None:
    """Fill the disk, see adds refused, deliver, see adds taken, and find each acknowledged one once, in order."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "none", str(disk)], check=True)  # noqa: S607
    store = Moody(SQLiteBackend(folder / "events.db"))
    store.deaf_to_appends = True
    taken: dict[int, list[int]] = {session: [] for session in range(SESSIONS)}
    with open_log(store, journal=disk / "journal", max_journal_bytes=1 << 40) as log:
        refused = _add_until_refused(log, taken)
        assert isinstance(refused.__cause__, OSError), refused
        assert "No space" in str(refused), refused
        for session, numbers in taken.items():
            assert [message[0] for message in log.history(f"s{session}").messages()] == numbers
        store.deaf_to_appends = False
        assert log.flush(30)
        _add(log, taken, 1_000_000, 3000)
        assert log.flush(30)
    assert not list(disk.glob("journal/*/*.seg")), "expected the disk to be free again"
    for session, numbers in taken.items():
        found = [message[0] for message in open_log(store, journal=disk / "journal").history(f"s{session}").messages()]
        assert found == numbers
        assert len(store.read(f"s{session}", limit=ALL)) == len(numbers)
    print(sum(map(len, taken.values())))  # noqa: T201 (what the test reads)


def _add_until_refused(log: eventlog.EventLog, taken: dict[int, list[int]]) -> eventlog.JournalError:
    try:
        _add(log, taken, 0, 1_000_000)
    except eventlog.JournalError as error:
        return error
    raise AssertionError("expected the disk to be full")


def _add(log: eventlog.EventLog, taken: dict[int, list[int]], first: int, count: int) -> None:
    for number in range(first, first + count):
        session = number % SESSIONS
        log.history(f"s{session}").add([number, TEXT])
        taken[session].append(number)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
