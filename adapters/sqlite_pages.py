"""Room: what SQLite leaves in the gaps of its pages is not written to its file.

A page of a b-tree is a header, pointers, a gap, and cells; the gap begins where the pointers end and ends where the
header says that the cells begin. When pages are split or merged, SQLite lets copies of cells that went elsewhere lie in
the gap. `secure_delete` wipes what is deleted and not those copies (tried: text of 9 in 240 removed sessions was still
in the file). SQLite never reads a gap, so each is zero when its page goes to the file.

Rules:
* Only what is certainly a page of a b-tree is touched: in a file with auto-vacuum, or with so many pages that the
  number which begins an overflow page could look like a header, nothing is.
* Pages in the WAL are as SQLite made them; they go with the WAL, when it is truncated after each removal.
"""

from __future__ import annotations

from struct import unpack_from
from typing import Any

import apsw

NAME = "eventlog"
_HEADER_BYTES = {2: 12, 5: 12, 10: 8, 13: 8}
"""The kinds of b-tree pages and how long their headers are."""
_FILE_HEADER_BYTES = 100
_AUTO_VACUUM_AT, _AUTO_VACUUM_OFF = 52, bytes(4)
_PAGES_MAX = 1 << 24
"""A page number that begins with a kind of page is twice this at least."""


def without_gap(page: bytes, *, first: bool = False) -> bytes:
    """Give a page with nothing in its gap, if it is one of a b-tree."""
    header_at = _FILE_HEADER_BYTES if first else 0
    header_bytes = _HEADER_BYTES.get(page[header_at])
    if header_bytes is None:
        return page
    cells, cells_at = unpack_from(">HH", page, header_at + 3)
    begin, end = header_at + header_bytes + 2 * cells, cells_at or 1 << 16
    if not begin < end <= len(page):
        return page
    return b"".join((page[:begin], bytes(end - begin), page[end:]))


class _File(apsw.VFSFile):
    """A database file; its WAL is another."""

    def __init__(self, base: str, name: Any, flags: list[int]) -> None:
        super().__init__(base, name, flags)
        new = self.xFileSize() < _FILE_HEADER_BYTES
        self._is_plain = new or self.xRead(len(_AUTO_VACUUM_OFF), _AUTO_VACUUM_AT) == _AUTO_VACUUM_OFF

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 (apsw's name)
        if self._is_plain and not offset % len(data) and self.xFileSize() < _PAGES_MAX * len(data):
            data = without_gap(data, first=offset == 0)
        super().xWrite(data, offset)


class _Files(apsw.VFS):
    """The system's files, with database files of ours."""

    def __init__(self) -> None:
        super().__init__(NAME, base="")

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802 (apsw's name)
        return _File("", name, flags) if flags[0] & apsw.SQLITE_OPEN_MAIN_DB else super().xOpen(name, flags)


_registered = _Files()
