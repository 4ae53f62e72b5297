"""/v1/catalog: what is registered, by whichever way it came."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from raftreg.api import selectors
from raftreg.api.bodies import DEREGISTER, REGISTER, deregister_command, register_command
from raftreg.api.context import ApiContext
from raftreg.api.decode import decode_body
from raftreg.api.filter import Filter, Struct, compile_filter
from raftreg.api.http import Request, Response
from raftreg.api.near import near_variant, sort_near, wanted_near
from raftreg.api.options import (
    Options,
    check_datacenter,
    parse_options,
    read,
    read_cached,
    write_in_body_datacenter,
)
from raftreg.api.render import answer_response, json_response, written_response
from raftreg.api.shapes import Json, flat_service_json, node_json, service_json
from raftreg.errors import Refused
from raftreg.instances import has_pairs, has_tags
from raftreg.model import Node
from raftreg.state.connect import ConnectNodes
from raftreg.state.queries import Nodes, NodeServices, ServiceNodes, ServiceTags

T = TypeVar("T")


async def register(context: ApiContext, request: Request) -> Response:
    """PUT /v1/catalog/register: a node, and with it a service and checks, as one write."""
    body = decode_body(request.body, REGISTER)
    check_datacenter(context, str(body.get("Datacenter", "")))
    command = register_command(body)
    if body.get("SkipNodeUpdate") and await _is_registered(context, command.node_name):
        command = replace(command, node=None)
    return written_response(await write_in_body_datacenter(context, request, command))


async def _is_registered(context: ApiContext, node_name: str) -> bool:
    """Whether the node is there, by the leader's word: a node that is not is registered even by SkipNodeUpdate."""
    return (await context.registry.read(NodeServices(node_name))).value is not None


async def deregister(context: ApiContext, request: Request) -> Response:
    """PUT /v1/catalog/deregister: a check, a service or a node."""
    body = decode_body(request.body, DEREGISTER)
    check_datacenter(context, str(body.get("Datacenter", "")))
    return written_response(await write_in_body_datacenter(context, request, deregister_command(body)))


async def get_datacenters(context: ApiContext, request: Request) -> Response:
    """GET /v1/catalog/datacenters: the own one, as there is no other."""
    options = parse_options(context, request)
    return json_response([context.datacenter], pretty=options.pretty)


async def get_nodes(context: ApiContext, request: Request) -> Response:
    """GET /v1/catalog/nodes."""
    options = parse_options(context, request)
    wanted = row_filter(context, options, selectors.NODE)
    meta, near = node_meta(request), wanted_near(context, request)
    answer = await read(context, options, Nodes())

    def shape() -> object:
        nodes = [node for node in answer.value if has_pairs(node.meta, meta)]
        nearest = sort_near(context, near, nodes, lambda node: node)
        return select(wanted, [node_json(node, context.datacenter) for node in nearest])

    return answer_response(options, answer, shape, variant=(meta, near_variant(context, near)))


async def get_services(context: ApiContext, request: Request) -> Response:
    """GET /v1/catalog/services: names with the tags of their instances."""
    options = parse_options(context, request)
    answer, headers = await read_cached(context, options, ServiceTags(node_meta(request)))

    def shape() -> object:
        return {name: list(tags) for name, tags in answer.value.items()}

    response = answer_response(options, answer, shape)
    response.headers.update(headers)
    return response


async def get_service(context: ApiContext, request: Request) -> Response:
    """GET /v1/catalog/service/NAME: instances of a service."""
    options = parse_options(context, request)
    return await _service_list(context, request, options, ServiceNodes(required(request, "service name")))


async def get_connect(context: ApiContext, request: Request) -> Response:
    """GET /v1/catalog/connect/NAME: proxies for a service, and instances that need none."""
    options = parse_options(context, request)
    return await _service_list(context, request, options, ConnectNodes(required(request, "service name")))


async def _service_list(
    context: ApiContext, request: Request, options: Options, query: ServiceNodes | ConnectNodes
) -> Response:
    wanted = row_filter(context, options, selectors.FLAT_SERVICE)
    tags, meta, near = wanted_tags(request), node_meta(request), wanted_near(context, request)
    answer, headers = await read_cached(context, options, query, (tags, meta))

    def shape() -> object:
        rows = [
            flat_service_json(node, service, context.datacenter)
            for node, service in sort_near(context, near, answer.value, lambda row: row[0])
            if has_tags(service, tags) and has_pairs(node.meta, meta)
        ]
        return select(wanted, rows)

    response = answer_response(options, answer, shape, variant=(tags, meta, near_variant(context, near)))
    response.headers.update(headers)
    return response


async def get_node(context: ApiContext, request: Request) -> Response:
    """GET /v1/catalog/node/NODE: a node and its services by id; null for an unknown one."""

    def shape(node: Node, services: list[Json]) -> object:
        shown = {str(service["ID"]): service for service in services}
        return {"Node": node_json(node, context.datacenter), "Services": shown}

    return await _node(context, request, None, shape)


async def get_node_services(context: ApiContext, request: Request) -> Response:
    """GET /v1/catalog/node-services/NODE: a node and its services as a list."""

    def shape(node: Node, services: list[Json]) -> object:
        return {"Node": node_json(node, context.datacenter), "Services": services}

    return await _node(context, request, {"Node": None, "Services": None}, shape)


async def _node(
    context: ApiContext, request: Request, absent: object, shape: Callable[[Node, list[Json]], object]
) -> Response:
    options = parse_options(context, request)
    name = required(request, "node name")
    wanted = row_filter(context, options, selectors.SERVICE)
    answer = await read(context, options, NodeServices(name))
    found = answer.value

    def whole() -> object:
        if found is None:
            return absent
        node, services = found
        return shape(node, select(wanted, [service_json(service) for service in services]))

    return answer_response(options, answer, whole, variant=request.path)


def required(request: Request, what: str) -> str:
    """The open end of the path. Refused (400) if it is empty."""
    if not request.rest:
        raise Refused(400, f"Missing {what}")
    return request.rest


def row_filter(context: ApiContext, options: Options, schema: Struct) -> Filter | None:
    """The filter that the request asked for. Refused (500) if it is wrong, or if it is meant for another datacenter."""
    check_datacenter(context, options.datacenter)
    return compile_filter(options.filter, schema) if options.filter else None


def select(wanted: Filter | None, rows: list[Json]) -> list[Json]:
    """The rows that pass the filter, if there is one."""
    return rows if wanted is None else wanted.select(rows)


def node_meta(request: Request) -> tuple[tuple[str, str], ...]:
    """What the node-meta parameters ask for; of several for one key the last counts."""
    pairs: dict[str, str] = {}
    for text in request.query.get_all("node-meta"):
        key, _, value = text.partition(":")
        pairs[key] = value
    return tuple(sorted(pairs.items()))


def wanted_tags(request: Request) -> tuple[str, ...]:
    """The tags that an instance must have, in lower case."""
    return tuple(sorted(tag.lower() for tag in request.query.get_all("tag")))
