"""The Momento adapter keeps the contract, through the vendor's SDK, on a server that speaks its protocol."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from momento import CredentialProvider

from eventlog.adapters.momento import MomentoBackend
from eventlog.demo.server import hold_port
from tests.contract.suite import PASSWORD, ServerContract
from tests.servers.momento import HOST, MomentoServer
from tests.servers.momento_store import ELEMENT_BYTES_MAX

_numbers = count()


class TestMomento(ServerContract):
    """An empty cache of the shared server for each test."""

    message_bytes = ELEMENT_BYTES_MAX

    @pytest.fixture
    def backend(self, momento_server: MomentoServer) -> Iterator[MomentoBackend]:
        """Give the adapter."""
        cache = f"cache-{next(_numbers)}"
        momento_server.make_cache(cache)
        backend = MomentoBackend(CredentialProvider(PASSWORD, HOST, HOST, HOST, momento_server.port), cache)
        yield backend
        backend.close()

    @pytest.fixture
    def unreachable(self) -> Iterator[MomentoBackend]:
        """Give one whose port nobody listens on."""
        port, holder = hold_port()
        yield MomentoBackend(CredentialProvider(PASSWORD, HOST, HOST, HOST, port), "cache")
        holder.close()
