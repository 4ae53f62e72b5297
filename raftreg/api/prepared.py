"""/v1/query: prepared queries, which answer a stored question about a service under a name."""

from dataclasses import replace
from typing import Any, Final

from raftreg import instances, templates
from raftreg.api.context import ApiContext
from raftreg.api.http import Request, Response
from raftreg.api.options import Options, check_datacenter, parse_options, read, read_cached, write
from raftreg.api.prepared_bodies import query_body, query_of
from raftreg.api.render import JSON_TYPE, answer_response, index_headers, json_bytes, written_response
from raftreg.api.shapes import Json, check_json, health_json, node_json, prepared_query_json, service_json
from raftreg.commands import Ok
from raftreg.errors import Refused
from raftreg.model import PreparedQuery
from raftreg.query_commands import QueryDelete, QueryPut
from raftreg.registry import Answer
from raftreg.state.connect import ConnectHealth
from raftreg.state.prepared_queries import PreparedQueries, PreparedQueryById, PreparedQueryFor
from raftreg.state.queries import ServiceHealth

_UUID_LENGTH: Final = 36
_MALFORMED: Final = "failed prepared query lookup: index error: UUID must be 36 characters"
_LIMIT_MAX: Final = 2**63 - 1


async def get_list(context: ApiContext, request: Request) -> Response:
    """GET /v1/query: all prepared queries."""
    options = parse_options(context, request)
    answer = await read(context, options, PreparedQueries())
    return answer_response(options, answer, lambda: [prepared_query_json(query) for query in answer.value])


async def create(context: ApiContext, request: Request) -> Response:
    """POST /v1/query: store a query under an id of its own."""
    body = query_body(request.body)
    check_datacenter(context, request.query.get("dc"))
    if body.get("ID"):
        raise Refused(500, "ID must be empty when creating a new prepared query")
    command = QueryPut(query_of(body, context.clock.uuid()))
    written = await write(context, request, command)
    return written_response(Ok(written.index, {"ID": written.value}))


async def get_one(context: ApiContext, request: Request) -> Response:
    """GET /v1/query/ID: one query, as a list."""
    options = parse_options(context, request)
    query_id = _checked_id(context, request, options.datacenter, "")
    answer = await read(context, _at_once(options), PreparedQueryById(query_id))
    if answer.value is not None and options.read.index:
        # What is not there is told at once, and what is there may change or go while the client waits.
        answer = await read(context, options, PreparedQueryById(query_id))
    query = answer.value
    if query is None:
        raise Refused(404, "Query not found")
    return answer_response(options, answer, lambda: [prepared_query_json(query)])


async def put(context: ApiContext, request: Request) -> Response:
    """PUT /v1/query/ID: replace a query. The id in the body does not count."""
    body = query_body(request.body) if request.body else {}
    query_id = await _existing_id(context, request)
    written = await write(context, request, QueryPut(query_of(body, query_id), exists=True))
    return Response(200, {"X-Consul-Index": str(written.index)})


async def delete(context: ApiContext, request: Request) -> Response:
    """DELETE /v1/query/ID."""
    query_id = _checked_id(context, request, request.query.get("dc"), "Prepared Query lookup failed: ")
    written = await write(context, request, QueryDelete(query_id))
    return Response(200, {"X-Consul-Index": str(written.index)})


async def execute(context: ApiContext, request: Request) -> Response:
    """GET /v1/query/ID-or-name/execute: the instances that the query finds now."""
    options = _at_once(parse_options(context, request))
    limit = _parse_limit(request.query.get("limit"))
    query = await _meant(context, options, request.rest)
    service = query.service
    connect = service.connect or "connect" in request.query
    health = ConnectHealth(service.service) if connect else ServiceHealth(service.service)
    answer, headers = await read_cached(context, options, health)
    found = instances.shuffled(instances.select(service, answer.value), context.clock.token)
    found = instances.nearest_first(found, request.query.get("near") or service.near, context.node_name)
    body = {
        "Service": service.service,
        "Nodes": [_instance_json(context, instance) for instance in found[: limit or None]],
        "DNS": {"TTL": query.dns_ttl},
        "Datacenter": context.datacenter,
        "Failovers": 0,
        **_freshness(options, answer),
    }
    response = _response(options, answer, body)
    response.headers.update(headers)
    return response


async def explain(context: ApiContext, request: Request) -> Response:
    """GET /v1/query/ID-or-name/explain: the query that a name stands for, a template filled in."""
    options = _at_once(parse_options(context, request))
    answer = await read(context, options, PreparedQueryFor(request.rest))
    query = _filled_in(answer.value, request.rest)
    return _response(options, answer, {"Query": prepared_query_json(query), **_freshness(options, answer)})


async def _meant(context: ApiContext, options: Options, id_or_name: str) -> PreparedQuery:
    answer = await read(context, options, PreparedQueryFor(id_or_name))
    return _filled_in(answer.value, id_or_name)


def _filled_in(query: PreparedQuery | None, id_or_name: str) -> PreparedQuery:
    """The query that was found by an id or a name, ready to be asked. Refused (404, or 500 for a template's id)."""
    if query is None:
        raise Refused(404, "Query not found")
    if query.template.type and query.id == id_or_name.lower():
        raise Refused(500, "prepared query templates can only be resolved up by name, not by ID")
    return templates.render(query, id_or_name)


def _instance_json(context: ApiContext, instance: instances.Instance) -> Json:
    """As in health/service, but tags that were never given are null here."""
    node, service, checks = instance
    if service.tags is not None:
        return health_json(node, service, checks, context.datacenter)
    return {
        "Node": node_json(node, context.datacenter),
        "Service": service_json(service) | {"Tags": None},
        "Checks": [
            check_json(check) | ({"ServiceTags": None} if check.service_tags is None else {})
            for check in checks
        ],
    }


def _response(options: Options, answer: Answer[Any], body: object) -> Response:
    """JSON that is not shared between clients: its order is a matter of chance, or it has the client's name in it."""
    headers = index_headers(options, answer) | {"Content-Type": JSON_TYPE}
    return Response(200, headers, json_bytes(body, options.pretty))


def _freshness(options: Options, answer: Answer[Any]) -> Json:
    """What other answers tell in headers only."""
    mode = options.read.mode
    return {
        "Index": 0,
        "LastContact": answer.last_contact_ms * 1_000_000,
        "KnownLeader": answer.known_leader,
        "ConsistencyLevel": "leader" if mode == "default" else mode,
    }


def _at_once(options: Options) -> Options:
    """The same options without waiting for a change."""
    return replace(options, read=replace(options.read, index=0)) if options.read.index else options


def _checked_id(context: ApiContext, request: Request, datacenter: str, prefix: str) -> str:
    """The id in the path, in lower case. Refused (500) if it is none."""
    check_datacenter(context, datacenter)
    if len(request.rest) != _UUID_LENGTH:
        raise Refused(500, prefix + _MALFORMED)
    return request.rest.lower()


async def _existing_id(context: ApiContext, request: Request) -> str:
    """The id in the path of a query that is there: that is looked at before what the client wants of it."""
    query_id = _checked_id(context, request, request.query.get("dc"), "Prepared Query lookup failed: ")
    if (await context.registry.read(PreparedQueryById(query_id))).value is None:
        raise Refused(500, f"Cannot modify non-existent prepared query: '{query_id}'")
    return query_id


def _parse_limit(text: str) -> int:
    """How many instances at most; 0 for all. Refused (500) in the words of Go's strconv."""
    if not text:
        return 0
    digits = text.lstrip("+-") if text[1:2].isdigit() else text
    if not digits.isascii() or not digits.isdigit():
        raise Refused(500, f'Bad limit: strconv.Atoi: parsing "{text}": invalid syntax')
    limit = int(text[:25])
    if abs(limit) > _LIMIT_MAX:
        raise Refused(500, f'Bad limit: strconv.Atoi: parsing "{text}": value out of range')
    return max(limit, 0)
