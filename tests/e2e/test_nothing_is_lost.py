"""The promise of the whole: what was acknowledged is there, once, on every node, whatever was killed meanwhile."""

import asyncio
import base64
import threading
import time

import pytest

from tests.e2e.cluster import Cluster, Node, wait_until
from tests.e2e.load import Record, write_for
from tests.e2e.witness import equal_digests

LOAD_S = 22.0
KILL_EVERY_S = 4.0
WRITERS = 32


def held_by(node: Node, index: int) -> dict[str, int]:
    """All keys and values in the node's own copy, once it has applied that index."""
    entries = node.get(f"/v1/kv/?recurse&stale&min-index={index}").json()
    return {entry["Key"]: int(base64.b64decode(entry["Value"])) for entry in entries}


def missing(expected: dict[str, int], held: dict[str, int]) -> dict[str, int]:
    """What was acknowledged and is not there with its value."""
    return {key: value for key, value in expected.items() if held.get(key) != value}


def kill_leaders(cluster: Cluster, stop: threading.Event) -> list[str]:
    """Every few seconds kill -9 the leader and start it again; the names of those that were killed."""
    killed = []
    while not stop.wait(KILL_EVERY_S):
        leader = cluster.leader()
        leader.kill()
        killed.append(leader.name)
        leader.start()
        wait_until(f"{leader.name} is ready again", leader.is_ready)
    return killed


def load_with_kills(cluster: Cluster) -> tuple[Record, list[str]]:
    """Writers over all nodes, while leader after leader is killed."""
    record = Record()
    stop = threading.Event()
    ports = [node.http for node in cluster.nodes.values()]

    async def load() -> None:
        await write_for(LOAD_S, WRITERS, ports, record)
        stop.set()

    async def both() -> list[str]:
        killing = asyncio.create_task(asyncio.to_thread(kill_leaders, cluster, stop))
        try:
            await load()
        finally:
            stop.set()
        return await killing

    return record, asyncio.run(both())


def test_acknowledged_writes_survive_killed_leaders_and_a_killed_cluster(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under 32 writers and a leader killed every 4 s nothing is lost or done twice; nor when all are killed at once."""
    record, killed = load_with_kills(cluster)
    with capsys.disabled():
        print(
            f"\n{len(record.acks_at)} writes acknowledged, {record.resent} sent again, leaders killed: {killed}, "
            f"longest gap between acknowledged writes: {record.longest_gap_s() * 1000:.0f} ms"
        )
    assert [] == record.errors
    assert len(killed) >= 2  # Five, where the machine has nothing else to do.
    for node in cluster.running():
        assert record.acknowledged == held_by(node, record.index), f"{node.name} differs"
    assert wait_until("equal digests", lambda: equal_digests(cluster))

    for node in cluster.running():
        node.kill()
    began = time.monotonic()
    cluster.start()
    with capsys.disabled():
        print(f"all three killed at once, ready again after {time.monotonic() - began:.1f} s")
    for node in cluster.running():
        assert {} == missing(record.acknowledged, held_by(node, record.index))
    assert wait_until("equal digests after the restart", lambda: equal_digests(cluster))
