"""Room: the place of a journal: which folder, and whether it is fit to hold other people's conversations.

Rules:
* Private to one user: the folder is ours, 0700, and no symlink; what is not so is refused with what was found.
* Local: flocks, mmaps and the order of writes mean nothing on a network file system, so one is refused.
"""

from __future__ import annotations

import os
import re
import stat
from hashlib import blake2b
from pathlib import Path

import platformdirs

from eventlog.errors import ConfigurationError
from eventlog.files import PRIVATE_FOLDER

VARIABLE = "EVENTLOG_JOURNAL"
_ESCAPED = re.compile(r"\\([0-7]{3})")
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "davfs"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.s3fs"}
)


def backend_key(identity: str) -> str:
    """Give the name that files of a backend have: readable kind, hashed rest, never a credential."""
    kind = "".join(letter for letter in identity.partition(":")[0] if letter.isalnum()) or "backend"
    return f"{kind}-{blake2b(identity.encode(), digest_size=8).hexdigest()}"


def default_place(identity: str) -> Path:
    """Give the folder of a journal whose first backend this is."""
    base = os.environ.get(VARIABLE)
    root = Path(base) if base else platformdirs.user_state_path("eventlog")
    return root / backend_key(identity)


def prepare(path: Path) -> Path:
    """Make the folder or check it; `ConfigurationError` says what was expected and found."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        path.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise ConfigurationError(
            f"expected a journal folder that can be made at {path}, found {error.strerror}; "
            f"name another place with journal= or ${VARIABLE}"
        ) from error
    _check_private(path, found)
    _check_local(path)
    return path


def _check_private(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode) or not stat.S_ISDIR(found.st_mode):
        raise ConfigurationError(f"expected a folder of its own as journal, found a link or a file at {path}")
    if found.st_uid != os.geteuid():
        raise ConfigurationError(f"expected a journal owned by user {os.geteuid()}, found {path} of {found.st_uid}")
    if stat.S_IMODE(found.st_mode) & 0o077:
        mode = oct(stat.S_IMODE(found.st_mode))
        raise ConfigurationError(f"expected a journal of mode 0700, found {mode} at {path}; run: chmod 700 {path}")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"expected a journal that can be written, found {path} without write permission; "
            f"name another place with journal= or ${VARIABLE}"
        )


def _check_local(path: Path) -> None:
    kind = file_system_of(path)
    if kind in _NETWORK:
        raise ConfigurationError(f"expected a local file system for the journal, found {kind} at {path}")


def file_system_of(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """Give the type of the file system that a path is on; '' where the system does not tell."""
    try:
        lines = os.fsdecode(mounts.read_bytes()).splitlines()
    except OSError:
        return ""
    best, kind = Path(), ""
    where = path.resolve()
    for line in lines:
        fields = line.split()
        mount = Path(_ESCAPED.sub(lambda found: chr(int(found[1], 8)), fields[4]))
        if where.is_relative_to(mount) and len(mount.parts) >= len(best.parts):
            best, kind = mount, fields[fields.index("-") + 1]
    return kind
