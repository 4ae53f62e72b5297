"""SIGTERM: a node that is told to stop hands over and finishes what it has begun."""

import asyncio
import signal
import socket
import time

from tests.e2e.cluster import Cluster, finish_get, start_get, start_put, wait_until
from tests.e2e.load import Record, Writer


def test_a_leader_that_is_told_to_stop_hands_over_and_exits_0(cluster: Cluster) -> None:
    """The successor is there at once, the exit code is 0, and the node comes back as a member."""
    leader = cluster.leader()
    term = leader.status()["Term"]
    leader.signal(signal.SIGTERM)
    assert 0 == leader.wait()
    successor = cluster.leader(other_than=leader.name)
    assert "handing leadership over" in leader.log.read_text()
    assert term < successor.status()["Term"]
    cluster.start(leader.name)


def test_ctrl_c_stops_a_node_like_sigterm(cluster: Cluster) -> None:
    """SIGINT is the same wish."""
    node = cluster.followers()[0]
    node.signal(signal.SIGINT)
    assert 0 == node.wait()


def test_writers_of_the_other_nodes_see_no_error_while_the_leader_stops(cluster: Cluster) -> None:
    """A planned stop costs latency at most."""
    leader = cluster.leader()
    ports = [node.http for node in cluster.followers()]
    record = Record()

    async def load() -> None:
        until = time.monotonic() + 2.0
        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(Writer(number, ports, record).run(until))
            await asyncio.sleep(0.5)
            leader.signal(signal.SIGTERM)

    asyncio.run(load())
    assert 0 == leader.wait()
    assert [] == record.errors
    assert 0 == record.resent
    assert len(record.acks_at) > 20


def test_blocking_queries_are_answered_before_the_node_ends(cluster: Cluster) -> None:
    """A client that waits for a change gets an answer, not a broken connection."""
    node = cluster.followers()[0]
    assert 200 == node.put("/v1/kv/key", b"value").status
    index = node.get("/v1/kv/key").headers["x-consul-index"]

    waiting = start_get(node.http, f"/v1/kv/key?index={index}&wait=60s")
    # Once a later request was answered, the node has read the one that waits.
    assert 200 == node.get("/v1/kv/key").status
    node.signal(signal.SIGTERM)
    assert finish_get(waiting).startswith("HTTP/1.1 200 ")
    assert 0 == node.wait()


def test_a_leader_that_lost_its_majority_still_stops(cluster: Cluster) -> None:
    """Writes that can never be finished do not keep a node from ending."""
    leader = cluster.leader()
    for node in cluster.followers():
        node.signal(signal.SIGSTOP)
    waiting = start_put(leader.http, "/v1/kv/key", b"value")
    wait_until("the leader gave up", lambda: leader.status()["Role"] != "leader")
    leader.signal(signal.SIGTERM)
    assert 0 == leader.wait(9.0)  # less than the time that a write may take
    waiting.close()


def test_a_stopped_node_leaves_its_port_free(cluster: Cluster) -> None:
    """Nothing listens any more where it did."""
    node = cluster.followers()[0]
    node.signal(signal.SIGTERM)
    assert 0 == node.wait()
    for port in (node.http, node.raft):
        with socket.socket() as probe:
            assert 0 != probe.connect_ex(("127.0.0.1", port))
