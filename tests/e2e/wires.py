"""Lets the nodes of a test cluster reach each other through proxies, which faults cut and slow."""

from raftreg.verify.wires import Pair, Wires
from tests.e2e.cluster import Cluster


def lay(wires: Wires, cluster: Cluster) -> None:
    """Lead every connection between the nodes of a cluster that was not started through `wires`."""
    for name, node in cluster.nodes.items():
        reached = {
            other.name: node.raft if other is node else wires.lead(name, other.name, other.raft)
            for other in cluster.nodes.values()
        }
        peers = ",".join(f"{peer}=127.0.0.1:{port}" for peer, port in sorted(reached.items()))
        node.arguments += ["--peers", peers]


def around(cluster: Cluster, names: list[str]) -> list[Pair]:
    """All directions between the named nodes and the others, and among the named."""
    every = list(cluster.nodes)
    return [(a, b) for a in every for b in every if a != b and (a in names or b in names)]
