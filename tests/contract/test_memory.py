"""The reference keeps the contract."""

from __future__ import annotations

import pytest

from eventlog.adapters import from_url
from eventlog.adapters.memory import MemoryBackend
from tests.contract.suite import BackendContract, messages


class TestMemory(BackendContract):
    """A store in this process."""

    @pytest.fixture
    def backend(self) -> MemoryBackend:
        """Give an empty one."""
        return MemoryBackend()


def test_each_url_is_a_store_of_its_own() -> None:
    """Two opens share nothing."""
    one, two = from_url("memory:"), from_url("memory:")
    one.append({"s": messages(1)})
    assert one.identity != two.identity
    assert list(two.sessions()) == []


def test_a_name_tells_stores_apart() -> None:
    """It is part of the identity."""
    assert MemoryBackend("a").identity == "memory:a"
