"""The Rockset adapter keeps the contract, through the vendor's SDK, on a server that speaks its REST API."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from eventlog.adapters.rockset import RocksetBackend
from eventlog.adapters.rockset_calls import Place
from eventlog.demo.server import hold_port
from tests.contract.suite import PASSWORD, ServerContract
from tests.servers.rockset import HOST, RocksetServer

_numbers = count()


class TestRockset(ServerContract):
    """An empty collection of the shared server for each test; its writes are seen a little later."""

    @pytest.fixture
    def backend(self, rockset_server: RocksetServer) -> Iterator[RocksetBackend]:
        """Give the adapter."""
        name = f"collection-{next(_numbers)}"
        rockset_server.make_collection(name, "work.space").delay_ms = 1
        backend = RocksetBackend(Place(rockset_server.url, PASSWORD), name, "work.space")
        yield backend
        backend.close()

    @pytest.fixture
    def unreachable(self) -> Iterator[RocksetBackend]:
        """Give one whose port nobody listens on."""
        port, holder = hold_port()
        yield RocksetBackend(Place(f"http://{HOST}:{port}", PASSWORD), "c")
        holder.close()
