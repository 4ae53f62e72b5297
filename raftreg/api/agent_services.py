"""/v1/agent: services that are registered through this node."""

import hashlib

from raftreg.api import selectors
from raftreg.api.agent_definitions import SERVICE_DEFINITION, service_checks, service_of
from raftreg.api.agent_records import find_service, local_service, local_services, write_here
from raftreg.api.catalog import row_filter
from raftreg.api.check_kinds import refuse_unprobed
from raftreg.api.context import ApiContext
from raftreg.api.decode import decode_body
from raftreg.api.http import Request, Response
from raftreg.api.options import WAIT_S_DEFAULT, WAIT_S_MAX, Options, parse_options, write
from raftreg.api.render import empty_response, json_bytes, json_response, unknown_response
from raftreg.api.shapes import Json, agent_service_json
from raftreg.commands import Deregister, Register
from raftreg.durations import parse_duration
from raftreg.errors import Refused
from raftreg.registry import ReadOptions
from raftreg.state.queries import NodeServices


async def get_services(context: ApiContext, request: Request) -> Response:
    """GET /v1/agent/services: definitions by id."""
    options = parse_options(context, request)
    wanted = row_filter(context, options, selectors.SERVICE)
    rows = {service.id: agent_service_json(service) for service in local_services(context)}
    shown = {key: row for key, row in rows.items() if wanted is None or wanted.matches(row)}
    return json_response(shown, pretty=options.pretty)


async def get_service(context: ApiContext, request: Request) -> Response:
    """GET /v1/agent/service/ID: one definition; with `hash`, once it is no longer the one of that hash."""
    options = parse_options(context, request)
    known = request.query.get("hash")
    deadline = context.clock.now() + _wait_s(context, request)
    query = NodeServices(context.node_name)
    waits = True
    while True:
        index = context.registry.local(query).index
        shown = _definition(context, request.rest)
        left_s = deadline - context.clock.now()
        if not waits or not known or shown["ContentHash"] != known or left_s <= 0:
            return _definition_response(shown, options)
        answer = await context.registry.read(query, ReadOptions(mode="stale", index=index, wait_s=left_s))
        waits = answer.index > index  # else the time is over, or the node is stopping and answers at once


def _wait_s(context: ApiContext, request: Request) -> float:
    text = request.query.get("wait")
    wait_s = parse_duration(text) if text else 0.0
    wait_s = min(wait_s if wait_s > 0 else WAIT_S_DEFAULT, WAIT_S_MAX)
    return wait_s + context.clock.uniform(0.0, wait_s / 16)


def _definition(context: ApiContext, service_id: str) -> Json:
    service = local_service(context, service_id)
    if service is None:
        raise Refused(404, f"unknown service ID: {service_id}")
    shown = agent_service_json(service)
    shown["ContentHash"] = hashlib.sha256(json_bytes(shown)).hexdigest()[:16]
    return shown


def _definition_response(shown: Json, options: Options) -> Response:
    response = json_response(shown, pretty=options.pretty)
    response.headers["X-Consul-ContentHash"] = str(shown["ContentHash"])
    return response


async def register(context: ApiContext, request: Request) -> Response:
    """PUT /v1/agent/service/register: a service with its checks, as one write.

    What its checks found out so far survives a new registration. The same instance may have been registered through
    another node before: it moves here.
    """
    body = decode_body(request.body, SERVICE_DEFINITION)
    service, definitions = service_of(body, context.node_name)
    checks = service_checks(service, definitions)
    refuse_unprobed(context, request, checks)
    command = Register(
        node_name=context.node_name,
        service=service,
        checks=checks,
        replace_checks=_replaces_checks(request),
        moves=True,
        keep_status=tuple(check.id for check in checks),
    )
    await write_here(context, request, command)
    return empty_response()


def _replaces_checks(request: Request) -> bool:
    name = "replace-existing-checks"
    return name in request.query and request.query.get(name) in ("", "true")


async def deregister(context: ApiContext, request: Request) -> Response:
    """PUT /v1/agent/service/deregister/ID: the service goes, with its checks; an unknown one is gone already."""
    if not request.rest:
        raise Refused(500, "ServiceID missing")
    service = await find_service(context, request.rest)
    if service is None:
        return unknown_response()
    await write(context, request, Deregister(service.node, service_id=service.id))
    return empty_response()
