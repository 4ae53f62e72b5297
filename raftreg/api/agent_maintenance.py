"""/v1/agent: maintenance of a service or of the whole node, which is a critical check while it lasts."""

from raftreg.api.agent_health import NODE_MAINTENANCE, SERVICE_MAINTENANCE
from raftreg.api.agent_records import find_service, write_here
from raftreg.api.context import ApiContext
from raftreg.api.http import Request, Response
from raftreg.api.options import write
from raftreg.api.parameters import parse_bool
from raftreg.api.render import empty_response
from raftreg.commands import Deregister, Register
from raftreg.errors import Refused
from raftreg.model import Check
from raftreg.state.queries import CheckById

_NO_REASON = "Maintenance mode is enabled for this {}, but no reason was provided. This is a default message."


async def put_service(context: ApiContext, request: Request) -> Response:
    """PUT /v1/agent/service/maintenance/ID: on or off. Enabling twice keeps the first reason."""
    if not request.rest:
        raise Refused(400, "Missing service ID")
    enable = _parse_enable(request)
    service = await find_service(context, request.rest)
    if service is None:
        raise Refused(404, f'No service registered with ID "{request.rest}"')
    check = Check(
        node=service.node,
        id=SERVICE_MAINTENANCE + service.id,
        name="Service Maintenance Mode",
        notes=request.query.get("reason") or _NO_REASON.format("service"),
        service_id=service.id,
        type="maintenance",
    )
    return await _set(context, request, check, enable)


async def put_node(context: ApiContext, request: Request) -> Response:
    """PUT /v1/agent/maintenance: the same for all that is registered through this node."""
    enable = _parse_enable(request)
    check = Check(
        node=context.node_name,
        id=NODE_MAINTENANCE,
        name="Node Maintenance Mode",
        notes=request.query.get("reason") or _NO_REASON.format("node"),
        type="maintenance",
    )
    return await _set(context, request, check, enable)


def _parse_enable(request: Request) -> bool:
    if "enable" not in request.query:
        raise Refused(400, "Missing value for enable")
    text = request.query.get("enable")
    enable = parse_bool(text)
    if enable is None:
        raise Refused(400, f'Invalid value for enable: "{text}"')
    return enable


async def _set(context: ApiContext, request: Request, check: Check, enable: bool) -> Response:
    exists = context.registry.local(CheckById(check.node, check.id)).value is not None
    if enable and not exists:
        await write_here(context, request, Register(check.node, checks=(check,)))
    elif not enable:
        await write(context, request, Deregister(check.node, check_id=check.id))
    return empty_response()
