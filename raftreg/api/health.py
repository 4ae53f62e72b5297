"""/v1/health: checks, and instances with the checks that decide about them."""

from raftreg.api import selectors
from raftreg.api.catalog import node_meta, required, row_filter, select, wanted_tags
from raftreg.api.context import ApiContext
from raftreg.api.http import Request, Response
from raftreg.api.near import near_variant, sort_near, wanted_near
from raftreg.api.options import Options, parse_options, read, read_cached
from raftreg.api.parameters import parse_bool
from raftreg.api.render import answer_response
from raftreg.api.shapes import check_json, health_json
from raftreg.errors import Refused
from raftreg.instances import Instance, has_pairs, has_tags, is_passing
from raftreg.model import Check, Node
from raftreg.registry import Answer
from raftreg.state import Query
from raftreg.state.connect import ConnectHealth
from raftreg.state.queries import NodeChecks, ServiceChecks, ServiceHealth, StateChecks

CheckRows = tuple[tuple[Node, Check], ...]
HealthRows = tuple[Instance, ...]


async def get_node(context: ApiContext, request: Request) -> Response:
    """GET /v1/health/node/NODE: all checks on a node."""
    options = parse_options(context, request)
    return await _checks(context, request, options, NodeChecks(required(request, "node name")))


async def get_checks(context: ApiContext, request: Request) -> Response:
    """GET /v1/health/checks/NAME: the checks of a service's instances."""
    options = parse_options(context, request)
    return await _checks(context, request, options, ServiceChecks(required(request, "service name")))


async def get_state(context: ApiContext, request: Request) -> Response:
    """GET /v1/health/state/STATE: the checks that are in a state, all for `any`."""
    options = parse_options(context, request)
    return await _checks(context, request, options, StateChecks(required(request, "check state")))


async def _checks(
    context: ApiContext, request: Request, options: Options, query: NodeChecks | ServiceChecks | StateChecks
) -> Response:
    wanted = row_filter(context, options, selectors.CHECK)
    meta, near = node_meta(request), wanted_near(context, request)
    answer: Answer[CheckRows] = await read(context, options, query)

    def shape() -> object:
        rows = sort_near(context, near, answer.value, lambda row: row[0])
        return select(wanted, [check_json(check) for node, check in rows if has_pairs(node.meta, meta)])

    return answer_response(options, answer, shape, variant=(meta, near_variant(context, near)))


async def get_service(context: ApiContext, request: Request) -> Response:
    """GET /v1/health/service/NAME: instances with their checks."""
    options = parse_options(context, request)
    return await _instances(context, request, options, ServiceHealth(required(request, "service name")))


async def get_connect(context: ApiContext, request: Request) -> Response:
    """GET /v1/health/connect/NAME: proxies for a service, and instances that need none, with their checks."""
    options = parse_options(context, request)
    return await _instances(context, request, options, ConnectHealth(required(request, "service name")))


async def _instances(
    context: ApiContext, request: Request, options: Options, query: Query[HealthRows]
) -> Response:
    wanted = row_filter(context, options, selectors.HEALTH)
    passing = _parse_passing(request)
    tags, meta, near = wanted_tags(request), node_meta(request), wanted_near(context, request)
    answer, headers = await read_cached(context, options, query, (tags, meta))

    def shape() -> object:
        rows = [
            health_json(node, service, checks, context.datacenter)
            for node, service, checks in sort_near(context, near, answer.value, lambda row: row[0])
            if has_tags(service, tags) and has_pairs(node.meta, meta) and (not passing or is_passing(checks))
        ]
        return select(wanted, rows)

    response = answer_response(
        options, answer, shape, variant=(passing, tags, meta, near_variant(context, near))
    )
    response.headers.update(headers)
    return response


def _parse_passing(request: Request) -> bool:
    """Whether only instances are wanted all of whose checks pass. Refused (400) for what is no truth value."""
    if "passing" not in request.query:
        return False
    text = request.query.get("passing")
    passing = True if text == "" else parse_bool(text)
    if passing is None:
        raise Refused(400, "Invalid value for ?passing")
    return passing
