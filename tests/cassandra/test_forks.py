"""Processes that fork while the driver's threads work: each has connections of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from cassandra import cluster

from eventlog.adapters import from_url
from eventlog.adapters.cassandra import CassandraBackend
from tests.adapters.langchain_help import run
from tests.contract.suite import ALL, messages
from tests.servers.cassandra_client import cluster_at
from tests.servers.cassandra_fixtures import Keyspace

FORKS = 12


@pytest.fixture
def backend(cassandra: Keyspace) -> Iterator[CassandraBackend]:
    """Give the adapter, connected."""
    backend = from_url(cassandra.url)
    assert isinstance(backend, CassandraBackend)
    backend.append({"s": messages(1)})
    yield backend
    backend.close()


@pytest.mark.crash
def test_children_of_a_busy_process_write_and_read(cassandra: Keyspace) -> None:
    """However the fork meets the driver's threads, the child is not stuck, and the parent goes on."""
    code = f"""
        import os, signal, threading
        from eventlog.adapters import from_url
        from tests.contract.suite import messages
        backend = from_url("{cassandra.url}")
        records = messages(100)
        backend.append({{"s": records}})
        done = threading.Event()
        faults = []
        def work(name):
            try:
                while not done.is_set():
                    backend.append({{name: records}})
                    assert backend.read(name, limit=1000) == records
            except BaseException as error:
                faults.append(error)
        threads = [threading.Thread(target=work, args=(f"busy {{number}}",)) for number in range(3)]
        for thread in threads:
            thread.start()
        ends = []
        for number in range({FORKS}):
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                backend.after_fork()
                backend.append({{f"child {{number}}": records}})
                fine = backend.read("s", limit=1000) == records
                backend.close()
                os._exit(0 if fine else 1)
            ends.append(os.waitpid(child, 0)[1])
        done.set()
        for thread in threads:
            thread.join()
        print(ends, faults, sum(name.startswith("child") for name in backend.sessions()))
        backend.close()
    """
    assert run(code).stdout == f"{[0] * FORKS} [] {FORKS}\n"


@pytest.mark.crash
def test_child_waits_for_no_thread_of_the_driver(cassandra: Keyspace) -> None:
    """What one was busy with while the process forked is left as it is."""
    code = f"""
        import os, signal, threading
        from cassandra.io import libevreactor
        from eventlog.adapters import from_url
        from tests.contract.suite import messages
        backend = from_url("{cassandra.url}")
        backend.append({{"s": messages(1)}})
        held, done = threading.Event(), threading.Event()
        def hold():
            libevreactor._global_loop._conn_set_lock.acquire()
            held.set()
            done.wait()
            os._exit(0)
        threading.Thread(target=hold).start()
        held.wait()
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            backend.after_fork()
            os._exit(0 if backend.read("s", limit=9) == messages(1) else 1)
        print(os.waitpid(child, 0)[1], flush=True)
        done.set()
    """
    assert run(code).stdout == "0\n"


def test_child_that_exits_leaves_the_parents_connections_alone(cassandra: Keyspace) -> None:
    """Also by the interpreter's own way out, and with a session of the program beside ours."""
    code = f"""
        import os, sys
        from cassandra.auth import PlainTextAuthProvider
        from cassandra.cluster import Cluster
        import eventlog
        from eventlog.adapters.cassandra import CassandraBackend
        who = PlainTextAuthProvider("cassandra", "cassandra")
        session = Cluster(["{cassandra.address}"], auth_provider=who, protocol_version=4).connect()
        log = eventlog.open(CassandraBackend(session, "{cassandra.name}"))
        chat = log.history("s")
        chat.add("parent")
        assert log.flush(20) and chat.messages().complete
        child = os.fork()
        if child == 0:
            chat.add("child")
            assert log.flush(20) and chat.messages().complete
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        chat.add("parent again")
        assert log.flush(20) and chat.messages().complete
        assert session.execute("SELECT count(*) FROM {cassandra.name}.eventlog").one()[0] == 3
        print(chat.messages())
    """  # noqa: S608
    assert run(code).stdout == "['parent', 'child', 'parent again']\n"


def test_threads_that_meet_no_connection_open_one(cassandra: Keyspace) -> None:
    """However many come at once."""
    before = connections()
    backend = from_url(cassandra.url)
    found: list[list[bytes]] = []
    threads = [threading.Thread(target=lambda: found.append(backend.read("s", limit=ALL))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[]] * 8
    assert connections() == before + 1
    backend.close()
    assert connections() == before


def connections() -> int:
    """Count the clusters that the driver holds open in this process."""
    return len(cluster._clusters_for_shutdown)


def test_backend_renews_what_it_connects_with(cassandra: Keyspace, backend: CassandraBackend) -> None:
    """What the newer one knows counts from then on; the older connections are closed, of the same place they stay."""
    before = connections()
    with cluster_at(cassandra.address) as theirs:
        newer = CassandraBackend(theirs.connect(), cassandra.name)
        assert newer.identity == backend.identity
        backend.renew(newer)
    assert connections() == before - 1
    assert backend.read("s", limit=ALL) == messages(1)
    assert connections() == before
    same = CassandraBackend(cassandra.session, cassandra.name)
    link = backend._link(5)
    backend.renew(same)
    assert backend._link(5) is link
