"""The members of the cluster under the ids by which clients know nodes."""

from itertools import pairwise

from raftreg.api.context import ApiContext
from raftreg.model import SERVER_SERVICE
from raftreg.registry import PeerStatus, StrangerStatus
from raftreg.state.queries import ServiceNodes

_HEX = frozenset("0123456789abcdef")


def node_ids(context: ApiContext) -> dict[str, str]:
    """The UUIDs of the members by folded name, as far as they are in the catalog."""
    rows = context.registry.local(ServiceNodes(SERVER_SERVICE)).value
    return {node.name.lower(): node.id for node, _ in rows if node.id} | {
        context.node_name.lower(): context.node_id
    }


def member_uuid(context: ApiContext, member: PeerStatus | StrangerStatus) -> str:
    """The UUID of a member, which is its incarnation: so that a wiped node has another. The id if none."""
    incarnation = member.id.rpartition(".")[2]
    if member.id == context.registry.consensus.status().id:
        return context.node_id
    if len(incarnation) != 32 or not _HEX.issuperset(incarnation):
        return member.id
    return "-".join(incarnation[begin:end] for begin, end in pairwise((0, 8, 12, 16, 20, 32)))


def role_of(peer: PeerStatus) -> str:
    """voter, learner (to be a voter once it has caught up) or standby (a learner that stays one)."""
    if peer.voter:
        return "voter"
    return "standby" if peer.standby else "learner"


def rounded(seconds: float | None) -> float | None:
    """Seconds as they are shown, to the millisecond."""
    return None if seconds is None else round(seconds, 3)
