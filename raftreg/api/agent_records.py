"""Which record a request to an agent means.

An agent's registrations are catalog records whose node is the node that was asked. Ids in requests may have come to
any node, though: the record of this node is preferred, else the only one in the cluster with that id counts. Where a
lost node's record was moved to a node that has another of that id, its id ends with the node's name (`web@n1`).
"""

from typing import Final, TypeVar

from raftreg.api.context import ApiContext
from raftreg.api.http import Request
from raftreg.api.options import write
from raftreg.commands import Register
from raftreg.model import SERF_HEALTH, SERVER_SERVICE, Check, Service, moved_from
from raftreg.registry import ReadOptions
from raftreg.state import Query
from raftreg.state.queries import CheckById, ChecksById, NodeChecks, NodeServices, ServicesById

Record = TypeVar("Record", Check, Service)
# This node registers itself as soon as there is a leader, and looks every second.
OWN_NODE_WAIT_S: Final = 3.0


def local_services(context: ApiContext) -> list[Service]:
    """The services that were registered through this node, by id; the cluster's own service is none of them."""
    found = context.registry.local(NodeServices(context.node_name)).value
    return [] if found is None else [service for service in found[1] if service.id != SERVER_SERVICE]


def local_service(context: ApiContext, service_id: str) -> Service | None:
    """The service of that id that was registered through this node."""
    services = context.registry.local(ServicesById(service_id)).value
    mine = [service for service in services if service.node.lower() == context.node_name.lower()]
    return mine[0] if mine and service_id != SERVER_SERVICE else None


def local_checks(context: ApiContext) -> list[Check]:
    """The checks that were registered through this node, by id, with their newest outputs."""
    rows = context.registry.local(NodeChecks(context.node_name)).value
    return [context.check_outputs.newest(check) for _, check in rows if check.id != SERF_HEALTH]


def local_check(context: ApiContext, check_id: str) -> Check | None:
    """The check of that id that was registered through this node."""
    check = context.registry.local(CheckById(context.node_name, check_id)).value
    return None if check is None or check_id == SERF_HEALTH else check


async def write_here(context: ApiContext, request: Request, command: Register) -> None:
    """Write what is registered on a node. If that is this node, it may have to wait for its own record first."""
    own = NodeServices(context.node_name)
    found = context.registry.local(own)
    if found.value is None and command.node_name == context.node_name:
        waiting = ReadOptions(mode="stale", index=found.index, wait_s=OWN_NODE_WAIT_S)
        await context.registry.read(own, waiting)
    await write(context, request, command)


async def find_service(context: ApiContext, service_id: str) -> Service | None:
    """The service that the id means, wherever it was registered."""
    if service_id == SERVER_SERVICE:
        return None
    return await _find(context, ServicesById(service_id), ServicesById(_moved(context, service_id)))


async def find_check(context: ApiContext, check_id: str) -> Check | None:
    """The check that the id means, wherever it was registered."""
    if check_id == SERF_HEALTH:
        return None
    return local_check(context, check_id) or await _find(
        context, ChecksById(check_id), ChecksById(_moved(context, check_id))
    )


def _moved(context: ApiContext, record_id: str) -> str:
    """The id that a record of this node has if it was moved away where its own was taken."""
    return record_id + moved_from(context.node_name)


async def _find(
    context: ApiContext, query: Query[tuple[Record, ...]], moved: Query[tuple[Record, ...]]
) -> Record | None:
    """Among the records of one id, this node's, else the one that was moved away from it, else the only one.

    The local copy is asked first. Only if that does not settle it, the leader's word is waited for: the record may
    have been registered through another node a moment ago.
    """
    found = _pick(context, context.registry.local(query).value, context.registry.local(moved).value)
    if found is not None:
        return found
    answer = await context.registry.read(query, ReadOptions())
    return _pick(context, answer.value, context.registry.local(moved).value)


def _pick(context: ApiContext, records: tuple[Record, ...], moved: tuple[Record, ...]) -> Record | None:
    for record in records:
        if record.node.lower() == context.node_name.lower():
            return record
    if len(moved) == 1:
        return moved[0]
    return records[0] if len(records) == 1 else None
