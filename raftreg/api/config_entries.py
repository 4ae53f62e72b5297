"""/v1/config: configuration entries are stored and given back; nothing here acts upon them."""

from typing import Final

from raftreg.api.config_rules import normalized
from raftreg.api.config_shapes import KINDS, ShapeError, plain_name, take
from raftreg.api.context import ApiContext
from raftreg.api.decode import plain_json
from raftreg.api.http import Request, Response
from raftreg.api.json_text import DecodeError, parse_json
from raftreg.api.options import parse_options, parse_unsigned, read, request_id
from raftreg.api.render import answer_response, index_headers, json_response, text_response
from raftreg.api.shapes import Json
from raftreg.cluster_commands import ConfigDelete, ConfigSet
from raftreg.errors import Refused
from raftreg.model import ConfigEntry
from raftreg.state.cluster_queries import ConfigGet, ConfigList

_OF_EACH: Final = frozenset({"kind", "name", "createindex", "modifyindex"})


async def put(context: ApiContext, request: Request) -> Response:
    """PUT /v1/config: store an entry; with `cas` on a condition. The datacenter is not asked for, as in Consul."""
    command = ConfigSet(_entry(request.body), _parse_cas(request))
    written = await context.registry.write(command, request_id=request_id(request, command))
    return json_response(written.value)


def _parse_cas(request: Request) -> int | None:
    text = request.query.get("cas")
    return parse_unsigned(text) if text else None


def _entry(body: bytes) -> ConfigEntry:
    """The entry that a body gives. Refused with the words that clients know."""
    try:
        value = plain_json(parse_json(body))
    except DecodeError as error:
        raise _undecodable(str(error)) from None
    if not isinstance(value, dict):
        raise _undecodable(f"'' expected a map, got '{'slice' if isinstance(value, list) else 'string'}'")
    kind = value.get("Kind", value.get("kind"))
    if kind is None:
        raise _undecodable("Payload does not contain a kind/Kind key at the top level")
    if not isinstance(kind, str):
        raise _undecodable("Kind value in payload is not a string")
    if kind not in KINDS:
        raise _undecodable(f"invalid config entry kind: {kind}")
    name = next(
        (str(given) for key, given in value.items() if plain_name(key) == "name" and given is not None), ""
    )
    rest = {key: inner for key, inner in value.items() if plain_name(key) not in _OF_EACH}
    unknown: list[str] = []
    try:
        taken = take(rest, KINDS[kind], "", unknown)
    except ShapeError as error:
        raise _undecodable(f"1 error(s) decoding:\n\n* {error}") from None
    if unknown:
        raise _undecodable(_unknown_keys(unknown))
    assert isinstance(taken, dict)
    return ConfigEntry(kind, *normalized(kind, name, taken))


def _undecodable(why: str) -> Refused:
    return Refused(400, f"Bad request: Request decoding failed: {why}")


def _unknown_keys(names: list[str]) -> str:
    """All of them, as Go's multierror lists errors."""
    enterprise = ", namespaces are a consul enterprise feature"
    lines = [
        f'\t* invalid config key "{name}"{enterprise if plain_name(name) == "namespace" else ""}'
        for name in names
    ]
    count = "1 error" if len(lines) == 1 else f"{len(lines)} errors"
    return "\n".join([f"{count} occurred:", *lines, "", ""])


async def get(context: ApiContext, request: Request) -> Response:
    """GET /v1/config/KIND/NAME: one entry; /v1/config/KIND: all of a kind; /v1/config/: all."""
    options = parse_options(context, request)
    kind, slash, name = request.rest.partition("/")
    if kind and kind not in KINDS:
        raise Refused(500, f"invalid config entry kind: {kind}")
    if not slash or not name:
        listed = await read(context, options, ConfigList(kind))
        return answer_response(
            options, listed, lambda: [_shown(entry) for entry in listed.value], effective=False
        )
    answer = await read(context, options, ConfigGet(kind, name))
    entry = answer.value
    if entry is None:
        response = text_response(404, f'Config entry not found for "{kind}" / "{name}"')
        response.headers.update(index_headers(options, answer, effective=False))
        return response
    return answer_response(options, answer, lambda: _shown(entry), effective=False)


async def delete(context: ApiContext, request: Request) -> Response:
    """DELETE /v1/config/KIND/NAME."""
    kind, _, name = request.rest.partition("/")
    if not kind or not name:
        raise Refused(404, "Must provide both a kind and name to delete")
    if kind not in KINDS:
        raise Refused(400, f"invalid config entry kind: {kind}")
    command = ConfigDelete(kind, "global" if kind == "proxy-defaults" else name)
    await context.registry.write(command, request_id=request_id(request, command))
    return json_response({})


def _shown(entry: ConfigEntry) -> Json:
    return {
        "Kind": entry.kind,
        "Name": entry.name,
        **entry.body,
        "CreateIndex": entry.create_index,
        "ModifyIndex": entry.modify_index,
    }
