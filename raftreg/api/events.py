"""/v1/event: user events.

Consul spreads them by gossip, each agent keeping those that were meant for it. Here they are replicated like everything
else; the node that is asked shows those whose filters match it: its name, and the services that are registered through
it. The index of an answer is no number of a change but made of the id of its last event, as clients expect.
"""

import asyncio
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from raftreg.api.agent_records import local_services
from raftreg.api.context import ApiContext
from raftreg.api.http import Request, Response
from raftreg.api.options import Options, parse_options, write
from raftreg.api.render import JSON_TYPE, json_bytes, json_response
from raftreg.api.shapes import Json
from raftreg.cluster_commands import FireEvent
from raftreg.errors import Refused
from raftreg.model import Event, Service
from raftreg.regex import Pattern, PatternError
from raftreg.registry import Answer, ReadOptions
from raftreg.state.cluster_queries import RecentEvents

SIZE_MAX = 512  # bytes of an event as gossip would carry it
_OVERHEAD = 96  # of those, what each event takes
_FILTER_OVERHEAD = 4
_VERSION = 1


async def fire(context: ApiContext, request: Request) -> Response:
    """PUT /v1/event/fire/NAME: the body is the payload."""
    if not request.rest:
        raise Refused(400, "Missing name")
    query = request.query
    event = Event(
        id=context.clock.uuid(),
        name=request.rest,
        payload=request.body,
        node_filter=query.get("node"),
        service_filter=query.get("service"),
        tag_filter=query.get("tag"),
    )
    _check(event)
    await write(context, request, FireEvent(event))
    return json_response(_shown(event), pretty="pretty" in query)


def _check(event: Event) -> None:
    """Refused (500) for filters that are none, and for what gossip could not carry."""
    if event.tag_filter and not event.service_filter:
        raise Refused(500, "Cannot provide tag filter without service filter")
    filters = {"node": event.node_filter, "service": event.service_filter, "tag": event.tag_filter}
    for what, text in filters.items():
        try:
            _pattern(text)
        except PatternError as error:
            raise Refused(500, f"Invalid {what} filter: {error}") from None
    size = _OVERHEAD + 2 * len(event.name.encode("utf-8", "surrogateescape")) + len(event.payload)
    size += sum(
        len(text.encode("utf-8", "surrogateescape")) + _FILTER_OVERHEAD for text in filters.values() if text
    )
    if size > SIZE_MAX:
        why = f"user event exceeds configured limit of {SIZE_MAX} bytes before encoding"
        raise Refused(500, f'1 error occurred:\n\t* error broadcasting event to segment "": {why}\n\n')


@lru_cache(maxsize=64)
def _pattern(text: str) -> Pattern:
    return Pattern(text)


async def get_list(context: ApiContext, request: Request) -> Response:
    """GET /v1/event/list: those that are meant for this node; `index` waits until their last is another one."""
    options = parse_options(context, request)
    name = request.query.get("name")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + options.read.wait_s
    answer = await _read(context, 0, 0.0)
    while True:
        events = _meant_for(context, answer.value, name)
        index = _index(events)
        left_s = deadline - loop.time()
        if options.read.index != index or left_s <= 0 or context.registry.stopping:
            return _response(options, events, index)
        answer = await _read(context, answer.index, left_s)


async def _read(context: ApiContext, index: int, wait_s: float) -> Answer[tuple[Event, ...]]:
    """The events, after a change if `index` is the current one. Without a leader those that this node knows."""
    stale = context.registry.consensus.status().leader_name is None
    options = ReadOptions("stale" if stale else "default")
    return await context.registry.read(RecentEvents(), replace(options, index=index, wait_s=wait_s))


def _meant_for(context: ApiContext, events: Sequence[Event], name: str) -> list[Event]:
    services = local_services(context)
    return [
        event
        for event in events
        if name in ("", event.name) and _is_meant(event, context.node_name, services)
    ]


def _is_meant(event: Event, node_name: str, services: Sequence[Service]) -> bool:
    if event.node_filter and not _pattern(event.node_filter).search(node_name):
        return False
    if not event.service_filter:
        return True
    wanted = _pattern(event.service_filter)
    tag = _pattern(event.tag_filter) if event.tag_filter else None
    return any(
        wanted.search(service.name) and (tag is None or any(tag.search(one) for one in service.tags or ()))
        for service in services
    )


def _index(events: Sequence[Event]) -> int:
    """The two halves of the last event's id, one over the other; 1 if there is none."""
    if not events:
        return 1
    number = int(events[-1].id.replace("-", ""), 16)
    return (number >> 64) ^ (number & 0xFFFF_FFFF_FFFF_FFFF) or 1


def _response(options: Options, events: Sequence[Event], index: int) -> Response:
    headers = {"Content-Type": JSON_TYPE, "X-Consul-Index": str(index)}
    return Response(200, headers, json_bytes([_shown(event) for event in events], options.pretty))


def _shown(event: Event) -> Json:
    """An event as the API shows it; one that was just fired has no time yet."""
    return {
        "ID": event.id,
        "Name": event.name,
        "Payload": b64encode(event.payload).decode("ascii") if event.payload else None,
        "NodeFilter": event.node_filter,
        "ServiceFilter": event.service_filter,
        "TagFilter": event.tag_filter,
        "Version": _VERSION,
        "LTime": event.ltime,
    }
