"""/v1/operator: the members of the log, and what autopilot goes by and sees."""

from datetime import UTC, datetime

from raftreg.api.context import ApiContext
from raftreg.api.decode import BOOL, DURATION, STRING, UINT, Object, decode
from raftreg.api.http import Request, Response
from raftreg.api.json_text import DecodeError
from raftreg.api.members import member_uuid
from raftreg.api.options import check_datacenter, parse_options, parse_unsigned, read, write
from raftreg.api.render import empty_response, json_response
from raftreg.api.shapes import Json
from raftreg.cluster_commands import AutopilotSet
from raftreg.durations import format_duration
from raftreg.errors import Refused
from raftreg.model import SERF_HEALTH, Autopilot
from raftreg.registry import PeerStatus, Wish
from raftreg.state.cluster_queries import AutopilotConfig
from raftreg.state.queries import CheckById

_HEALTH_CALL = "server-health"  # see raftreg.duties.server_health
_HEALTH_FIELDS = 7
_KEYRING_METHODS = ("GET", "POST", "PUT", "DELETE")
_AUTOPILOT = Object(
    "AutopilotConfiguration",
    {
        "CleanupDeadServers": BOOL,
        "LastContactThreshold": DURATION,
        "MaxTrailingLogs": UINT,
        "MinQuorum": UINT,
        "ServerStabilizationTime": DURATION,
        "RedundancyZoneTag": STRING,
        "DisableUpgradeMigration": BOOL,
        "UpgradeVersionTag": STRING,
        "CreateIndex": UINT,
        "ModifyIndex": UINT,
    },
)


async def get_raft_configuration(context: ApiContext, request: Request) -> Response:
    """GET /v1/operator/raft/configuration: the members."""
    options = parse_options(context, request)
    await read(context, options, AutopilotConfig())  # as fresh as was asked for, or an error
    status = context.registry.consensus.status()
    servers = [
        {
            "ID": member_uuid(context, peer),
            "Node": peer.name,
            "Address": peer.address,
            "Leader": peer.id == status.leader_id,
            "ProtocolVersion": "3",
            "Voter": peer.voter,
        }
        for peer in status.peers
    ]
    # Consul 1.8 answers 0, and its clients know it so; the true index is in /v1/raftreg/members.
    return json_response({"Servers": servers, "Index": 0}, pretty=options.pretty)


async def delete_raft_peer(context: ApiContext, request: Request) -> Response:
    """DELETE /v1/operator/raft/peer: remove a member, named by the id that is shown, the member id, or the address."""
    options = parse_options(context, request)
    peer_id, address = request.query.get("id"), request.query.get("address")
    if "id" not in request.query and "address" not in request.query:
        text = "Must specify either ?id with the server's ID or ?address with IP:port of peer to remove"
        raise Refused(400, f"Bad request: {text}")
    if "id" in request.query and "address" in request.query:
        raise Refused(400, "Bad request: Must specify only one of ?id or ?address")
    await read(context, options, AutopilotConfig())
    found = [
        peer.id
        for peer in context.registry.consensus.status().peers
        if peer_id in (peer.id, member_uuid(context, peer)) or (address and address == peer.address)
    ]
    named = f'id "{peer_id}"' if "id" in request.query else f'address "{address}"'
    if not found:
        raise Refused(500, f"{named} was not found in the Raft configuration")
    if len(found) > 1:
        raise Refused(409, f"{named} may mean {', '.join(found)}: give the id")
    await context.registry.membership.change(Wish("remove", found[0]))
    return empty_response()


async def post_transfer_leader(context: ApiContext, request: Request) -> Response:
    """POST /v1/operator/raft/transfer-leader: have another voter lead, the one of `id` or the most advanced."""
    options = parse_options(context, request)
    check_datacenter(context, options.datacenter)
    which = request.query.get("id")
    if "id" in request.query and not which:
        raise Refused(400, "Bad request: id is empty: leave it out, or name a voter")
    leader = await context.registry.membership.transfer(which)
    return json_response({"Success": True, "Leader": leader}, pretty=options.pretty)


async def get_autopilot(context: ApiContext, request: Request) -> Response:
    """GET /v1/operator/autopilot/configuration."""
    options = parse_options(context, request)
    answer = await read(context, options, AutopilotConfig())
    return json_response(_autopilot_json(answer.value), pretty=options.pretty)


def _autopilot_json(record: Autopilot) -> Json:
    return {
        "CleanupDeadServers": record.cleanup_dead_servers,
        "LastContactThreshold": format_duration(record.last_contact_threshold_ns / 1e9),
        "MaxTrailingLogs": record.max_trailing_logs,
        "MinQuorum": record.min_quorum,
        "ServerStabilizationTime": format_duration(record.server_stabilization_ns / 1e9),
        "RedundancyZoneTag": record.redundancy_zone_tag,
        "DisableUpgradeMigration": record.disable_upgrade_migration,
        "UpgradeVersionTag": record.upgrade_version_tag,
        "CreateIndex": record.create_index,
        "ModifyIndex": record.modify_index,
    }


async def put_autopilot(context: ApiContext, request: Request) -> Response:
    """PUT /v1/operator/autopilot/configuration: replace it as a whole; with `cas` on a condition."""
    try:
        body = decode(request.body, _AUTOPILOT)
    except DecodeError as error:
        raise Refused(400, f"Bad request: Error parsing autopilot config: {error}") from None
    record = Autopilot(
        cleanup_dead_servers=bool(body.get("CleanupDeadServers", False)),
        last_contact_threshold_ns=_nanoseconds(body.get("LastContactThreshold")),
        max_trailing_logs=_number(body.get("MaxTrailingLogs")),
        min_quorum=_number(body.get("MinQuorum")),
        server_stabilization_ns=_nanoseconds(body.get("ServerStabilizationTime")),
        redundancy_zone_tag=str(body.get("RedundancyZoneTag", "")),
        disable_upgrade_migration=bool(body.get("DisableUpgradeMigration", False)),
        upgrade_version_tag=str(body.get("UpgradeVersionTag", "")),
    )
    written = await write(context, request, AutopilotSet(record, _parse_cas(request)))
    return json_response(written.value)


def _parse_cas(request: Request) -> int | None:
    if "cas" not in request.query:
        return None
    try:
        return parse_unsigned(request.query.get("cas"))
    except Refused as refused:
        raise Refused(400, f"Bad request: Error parsing cas value: {refused.text}") from None


def _nanoseconds(seconds: object) -> int:
    return round(seconds * 1e9) if isinstance(seconds, float) else 0


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


async def get_health(context: ApiContext, request: Request) -> Response:
    """GET /v1/operator/autopilot/health: 429 unless all servers are healthy. The figures are the leader's."""
    options = parse_options(context, request)
    await read(context, options, AutopilotConfig())
    rows = await context.registry.tell_leader(_HEALTH_CALL, None)
    if not isinstance(rows, list) or any(len(row) != _HEALTH_FIELDS for row in rows):
        raise Refused(500, "the leader's answer about the servers is malformed")
    status = context.registry.consensus.status()
    peers = {peer.id: peer for peer in status.peers}
    servers = [_server_json(context, row, peers.get(str(row[0])), status.leader_id) for row in rows]
    voters = [server for server in servers if server["Voter"]]
    healthy = sum(bool(server["Healthy"]) for server in voters)
    shown = {
        "Healthy": all(server["Healthy"] for server in servers),
        "FailureTolerance": max(0, healthy - (len(voters) // 2 + 1)),
        "Servers": servers,
    }
    return json_response(shown, pretty=options.pretty, status=200 if shown["Healthy"] else 429)


def _server_json(
    context: ApiContext,
    row: list[object],
    peer: PeerStatus | None,
    leader_id: str | None,
) -> Json:
    member_id, name, contact_s, term, index, healthy, since = row
    check = context.registry.local(CheckById(str(name), SERF_HEALTH)).value
    failed = check is not None and check.status != "passing"
    return {
        "ID": str(member_id) if peer is None else member_uuid(context, peer),
        "Name": name,
        "Address": "" if peer is None else peer.address,
        "SerfStatus": "failed" if failed else "alive",
        "Version": context.version,
        "Leader": member_id == leader_id,
        "LastContact": format_duration(contact_s) if isinstance(contact_s, float) else "-1ns",
        "LastTerm": term,
        "LastIndex": index,
        "Healthy": healthy,
        "Voter": peer is not None and peer.voter,
        "StableSince": _time(since),
    }


def _time(seconds: object) -> str:
    """A moment in RFC 3339, to the second."""
    moment = datetime.fromtimestamp(seconds if isinstance(seconds, int | float) else 0, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


async def any_keyring(context: ApiContext, request: Request) -> Response:
    """/v1/operator/keyring: there is no gossip, so nothing of it is encrypted."""
    name = context.node_name
    text = f"1 error occurred:\n\t* {name}: Keyring is empty (encryption not enabled)\n\n"
    return Response(500, {"Content-Type": "text/plain; charset=utf-8"}, text.encode())


KEYRING = dict.fromkeys(_KEYRING_METHODS, any_keyring)
