"""What a directory knows of what is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventlog.past import DAMAGE_BYTES_MAX, Counts, Damage, Past
from eventlog.status import DelivererState

SEGMENT = Path("/journal/0123456789abcdef/00000001.seg")


def test_a_place_counts_once_whoever_meets_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Two backends and a restart meet the same damage."""
    for past in (Past(tmp_path), Past(tmp_path)):
        past.report(SEGMENT, 64, 10, "damage")
        past.report(SEGMENT, 64, 12, "damage")
    Past(tmp_path).report(SEGMENT, 64, 10, "torn tail")
    assert Past(tmp_path).damage() == {
        Damage("0123456789abcdef/00000001.seg", 64, 10, "damage"),
        Damage("0123456789abcdef/00000001.seg", 64, 10, "torn tail"),
    }
    assert len(caplog.records) == 2


def test_lines_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    """This file may be damaged too."""
    past = Past(tmp_path)
    past.report(SEGMENT, 64, 10, "damage")
    with (tmp_path / "damage.jsonl").open("ab") as file:
        file.write(b"\xff\xfe{]\n")
    past.report(SEGMENT, 128, 10, "damage")
    assert {place.offset for place in past.damage()} == {64, 128}


def test_the_list_of_damage_is_bounded(tmp_path: Path) -> None:
    """A disk that rots away does not fill up with the news of it."""
    (tmp_path / "damage.jsonl").write_bytes(b"\n" * DAMAGE_BYTES_MAX)
    Past(tmp_path).report(SEGMENT, 64, 10, "damage")
    assert Past(tmp_path).damage() == set()


@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]"])
def test_counts_add_up_and_may_be_lost(tmp_path: Path, content: bytes | None) -> None:
    """What cannot be read begins again at nothing."""
    if content is not None:
        (tmp_path / "delivered.json").write_bytes(content)
    for _ in range(2):
        Past(tmp_path).add({"one": DelivererState(delivered=3, retries=1), "two": DelivererState()})
    assert Past(tmp_path).delivered() == {"one": Counts(6, 2), "two": Counts(0, 0)}
