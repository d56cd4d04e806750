"""Histories for the tests of adapters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from eventlog.adapters import langchain_logs
from eventlog.adapters.langchain import RedisChatMessageHistory
from eventlog.demo.server import hold_port


@pytest.fixture(autouse=True)
def _own_logs() -> Iterator[None]:
    """End the logs that a test opened; nobody else's test finds them."""
    yield
    for stand in langchain_logs._by_identity.values():
        stand.log.close(timeout=0)
    for registry in (langchain_logs._by_identity, langchain_logs._by_url, langchain_logs._by_client):
        cast("dict[Any, Any]", registry).clear()


@pytest.fixture
def history(redis_url: str) -> RedisChatMessageHistory:
    """Give an empty history on a running server."""
    return RedisChatMessageHistory("s", redis_url)


@pytest.fixture
def dead_url() -> Iterator[str]:
    """Give the URL of a server that is not there."""
    port, holder = hold_port()
    yield f"redis://127.0.0.1:{port}/0"
    holder.close()
