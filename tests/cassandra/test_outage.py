"""A node that dies and comes back: what was said meanwhile waits, is read meanwhile, and arrives once."""

from __future__ import annotations

from pathlib import Path

import pytest

import eventlog
from tests.core.tools import eventually
from tests.servers.cassandra_client import cluster_at
from tests.servers.cassandra_shared import make_cassandra

FLUSH_S = 60.0


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.timeout(300)
async def test_everything_arrives_after_an_outage(tmp_path: Path) -> None:
    """With the same connections to a new process, and with nobody's help."""
    with make_cassandra(commitlog_sync="batch", commitlog_sync_period=None) as node:
        with eventlog.open(f"cassandra://{node.address}/chats", journal=tmp_path / "j") as log:
            chat = log.history("s")
            chat.add("before")
            assert log.flush(FLUSH_S), log.status()
            node.kill()
            chat.add_many(range(100))
            eventually(lambda: log.status().backends["cassandra"].state == "down")
            found = chat.messages()
            assert (found[-100:], found.complete) == (list(range(100)), False)
            assert await chat.amessages() == found
            node.start()
            assert log.flush(FLUSH_S), log.status()
            status = log.status().backends["cassandra"]
            assert (status.state, status.dead_letters, status.last_error) == ("ok", 0, None)
            eventually(lambda: chat.messages().complete)
            assert chat.messages() == ["before", *range(100)] == await chat.amessages()
        with cluster_at(node.address) as cluster:
            assert cluster.connect().execute("SELECT count(*) FROM chats.eventlog").one()[0] == 101
