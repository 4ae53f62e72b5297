"""/v1/raftreg/members: who is in the cluster and who waits, and the changes that Consul's API has no words for."""

from raftreg.api.context import ApiContext
from raftreg.api.decode import BOOL, STRING, Object, decode
from raftreg.api.http import Request, Response
from raftreg.api.json_text import DecodeError
from raftreg.api.members import member_uuid, role_of, rounded
from raftreg.api.options import check_datacenter, parse_options
from raftreg.api.render import json_response
from raftreg.api.shapes import Json
from raftreg.errors import Refused
from raftreg.registry import MembersView, PeerStatus, Status, Wish, advice_on, warnings_on

_ADD = Object("MemberAddition", {"Member": STRING, "Standby": BOOL})
_PROMOTE = Object("MemberPromotion", {"Member": STRING})
_REMOVE = Object("MemberRemoval", {"Member": STRING, "Force": BOOL})
_REPLACE = Object("MemberReplacement", {"Old": STRING, "New": STRING, "Standby": BOOL, "Force": BOOL})


async def get_members(context: ApiContext, request: Request) -> Response:
    """GET /v1/raftreg/members: as the leader sees them; with `stale` as this node does, which knows less."""
    options = parse_options(context, request)
    check_datacenter(context, options.datacenter)
    if options.read.mode == "stale":
        status = context.registry.consensus.status()
        view = MembersView(status, tuple(warnings_on(status)))
    else:
        view = await context.registry.membership.view()
    return json_response(_view_json(context, view), pretty=options.pretty)


def _view_json(context: ApiContext, view: MembersView) -> Json:
    status = view.status
    return {
        "ClusterID": status.cluster_id,
        "Leader": status.leader_name,
        "Index": status.members_index,
        "Committed": status.members_committed,
        "LastIndex": status.last_index,
        "Members": [_member_json(context, peer, status) for peer in status.peers],
        "Strangers": strangers_json(context, status),
        "Warnings": list(view.warnings),
        "Advice": advice_on(status),
    }


def _member_json(context: ApiContext, peer: PeerStatus, status: Status) -> Json:
    match = peer.match_index
    return {
        "ID": peer.id,
        "NodeID": member_uuid(context, peer),
        "Name": peer.name,
        "Address": peer.address,
        "Role": role_of(peer),
        "Leader": peer.id == status.leader_id,
        "Connected": peer.connected,
        "LastContactSeconds": rounded(peer.last_contact_s),
        "MatchIndex": match,
        "Lag": None if match is None else max(0, status.last_index - match),
        "CaughtUp": peer.caught_up,
    }


def strangers_json(context: ApiContext, status: Status) -> list[Json]:
    """The nodes that are connected and no members."""
    return [
        {
            "ID": node.id,
            "NodeID": member_uuid(context, node),
            "Name": node.name,
            "Address": node.address,
            "ConnectedSeconds": rounded(node.connected_s),
        }
        for node in status.strangers
    ]


async def post_add(context: ApiContext, request: Request) -> Response:
    """POST /v1/raftreg/members/add: {Member, Standby}. A node that waits becomes a learner."""
    body = _body(context, request, _ADD)
    wish = Wish("add", str(body.get("Member", "")), standby=bool(body.get("Standby")))
    return await _change(context, request, wish)


async def post_promote(context: ApiContext, request: Request) -> Response:
    """POST /v1/raftreg/members/promote: {Member}. A learner becomes a voter."""
    body = _body(context, request, _PROMOTE)
    return await _change(context, request, Wish("promote", str(body.get("Member", ""))))


async def post_remove(context: ApiContext, request: Request) -> Response:
    """POST /v1/raftreg/members/remove: {Member, Force}. A member goes for good; its data directory stays as it is."""
    body = _body(context, request, _REMOVE)
    wish = Wish("remove", str(body.get("Member", "")), force=bool(body.get("Force")))
    return await _change(context, request, wish)


async def post_replace(context: ApiContext, request: Request) -> Response:
    """POST /v1/raftreg/members/replace: {Old, New, Standby, Force}. One goes, one that waits comes: one step.

    Without New the node that waits under the name of the old one comes: that one lost its disk. Without Standby who
    comes for a standby is one, and nobody else.
    """
    body = _body(context, request, _REPLACE)
    old, new = str(body.get("Old", "")), str(body.get("New", ""))
    standby = bool(body["Standby"]) if "Standby" in body else None
    return await _change(context, request, Wish("replace", old, new, standby, bool(body.get("Force"))))


def _body(context: ApiContext, request: Request, shape: Object) -> dict[str, object]:
    check_datacenter(context, parse_options(context, request).datacenter)
    try:
        return decode(request.body, shape)
    except DecodeError as error:
        raise Refused(400, f"Bad request: Error parsing {shape.name}: {error}") from None


async def _change(context: ApiContext, request: Request, wish: Wish) -> Response:
    changed = await context.registry.membership.change(wish)
    shown = {
        "Kind": changed.kind,
        "Member": changed.member,
        "Old": changed.old,
        "Standby": changed.standby,
        "Changed": changed.done,
        "Warnings": list(changed.warnings),
    }
    return json_response(shown, pretty="pretty" in request.query)
