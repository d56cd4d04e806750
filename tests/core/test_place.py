"""The place of a journal: private, local, named for its backend, or refused with what was found."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from eventlog.errors import ConfigurationError
from eventlog.place import VARIABLE, backend_key, default_place, file_system_of, prepare

IDENTITY = "redis:127.0.0.1:6379/0"
MOUNTS = r"""
22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:40 / /mnt/shared rw,relatime shared:2 - nfs4 server:/export rw,vers=4.2
31 30 259:9 / /mnt/shared/local rw,relatime - xfs /dev/sdb1 rw
32 22 0:41 / /mnt/with\040space rw - cifs //server/share rw
33 22 0:42 / /mnt/büro rw master:7 shared:9 - fuse.sshfs user@host: rw
34 22 0:43 / /mnt/sharedness rw - tmpfs tmpfs rw
"""


def test_a_new_place_is_made_private(tmp_path: Path) -> None:
    """The folder and the missing ones above it are for one user, whatever the umask."""
    before = os.umask(0)
    try:
        place = prepare(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert prepare(place) == place, "what fits is taken as it is"


def test_a_link_is_refused(tmp_path: Path) -> None:
    """A symlink could be turned to another place between two looks."""
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(ConfigurationError, match="link"):
        prepare(tmp_path / "link")


def test_a_file_is_refused(tmp_path: Path) -> None:
    """A place that is taken by a file is named, with the variable that names another one."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=VARIABLE):
        prepare(tmp_path / "file")
    with pytest.raises(ConfigurationError, match=VARIABLE):
        prepare(tmp_path / "file" / "below")


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777, 0o701])
def test_a_place_that_others_can_enter_is_refused(tmp_path: Path, mode: int) -> None:
    """The error says what was found and the command that mends it."""
    place = tmp_path / "journal"
    place.mkdir()
    place.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"found {oct(mode)}.*chmod 700"):
        prepare(place)


def test_a_place_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner could read along."""
    place = prepare(tmp_path / "journal")
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(ConfigurationError, match="owned by user 4711"):
        prepare(place)


def test_a_place_without_write_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable that names another place."""
    place = prepare(tmp_path / "journal")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigurationError, match=VARIABLE):
        prepare(place)


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks and shared pages mean nothing there."""
    monkeypatch.setattr("eventlog.place.file_system_of", lambda _: "nfs4")
    with pytest.raises(ConfigurationError, match="found nfs4"):
        prepare(tmp_path / "journal")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/home/me", "ext4"),
        ("/mnt/shared/journal", "nfs4"),
        ("/mnt/shared/local/journal", "xfs"),
        ("/mnt/with space/journal", "cifs"),
        ("/mnt/büro/journal", "fuse.sshfs"),
        ("/mnt/sharedness/journal", "tmpfs"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path, path: str, expected: str) -> None:
    """Mounts may lie in mounts, hold spaces and letters of any script, and begin alike."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.strip())
    assert file_system_of(Path(path), mounts) == expected


def test_a_mount_whose_name_is_no_text_is_no_obstacle(tmp_path: Path) -> None:
    """File names are bytes."""
    mounts = tmp_path / "mountinfo"
    mounts.write_bytes(MOUNTS.strip().encode() + b"\n40 22 0:50 / /mnt/\xff\xfe rw - nfs4 server:/ rw")
    assert file_system_of(Path("/home/me"), mounts) == "ext4"


def test_a_system_that_does_not_tell_its_mounts_is_trusted(tmp_path: Path) -> None:
    """Without the list there is nothing to refuse."""
    assert file_system_of(Path("/home/me"), tmp_path / "missing") == ""


def test_a_backend_has_one_key(tmp_path: Path) -> None:
    """The key is a file name, begins with the kind, and differs where the identity does."""
    assert backend_key(IDENTITY) == backend_key(IDENTITY)
    assert backend_key(IDENTITY) != backend_key(IDENTITY + "1")
    assert backend_key(IDENTITY).startswith("redis-")
    odd = backend_key("sqlite:/a/../b\0c: d")
    (tmp_path / odd).touch()
    assert odd.isascii()


def test_the_default_place_is_named_by_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In it, each first backend has a folder of its own; without it, the user's state directory is taken."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert default_place(IDENTITY) == tmp_path / backend_key(IDENTITY)
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path in default_place(IDENTITY).parents
