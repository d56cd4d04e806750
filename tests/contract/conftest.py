"""What the contract tests share: servers of ours, one a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.suite import PASSWORD
from tests.servers.momento import MomentoServer, running_momento


@pytest.fixture(scope="session")
def momento_server() -> Iterator[MomentoServer]:
    """Give the server; each test has a cache of its own."""
    with running_momento(api_key=PASSWORD) as server:
        yield server
