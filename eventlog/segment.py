"""Room: one segment and its names: the file that a writer has open, and a place in it.

Rules:
* A segment gets its name when it is ready, at once the one to write to.
* Once it is closed, its descriptor is -1.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from eventlog.files import Files, write_all
from eventlog.frames import HEADER_BYTES, SegmentHeader, pack_header
from eventlog.index import IndexWriter

SUFFIX = ".seg"
INDEX_SUFFIX = ".idx"
UNREADY_SUFFIX = ".new"


class Position(NamedTuple):
    """A place between two frames of one writer; `segment` 0 is before the first."""

    segment: int
    offset: int
    ordinal: int


START = Position(0, 0, 0)


def segment_path(folder: Path, number: int) -> Path:
    """Give the place of a segment."""
    return folder / f"{number:08d}{SUFFIX}"


def index_path(folder: Path, number: int) -> Path:
    """Give the place of a segment's index."""
    return folder / f"{number:08d}{INDEX_SUFFIX}"


class Segment:
    """An open segment; `end` and `ordinal` are where the next frame goes."""

    def __init__(self, files: Files, folder: Path, header: SegmentHeader) -> None:
        """Make it, under its name when it is ready; `OSError` if there is no room: then nothing of it is left."""
        self.header = header
        self.path = segment_path(folder, header.number)
        unready = self.path.with_suffix(UNREADY_SUFFIX)
        files.unlink(unready)
        files.unlink(index_path(folder, header.number))
        self.index = IndexWriter(files, index_path(folder, header.number), header.buckets)
        self.descriptor = -1
        try:
            self.descriptor = files.create(unready)
            write_all(files, self.descriptor, pack_header(header), 0)
            unready.rename(self.path)
        except BaseException:
            self.close()
            files.unlink(unready)
            files.unlink(self.index.path)
            raise
        self.end = HEADER_BYTES

    def close(self) -> None:
        """Let go of the file and of the index's pages."""
        self.index.close()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
