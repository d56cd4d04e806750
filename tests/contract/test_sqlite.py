"""SQLite keeps the contract; its server is a file, which may be away too."""

from __future__ import annotations

import os
from pathlib import Path

import apsw
import pytest

from eventlog.adapters import from_url
from eventlog.adapters.sqlite import SQLiteBackend
from eventlog.errors import BackendUnavailable, ConfigurationError
from tests.contract.suite import ALL, ServerContract, messages

REFUSE_BAD = """
CREATE TRIGGER refuse BEFORE INSERT ON events WHEN new.session = 'bad' BEGIN SELECT raise(ABORT, 'no'); END
"""


class TestSQLite(ServerContract):
    """A file of its own for each test."""

    @pytest.fixture
    def backend(self, tmp_path: Path) -> SQLiteBackend:
        """Give an empty one."""
        return SQLiteBackend(tmp_path / "events.db")

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> SQLiteBackend:
        """Give one whose folder is missing."""
        return SQLiteBackend(tmp_path / "missing" / "events.db")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the place of a file."""
    return tmp_path / "events.db"


def test_it_has_one_identity_from_a_url_and_from_an_object(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolved path, however it was given."""
    monkeypatch.chdir(path.parent)
    (path.parent / "link").symlink_to(path.parent)
    same = [
        SQLiteBackend(path),
        SQLiteBackend("events.db"),
        SQLiteBackend(path.parent / "link" / "events.db"),
        from_url("sqlite:///events.db"),
        from_url(f"sqlite:///{path}"),
        from_url(f"sqlite:///{str(path).replace('e', '%65')}"),
    ]
    assert {backend.identity for backend in same} == {f"sqlite:{path}"}


@pytest.mark.parametrize("url", ["sqlite:", "sqlite://", "sqlite:///", "sqlite://host/path"])
def test_a_url_without_a_path_is_refused(url: str) -> None:
    """The error shows how one looks."""
    with pytest.raises(ConfigurationError, match="sqlite:///"):
        from_url(url)


def test_making_one_touches_nothing(path: Path) -> None:
    """The file is made at the first use."""
    backend = SQLiteBackend(path)
    assert not path.exists()
    backend.append({"s": messages(1)})
    assert path.exists()


def test_what_was_appended_is_on_the_disk(path: Path) -> None:
    """WAL with full sync: on its word the journal lets go of an event."""
    backend = SQLiteBackend(path)
    backend.append({"s": messages(1)})
    connection = backend._open()
    assert connection.pragma("synchronous") == 2
    assert connection.pragma("journal_mode") == "wal"
    assert apsw.SQLITE_VERSION_NUMBER >= 3_051_003, "free of the WAL-reset bug"


def test_two_processes_share_a_file(path: Path) -> None:
    """What one appended the other reads."""
    one, two = SQLiteBackend(path), SQLiteBackend(path)
    one.append({"s": messages(2)})
    assert two.read("s", limit=ALL) == messages(2)
    two.append({"s": messages(3)})
    assert one.read("s", limit=ALL) == messages(3)


def test_a_file_that_is_locked_for_long_is_unavailable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again later, on the same connection."""
    monkeypatch.setattr("eventlog.adapters.sqlite.BUSY_TIMEOUT_MS", 1)
    backend = SQLiteBackend(path)
    backend.append({"s": messages(1)})
    with apsw.Connection(str(path)) as other:
        other.execute("UPDATE events SET session = session")
        with pytest.raises(BackendUnavailable, match="Busy"):
            backend.append({"s": messages(2)})
        assert backend.read("s", limit=ALL) == messages(1)
    backend.append({"s": messages(2)})
    assert backend.read("s", limit=ALL) == messages(2)


def test_a_file_that_is_no_database_is_unavailable(path: Path) -> None:
    """Nothing of it is overwritten."""
    path.write_bytes(b"not a database, but somebody's letter" * 100)
    with pytest.raises(BackendUnavailable):
        SQLiteBackend(path).append({"s": messages(1)})
    assert path.read_bytes().startswith(b"not a database")


def test_a_batch_is_there_whole_or_not_at_all(path: Path) -> None:
    """A row that cannot be written takes its transaction back."""
    backend = SQLiteBackend(path)
    backend.append({"s": messages(1)})
    backend._open().execute(REFUSE_BAD)
    with pytest.raises(BackendUnavailable):
        backend.append({"good": messages(2), "bad": messages(1)})
    assert list(backend.sessions()) == ["s"]


def test_a_child_writes_with_a_handle_of_its_own(path: Path) -> None:
    """And the parent's handle still works."""
    backend = SQLiteBackend(path)
    backend.append({"s": messages(1)})
    child = os.fork()
    if child == 0:
        backend.after_fork()
        backend.append({"s": messages(2)})
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    backend.append({"t": messages(1)})
    assert backend.read("s", limit=ALL) == messages(2)
