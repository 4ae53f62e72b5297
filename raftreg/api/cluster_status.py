"""GET /v1/raftreg/status: this node's view of the replicated log and of its peers, for operators and tools.

It is local: it answers with or without a leader. It is no part of Consul's API.
"""

from raftreg import versions
from raftreg.api.context import ApiContext
from raftreg.api.http import Request, Response
from raftreg.api.member_changes import strangers_json
from raftreg.api.members import role_of, rounded
from raftreg.api.render import json_response
from raftreg.errors import NoLeader
from raftreg.model import HTTP_META, SERVER_SERVICE
from raftreg.registry import PeerStatus, Status, advice_on, warnings_on
from raftreg.state.queries import ServiceNodes


async def get_cluster_status(context: ApiContext, request: Request) -> Response:
    """Role, term, Raft indexes, command index, peers; with ?digest also the digest of the state (reads all of it)."""
    registry = context.registry
    view = registry.consensus.status()
    addresses = _http_addresses(context)
    document: dict[str, object] = {
        "Node": context.node_name,
        "NodeID": context.node_id,
        "Version": context.version,
        "ClusterID": view.cluster_id,
        "Role": view.role,
        "Term": view.term,
        "Leader": view.leader_name,
        "LeaderContactSeconds": round(view.leader_contact_s, 3),
        "Ready": await _is_ready(context),
        "CommitIndex": view.commit_index,
        "AppliedIndex": view.applied_index,
        "LastIndex": view.last_index,
        "DurableIndex": view.durable_index,
        "SnapshotIndex": view.snapshot_index,
        "StateIndex": registry.state.index,
        "MembersIndex": view.members_index,
        "Removed": view.removed,
        "FeatureLevel": view.level,
        "KnownLevels": [versions.LEVEL_MIN, versions.LEVEL_MAX],
        "TooOld": view.too_old,
        "Peers": [_peer_json(peer, view, addresses) for peer in view.peers],
        "Strangers": strangers_json(context, view),
        "Advice": advice_on(view),
        "Warnings": warnings_on(view),
    }
    if "digest" in request.query:
        document["StateDigest"] = registry.state.digest()
    return json_response(document, pretty="pretty" in request.query)


def _peer_json(peer: PeerStatus, view: Status, addresses: dict[str, str]) -> dict[str, object]:
    """`Lag` is in entries of the log; only the leader knows it."""
    match = peer.match_index
    return {
        "ID": peer.id,
        "Name": peer.name,
        "Address": peer.address,
        "HTTP": addresses.get(peer.name),
        "Voter": peer.voter,
        "Role": role_of(peer),
        "Connected": peer.connected,
        "LastContactSeconds": rounded(peer.last_contact_s),
        "KnownLevels": None if peer.levels is None else list(peer.levels),
        "Lag": None if match is None else max(0, view.last_index - match),
    }


async def _is_ready(context: ApiContext) -> bool:
    try:
        await context.registry.check_ready()
    except NoLeader:
        return False
    return True


def _http_addresses(context: ApiContext) -> dict[str, str]:
    """Where the HTTP API of each node is, by the name of the node, as the nodes registered themselves."""
    found = context.registry.local(ServiceNodes(SERVER_SERVICE)).value
    return {
        node.name: service.meta[HTTP_META]
        for node, service in found
        if service.meta and HTTP_META in service.meta
    }
