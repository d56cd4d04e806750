"""What is known of a cluster: how far it leads, and what is forgotten."""

from __future__ import annotations

import redis

from eventlog.adapters.redis_cluster import Errand
from tests.contract.suite import messages
from tests.redis.conftest import Open
from tests.servers.redis_fleet import Cluster, running_cluster, slot_of

MANY = [f"session-{number}" for number in range(60)]


def test_a_node_that_leads_in_a_circle_is_left_in_the_end(cluster: Cluster, backend_of: Open) -> None:
    """Two nodes that each name the other fail one session, for now."""
    one, other = cluster.primaries[1:]
    (session,) = cluster.sessions_on(one, 1)
    backend = backend_of(cluster.url)
    backend.append({session: messages(1)})
    table = backend._clients._table
    assert table is not None
    errand = Errand(table, [session], [b"x"])
    steps, hops = errand.steps(), 0
    sends = next(steps, None)
    while sends is not None:
        (address,), hops = sends, hops + 1
        elsewhere = other if address[1] == one.port else one
        replies = [b"OK"] * (len(sends[address]) - 1) + [redis.ResponseError(f"ASK 1 127.0.0.1:{elsewhere.port}")]
        try:
            sends = steps.send({address: replies})
        except StopIteration:
            break
    assert 2 < hops < 20
    assert isinstance(errand.result()[0], redis.ResponseError)


async def test_nodes_that_left_are_let_go(backend_of: Open) -> None:
    """Where nodes come and go with their addresses, connections to those of before do not gather."""
    with running_cluster(3, replicas=1) as cluster:
        await see_nodes_let_go(cluster, backend_of)


async def see_nodes_let_go(cluster: Cluster, backend_of: Open) -> None:
    """Take a node off the table, meet another, and look at what is connected."""
    backend = backend_of(cluster.url)
    backend.append({name: messages(1) for name in MANY})
    for name in MANY:
        await backend.aread(name, limit=1)
    clients, table = backend._clients, backend._clients._table
    assert table is not None
    gone = table.owner(slot_of(MANY[0]))
    assert gone in {where for where, _ in clients._ways}
    table._known.remove(gone)  # type: ignore[arg-type]
    new = (gone[0], cluster.replicas[0].port) if gone else None
    clients._way(new, 9.0)
    assert {where for where, _ in clients._ways} == (table.primaries - {gone}) | {new}
    (held,) = clients._loops.values()
    held.pools.pop(next(iter(table.primaries - {gone})))
    stays = next(name for name in MANY if table.owner(slot_of(name)) not in held.pools)
    await backend.aread(stays, limit=1)
    assert set(held.pools) == table.primaries - {gone}
