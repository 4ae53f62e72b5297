"""Who leads, who is there, and whether this node may be sent traffic."""

from raftreg.api.context import ApiContext
from raftreg.api.http import Request, Response
from raftreg.api.options import check_datacenter, parse_options
from raftreg.api.render import json_response, text_response
from raftreg.errors import NoLeader
from raftreg.state.queries import NodeServices


async def get_livez(context: ApiContext, request: Request) -> Response:
    """GET /livez: 200 while the process answers at all."""
    return text_response(200, "ok")


async def get_readyz(context: ApiContext, request: Request) -> Response:
    """GET /readyz: 200 when this node has joined, caught up with a leader and registered itself, else 503 and why."""
    registry = context.registry
    try:
        await registry.check_ready()
    except NoLeader as error:
        return text_response(503, f"not ready: {error}")
    if registry.local(NodeServices(context.node_name)).value is None:
        return text_response(503, f"not ready: node {context.node_name} is not in the catalog yet")
    return text_response(200, "ready")


async def get_leader(context: ApiContext, request: Request) -> Response:
    """GET /v1/status/leader: the Raft address of the leader, "" if none is known."""
    options = parse_options(context, request)
    check_datacenter(context, options.datacenter)
    address = context.registry.consensus.status().leader_address
    return json_response(address or "", pretty=options.pretty)


async def get_peers(context: ApiContext, request: Request) -> Response:
    """GET /v1/status/peers: the Raft addresses of all voters."""
    options = parse_options(context, request)
    check_datacenter(context, options.datacenter)
    peers = context.registry.consensus.status().peers
    return json_response([peer.address for peer in peers if peer.voter], pretty=options.pretty)
