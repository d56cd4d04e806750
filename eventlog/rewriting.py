"""Room: frames whose sync failed are written again, to a new segment.

After a failed sync the kernel may call the pages clean: they can still be read, but no later sync of that file says
anything about them. So they are read back while they can be, and appended anew; ids make the doubles harmless.
"""

from __future__ import annotations

from pathlib import Path

from eventlog.follower import SegmentReader
from eventlog.frames import HEADER_BYTES
from eventlog.journal import Journal


def write_again(journal: Journal, folder: Path) -> None:
    """Append what a failed sync left in doubt to a new segment; `JournalError` if that cannot be: it stays in doubt."""
    journal.rotate()
    doubt, fresh = journal.doubt, journal.end.segment
    for number in range(max(1, doubt.segment), fresh):
        _append_again(journal, folder, number, doubt.offset if number == doubt.segment else HEADER_BYTES)
    journal.believe_again(fresh)


def _append_again(journal: Journal, folder: Path, number: int, offset: int) -> None:
    try:
        segment = SegmentReader(folder, number)
    except FileNotFoundError:
        return  # delivered and removed meanwhile
    try:
        for frame in segment.scan(offset):
            if frame.records:
                journal.append_records(frame.session, frame.records)
    finally:
        segment.close()
