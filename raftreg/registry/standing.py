"""Whether a node belongs to its cluster, in words for people."""

from raftreg.consensus import Consensus, Status
from raftreg.consensus.boot import what_to_run
from raftreg.errors import Removed


def standing_outside(status: Status) -> str | None:
    """What keeps a node out that has a cluster and is no member of it, and what to run; None if it is one."""
    known = {peer.id for peer in status.peers}
    inside = status.role == "starting" or status.id in known
    if (inside or not known) and not status.removed:
        return None
    command = what_to_run(status.name, status.id, known)
    if status.removed:
        return (
            f"this node was removed from cluster {status.cluster_id}: stop it, or to have it back: {command}"
        )
    return f"this node is no member of cluster {status.cluster_id}; to make it one: {command}"


def check_not_removed(consensus: Consensus) -> None:
    """Raise Removed if this node was taken out of its cluster.

    Its last leader would still answer it, but such a node applies nothing any more, and is about to be thrown away.
    What it took before is another matter: that has its outcome.
    """
    if consensus.is_removed():
        raise Removed(standing_outside(consensus.status()) or "this node was removed from its cluster")
