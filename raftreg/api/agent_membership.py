"""/v1/agent/join, leave and force-leave: what Consul's agents do with Serf, done with the members of the log."""

from raftreg.addresses import parse_address
from raftreg.api.context import ApiContext
from raftreg.api.http import Request, Response
from raftreg.api.options import check_datacenter, parse_options
from raftreg.api.render import empty_response
from raftreg.commands import Deregister, Rehome
from raftreg.errors import Refused
from raftreg.model import HTTP_META, SERVER_SERVICE
from raftreg.registry import Status, Wish, is_silent
from raftreg.state.queries import ServiceNodes

RAFT_PORT = 8300  # where a node listens for others by default


async def put_leave(context: ApiContext, request: Request) -> Response:
    """PUT /v1/agent/leave: take this node out of the members, by hand-over if it leads, then end its process.

    A node that is its whole cluster, in memory or alone, only ends, as there is nobody to leave.
    """
    if context.end is None:
        raise Refused(501, "leave is not supported here: stop the process with SIGTERM")
    status = context.registry.consensus.status()
    if status.role != "starting" and [peer.id for peer in status.peers] != [status.id]:
        await context.registry.membership.leave()
    context.end()
    return empty_response()


async def put_join(context: ApiContext, request: Request) -> Response:
    """PUT /v1/agent/join/ADDRESS: have a node that belongs to no cluster yet ask the one there to let it in.

    Of a node that has a cluster, only those can be "joined" that are in it already: data directories do not merge.
    """
    status = context.registry.consensus.status()
    known = {
        name for peer in status.peers for name in (peer.address, peer.address.rpartition(":")[0], peer.name)
    }
    if status.cluster_id or status.role != "starting":
        if request.rest in known:
            return empty_response()
        raise Refused(
            500,
            f"{context.node_name} belongs to cluster {status.cluster_id or 'of its own, in memory'} and {request.rest} "
            "is no member of it: start that node with an empty data directory and --join, then run raftreg operator "
            "raft add",
        )
    context.registry.consensus.join(_raft_address(request.rest))
    return empty_response()


def _raft_address(text: str) -> tuple[str, int]:
    """host:port, or a host with the default port. Refused (400) for what is neither."""
    for written in (text, f"{text}:{RAFT_PORT}"):
        try:
            address = parse_address(written)
        except ValueError:
            continue
        if address.port:
            return address
        break
    raise Refused(400, f'bad address "{text}": write HOST:PORT, the Raft address of a member')


async def put_force_leave(context: ApiContext, request: Request) -> Response:
    """PUT /v1/agent/force-leave/NODE: remove a member that is lost, or what one that was has left in the catalog.

    A member that is alive is kept: unlike one of Serf's it would not come back by itself.
    """
    check_datacenter(context, parse_options(context, request).datacenter)
    name, registry = request.rest, context.registry
    status = (await registry.membership.view()).status
    members = [peer for peer in status.peers if peer.name.lower() == name.lower()]
    for peer in members:
        if not is_silent(peer, status):
            raise Refused(
                409,
                f"{peer.name} is alive: PUT /v1/agent/leave there, or raftreg operator raft remove {peer.name}",
            )
        await registry.membership.change(Wish("remove", peer.id))
    if not members and not await _forget(context, name, status):
        raise Refused(500, f"agent: No node found with name '{name}'")
    return empty_response()


async def _forget(context: ApiContext, name: str, status: Status) -> bool:
    """Take a node of raftreg that is no member out of the catalog; False if there is none."""
    rows = context.registry.local(ServiceNodes(SERVER_SERVICE)).value
    for node, service in rows:
        if node.name.lower() == name.lower() and HTTP_META in (service.meta or {}):
            await context.registry.write(Rehome(node.name, status.name))
            await context.registry.write(Deregister(node.name))
            return True
    return False
