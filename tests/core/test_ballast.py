"""Room for one more segment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eventlog.ballast import NAME, Ballast


def test_its_blocks_are_taken_and_come_free(tmp_path: Path) -> None:
    """A sparse file would keep nothing; what was thrown out is thrown out once."""
    ballast = Ballast(tmp_path, 100_000)
    ballast.take()
    ballast.take()
    assert (tmp_path / NAME).stat().st_blocks * 512 >= 100_000
    assert ballast.drop()
    assert not ballast.drop()
    assert list(tmp_path.iterdir()) == []
    ballast.take()
    assert (tmp_path / NAME).stat().st_size == 100_000


def test_a_disk_without_room_has_none_to_throw_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken later, when there is."""

    def no_room(*_: int) -> None:
        raise OSError

    ballast = Ballast(tmp_path, 100_000)
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", no_room)
        ballast.take()
    assert not ballast.drop()
    ballast.take()
    assert ballast.drop()
