"""Restoring an archive while nodes are killed: every node has the old state or the new one, never a mixture."""

import threading

import pytest

from raftreg.api import archive
from raftreg.commands import KVSet
from raftreg.state import State
from tests.e2e.cluster import Cluster, Node, wait_until
from tests.e2e.witness import equal_digests
from tests.state.test_restore import apply_all

KEYS = 6000


def archive_of(value: bytes) -> bytes:
    """A state with this value under each of many keys, made without any node."""
    state = State()
    apply_all(state, [KVSet(f"k/{number:05d}", value) for number in range(KEYS)])
    return archive.pack(archive.Meta(state.index, 1, [], 0.0), b"".join(state.freeze_archive()()))


def values_on(node: Node) -> dict[str, int]:
    """How often each value is there, by the node's own word."""
    counted: dict[str, int] = {}
    for entry in node.get("/v1/kv/k/?recurse").json():
        counted[entry["Value"]] = counted.get(entry["Value"], 0) + 1
    return counted


class Restore(threading.Thread):
    """A restore that is under way. `outcome` is the status, or None if there was no answer."""

    def __init__(self, node: Node, packed: bytes) -> None:
        super().__init__()
        self._node, self._packed = node, packed
        self.outcome: int | None = None
        self.start()

    def run(self) -> None:
        """Wait for the answer."""
        try:
            self.outcome = self._node.put("/v1/snapshot", self._packed, timeout_s=60.0).status
        except OSError:
            self.outcome = None


def began(node: Node) -> bool:
    """Whether the log of a node says that its restore is on its way."""
    return "restoring an archive" in node.tail(400)


@pytest.mark.parametrize("victim", ["leader", "node of entry"])
def test_restore_under_kills_is_whole_or_not_at_all(cluster: Cluster, victim: str) -> None:
    """The leader may die: the restore goes on. The node that was asked may die: the old state stays."""
    old, new = archive_of(b"old"), archive_of(b"new")
    entry, other = cluster.followers()
    leader = cluster.leader()
    assert 200 == other.put("/v1/snapshot", old, timeout_s=60.0).status
    restore = Restore(entry, new)
    wait_until("the restore is on its way", lambda: began(entry) or restore.outcome is not None)
    killed = leader if victim == "leader" else entry
    killed.kill()
    restore.join(90)
    killed.start()
    wait_until("the killed node is back", killed.is_ready)
    found = values_on(killed)
    assert found in ({"b2xk": KEYS}, {"bmV3": KEYS})
    if restore.outcome == 200:
        assert {"bmV3": KEYS} == found
    assert all(values_on(node) == found for node in cluster.running())
    wait_until("all nodes hold the same bytes", lambda: equal_digests(cluster))
