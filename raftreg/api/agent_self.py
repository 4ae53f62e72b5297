"""/v1/agent: what this node is, whom it knows, and the switches of Consul's agents that have no meaning here."""

import os
import platform
from datetime import UTC, datetime

from raftreg.api.context import ApiContext
from raftreg.api.http import Request, Response
from raftreg.api.members import member_uuid
from raftreg.api.options import parse_options
from raftreg.api.render import empty_response, json_response, text_response
from raftreg.api.shapes import Json
from raftreg.errors import Refused
from raftreg.model import SERF_HEALTH, SERVER_SERVICE
from raftreg.registry import PeerStatus, Status
from raftreg.state.queries import CheckById, ServiceNodes

_PROTOCOL = {
    "ProtocolMin": 1,
    "ProtocolMax": 5,
    "ProtocolCur": 2,
    "DelegateMin": 2,
    "DelegateMax": 5,
    "DelegateCur": 4,
}
_ALIVE, _FAILED = 1, 4  # of Serf's member states


async def get_self(context: ApiContext, request: Request) -> Response:
    """GET /v1/agent/self: the node, as clients use it to find name, datacenter and role."""
    options = parse_options(context, request)
    status = context.registry.consensus.status()
    shown = {
        "Config": {
            "Datacenter": context.datacenter,
            "NodeName": context.node_name,
            "NodeID": context.node_id,
            "Revision": "",
            "Server": True,
            "Version": context.version,
        },
        "DebugConfig": {
            "AdvertiseAddrLAN": context.advertise_address,
            "Datacenter": context.datacenter,
            "HTTPPort": context.http_port,
            "NodeID": context.node_id,
            "NodeName": context.node_name,
            "ServerMode": True,
            **context.settings,
        },
        "Coord": None,
        "Member": _own_member(context, status),
        "Stats": {"agent": {"check_ttls": ""}, "consul": _consul_stats(status), "raft": _raft_stats(status)},
        "Meta": {"consul-network-segment": ""},
    }
    return json_response(shown, pretty=options.pretty)


async def get_members(context: ApiContext, request: Request) -> Response:
    """GET /v1/agent/members: the nodes of the cluster; with `?wan` the same, named as in Consul's WAN pool."""
    options = parse_options(context, request)
    if request.query.get("segment") not in ("", "_all"):
        raise Refused(500, "Network segments are not supported in this version of Consul")
    status = context.registry.consensus.status()
    nodes = {node.name: node for node, _ in context.registry.local(ServiceNodes(SERVER_SERVICE)).value}
    members = []
    for peer in status.peers:
        node = nodes.get(peer.name)
        check = context.registry.local(CheckById(peer.name, SERF_HEALTH)).value
        failed = check is not None and check.status != "passing"
        member = _member(context, peer, member_uuid(context, peer))
        if node is not None:
            member["Addr"] = node.address
        if "wan" in request.query:
            member["Name"] = f"{peer.name}.{context.datacenter}"
        member["Status"] = _FAILED if failed else _ALIVE
        members.append(member)
    return json_response(members, pretty=options.pretty)


def _own_member(context: ApiContext, status: Status) -> Json:
    own = [
        peer for peer in status.peers if peer.id == status.id or (not peer.id and peer.name == status.name)
    ]
    address = (
        f"{context.advertise_address}:{context.raft_port}"  # of one that waits to be added, or was removed
    )
    waiting = PeerStatus(status.id, status.name, address, voter=False, connected=True, last_contact_s=0.0)
    peer = own[0] if own else waiting
    return _member(context, peer, context.node_id) | {"Addr": context.advertise_address}


def _member(context: ApiContext, peer: PeerStatus, node_id: str) -> Json:
    host, _, port = peer.address.rpartition(":")
    tags = {
        "acls": "0",
        "build": context.version,
        "dc": context.datacenter,
        "id": node_id,
        "port": port,
        "raft_vsn": "3",
        "role": "consul",
        "segment": "",
        "vsn": "2",
        "vsn_max": "3",
        "vsn_min": "2",
    }
    if not peer.voter:
        tags["nonvoter"] = "1"
    number = int(port) if port.isdigit() else 0
    return {"Name": peer.name, "Addr": host, "Port": number, "Tags": tags, "Status": _ALIVE, **_PROTOCOL}


def _consul_stats(status: Status) -> dict[str, str]:
    return {
        "server": "true",
        "leader": "true" if status.role == "leader" else "false",
        "leader_addr": status.leader_address or "",
        "known_servers": str(len(status.peers)),
    }


def _raft_stats(status: Status) -> dict[str, str]:
    """The log in the words of HashiCorp's library, every value a text."""
    return {
        "state": status.role.capitalize(),
        "term": str(status.term),
        "last_log_index": str(status.last_index),
        "commit_index": str(status.commit_index),
        "applied_index": str(status.applied_index),
        "last_snapshot_index": str(status.snapshot_index),
        "num_peers": str(sum(peer.voter and peer.id != status.id for peer in status.peers)),
        "last_contact": "0" if status.role == "leader" else f"{status.leader_contact_s * 1000:.0f}ms",
    }


async def get_host(context: ApiContext, request: Request) -> Response:
    """GET /v1/agent/host: the machine below this node."""
    system = os.uname()
    shown = {
        "Host": {
            "hostname": system.nodename,
            "os": system.sysname.lower(),
            "kernelVersion": system.release,
            "kernelArch": system.machine,
            "platform": platform.python_implementation(),
        },
        "CPU": [{"cpu": number} for number in range(os.cpu_count() or 1)],
        "CollectionTime": int(context.clock.wall() * 1_000_000_000),
        "Errors": None,
    }
    return json_response(shown, pretty="pretty" in request.query)


async def get_metrics(context: ApiContext, request: Request) -> Response:
    """GET /v1/agent/metrics: figures of the log as gauges; with `format=prometheus` all that the node counts."""
    if request.query.get("format") == "prometheus":
        if context.render_metrics is None:
            raise Refused(415, "Prometheus is not enabled since its retention time is not positive")
        return Response(
            200, {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}, context.render_metrics()
        )
    status = context.registry.consensus.status()
    figures = {
        "raft.applied_index": status.applied_index,
        "raft.commit_index": status.commit_index,
        "raft.last_index": status.last_index,
        "raft.leader": int(status.role == "leader"),
        "raft.peers": len(status.peers),
        "raft.term": status.term,
        "state.index": context.registry.state.index,
    }
    shown = {
        "Timestamp": datetime.fromtimestamp(context.clock.wall(), UTC).strftime(
            "%Y-%m-%d %H:%M:%S +0000 UTC"
        ),
        "Gauges": [
            {"Name": f"raftreg.{name}", "Value": value, "Labels": {}} for name, value in figures.items()
        ],
        "Points": [],
        "Counters": [],
        "Samples": [],
    }
    return json_response(shown, pretty="pretty" in request.query)


async def put_reload(context: ApiContext, request: Request) -> Response:
    """PUT /v1/agent/reload: nothing is configured that could change while a node runs."""
    return empty_response()


async def put_token(context: ApiContext, request: Request) -> Response:
    """PUT /v1/agent/token/KIND: there are no tokens while there are no ACLs."""
    return text_response(401, "ACL support disabled")
