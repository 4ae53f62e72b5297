"""`?near`: what is closest to a node first, by the coordinates that nodes told.

The distance is that of Vivaldi: between the vectors, plus both heights, plus the adjustments if that stays above zero.
Nodes without a coordinate come last, and equally far ones keep their order. The nodes of the cluster itself count as
being at one place until somebody tells otherwise.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from raftreg.api.context import ApiContext
from raftreg.api.http import Request
from raftreg.model import SERVER_SERVICE, Coordinate, Node
from raftreg.state.cluster_queries import AllCoordinates
from raftreg.state.queries import ServiceNodes

T = TypeVar("T")

DIMENSIONS = 8
_AGENT = "_agent"  # the name under which clients mean the node that they ask


def origin(node: str) -> Coordinate:
    """Where a node is that never measured anything."""
    return Coordinate(node, "", (0.0,) * DIMENSIONS, 1.5, 0.0, 1.0e-5)


def wanted_near(context: ApiContext, request: Request) -> str:
    """The node that `near` names; "" if there is no such parameter."""
    name = request.query.get("near")
    return context.node_name if name == _AGENT else name


def known_coordinates(context: ApiContext) -> list[Coordinate]:
    """All coordinates, those of the cluster's own nodes included, by node and segment."""
    told = context.registry.local(AllCoordinates()).value
    names = {coordinate.node.lower() for coordinate in told}
    members = {node.name for node, _ in context.registry.local(ServiceNodes(SERVER_SERVICE)).value}
    silent = [origin(name) for name in members if name.lower() not in names]
    return sorted([*told, *silent], key=lambda coordinate: (coordinate.node.lower(), coordinate.segment))


def sort_near(context: ApiContext, near: str, rows: Sequence[T], node_of: Callable[[T], Node]) -> Sequence[T]:
    """The rows, the nearest first; as they are if it is not known where `near` is."""
    if not near:
        return rows
    places: Mapping[str, Coordinate] = {
        coordinate.node.lower(): coordinate
        for coordinate in known_coordinates(context)
        if not coordinate.segment
    }
    here = places.get(near.lower())
    if here is None:
        return rows
    start = here
    return sorted(rows, key=lambda row: distance(start, places.get(node_of(row).name.lower())))


def near_variant(context: ApiContext, near: str) -> tuple[str, int]:
    """What the order of an answer depends on beside the answer itself."""
    return (near, context.registry.local(AllCoordinates()).index) if near else ("", 0)


def distance(one: Coordinate, other: Coordinate | None) -> float:
    """Seconds of round-trip time between the two; infinite if it cannot be told."""
    if other is None or len(one.vector) != len(other.vector):
        return math.inf
    raw = math.dist(one.vector, other.vector) + one.height + other.height
    adjusted = raw + one.adjustment + other.adjustment
    return adjusted if adjusted > 0 else raw
