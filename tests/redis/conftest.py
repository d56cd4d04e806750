"""A cluster and a guarded master, shared by the tests of one worker; each test finds them whole and empty."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from eventlog.adapters import from_url
from eventlog.adapters.redis import RedisBackend
from tests.servers.redis_fleet import Cluster, running_cluster
from tests.servers.redis_guarded import Guarded, running_guarded
from tests.servers.tls import Certificate, make_certificate

Open = Callable[[str], RedisBackend]


@pytest.fixture(scope="session")
def _cluster() -> Iterator[Cluster]:
    with running_cluster(3, 1, "--cluster-require-full-coverage", "no") as cluster:
        yield cluster


@pytest.fixture
def cluster(_cluster: Cluster) -> Iterator[Cluster]:
    """Give three shards, of which one has a replica."""
    _cluster.flush()
    yield _cluster
    _cluster.mend()


@pytest.fixture
def guarded() -> Iterator[Guarded]:
    """Give a master with a replica and a sentinel of the test's own."""
    with running_guarded() as servers:
        yield servers


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Give a certificate of this host."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def backend_of() -> Iterator[Open]:
    """Give a maker of backends, which are closed with the test."""
    opened: list[RedisBackend] = []

    def make(url: str) -> RedisBackend:
        backend = from_url(url)
        assert isinstance(backend, RedisBackend)
        opened.append(backend)
        return backend

    yield make
    for backend in opened:
        backend.close()
