"""/v1/coordinate: where nodes are in the network. Nothing here measures: agents may tell, clients may ask."""

import math

from raftreg.api.context import ApiContext
from raftreg.api.decode import ANY, FLOAT, STRING, ListOf, Object, decode_body
from raftreg.api.http import Request, Response
from raftreg.api.near import DIMENSIONS, known_coordinates, origin
from raftreg.api.options import check_datacenter, parse_options, read, write
from raftreg.api.render import answer_response, empty_response, index_headers, json_response
from raftreg.api.shapes import Json
from raftreg.cluster_commands import CoordinatesUpdate
from raftreg.errors import Refused
from raftreg.model import SERVER_SERVICE, Coordinate
from raftreg.state.cluster_queries import AllCoordinates, NodeCoordinates
from raftreg.state.queries import ServiceNodes

_COORD = Object(
    "Coordinate",
    {"Vec": ListOf(FLOAT, "[]float64"), "Error": FLOAT, "Adjustment": FLOAT, "Height": FLOAT},
)
_UPDATE = Object(
    "CoordinateUpdateRequest",
    {
        "Datacenter": STRING,
        "Node": STRING,
        "Segment": STRING,
        "Coord": _COORD,
        "Token": STRING,
        "WriteRequest": ANY,
    },
)


async def get_datacenters(context: ApiContext, request: Request) -> Response:
    """GET /v1/coordinate/datacenters: the own one, with the nodes of the cluster."""
    members = sorted({node.name for node, _ in context.registry.local(ServiceNodes(SERVER_SERVICE)).value})
    own: Json = {
        "Datacenter": context.datacenter,
        "AreaID": "wan",
        "Coordinates": [_shown(origin(name), name) for name in members],
    }
    return json_response([own], pretty="pretty" in request.query)


async def get_nodes(context: ApiContext, request: Request) -> Response:
    """GET /v1/coordinate/nodes."""
    options = parse_options(context, request)
    segment = request.query.get("segment")
    answer = await read(context, options, AllCoordinates())
    # The cluster's own nodes are not in what was read, so the bytes are not kept for others.
    rows = [_shown(row, row.node) for row in known_coordinates(context) if row.segment == segment]
    headers = index_headers(options, answer, effective=False)
    response = json_response(rows, pretty=options.pretty)
    response.headers.update(headers)
    return response


async def get_node(context: ApiContext, request: Request) -> Response:
    """GET /v1/coordinate/node/NODE: its coordinates, one per segment; 404 if there are none."""
    options = parse_options(context, request)
    name, segment = request.rest, request.query.get("segment")
    answer = await read(context, options, NodeCoordinates(name))
    rows = list(answer.value)
    if not rows and _is_member(context, name):
        rows = [origin(name)]
    rows = [row for row in rows if row.segment == segment]
    if not rows:
        return empty_response(404)
    return answer_response(
        options, answer, lambda: [_shown(row, name) for row in rows], variant=(name, segment), effective=False
    )


def _is_member(context: ApiContext, name: str) -> bool:
    members = context.registry.local(ServiceNodes(SERVER_SERVICE)).value
    return any(node.name.lower() == name.lower() for node, _ in members)


async def put_update(context: ApiContext, request: Request) -> Response:
    """PUT /v1/coordinate/update: a node tells where it is. An unknown node is nobody's mistake."""
    body = decode_body(request.body, _UPDATE)
    check_datacenter(context, str(body.get("Datacenter", "")))
    given = body.get("Coord")
    given = given if isinstance(given, dict) else {}
    vector = tuple(given.get("Vec", ()))
    numbers = {name: float(given.get(name, 0.0)) for name in ("Error", "Adjustment", "Height")}
    if len(vector) != DIMENSIONS or not all(map(math.isfinite, (*vector, *numbers.values()))):
        raise Refused(500, "incompatible coordinate")
    coordinate = Coordinate(
        node=str(body.get("Node", "")),
        segment=str(body.get("Segment", "")),
        vector=vector,
        error=numbers["Error"],
        adjustment=numbers["Adjustment"],
        height=numbers["Height"],
    )
    await write(context, request, CoordinatesUpdate((coordinate,)))
    return empty_response()


def _shown(coordinate: Coordinate, name: str) -> Json:
    return {
        "Node": name,
        "Segment": coordinate.segment,
        "Coord": {
            "Vec": [_number(value) for value in coordinate.vector],
            "Error": _number(coordinate.error),
            "Adjustment": _number(coordinate.adjustment),
            "Height": _number(coordinate.height),
        },
    }


def _number(value: float) -> float | int:
    """Whole numbers without a point, as clients see them today."""
    return int(value) if value.is_integer() and abs(value) < 1e15 else value
