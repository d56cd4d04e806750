"""A node that the workers of a test run share: the first one starts it, and stops it when the last one is done."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from eventlog.demo.server import ServerMissing
from tests.servers.cassandra_node import CassandraNode
from tests.servers.missing import missing_server

SETTINGS: dict[str, Any] = {
    "authenticator": "PasswordAuthenticator",
    "authorizer": "CassandraAuthorizer",
    "role_manager": "CassandraRoleManager",
    "max_mutation_size": "4MiB",
}


@contextmanager
def shared(place: Path, start: Callable[[ExitStack], str]) -> Iterator[str]:
    """Give what `start` tells of what it started, to all who name one file; its starter ends it after the others."""
    users, lock = place.with_suffix(".users"), place.with_suffix(".lock")
    with ExitStack() as servers, users.open("w") as mine:
        with _alone(lock):
            is_first = not place.exists()
            if is_first:
                place.write_text(start(servers))
            told = place.read_text()
            fcntl.flock(mine, fcntl.LOCK_SH)
        try:
            yield told
        finally:
            if is_first:
                with _alone(lock):
                    fcntl.flock(mine, fcntl.LOCK_EX)
                    place.unlink()
                    servers.close()


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_folder(factory: pytest.TempPathFactory) -> Path:
    """Give the folder of this test run, which its workers share."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def start_node(servers: ExitStack) -> str:
    """Start a node that asks for a password; give its address."""
    return servers.enter_context(make_cassandra(**SETTINGS)).address


def make_cassandra(**options: Any) -> CassandraNode:
    """Give a node that is not started yet, or end the test where there is none."""
    try:
        return CassandraNode(**options)
    except ServerMissing as error:
        missing_server(str(error))
