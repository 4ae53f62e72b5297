"""/v1/kv: the key-value store, and the locks that sessions take on its keys."""

from base64 import b64encode

from raftreg.api.context import ApiContext
from raftreg.api.http import Request, Response
from raftreg.api.options import Options, check_datacenter, parse_options, parse_unsigned, read, write
from raftreg.api.render import answer_response, index_headers, written_response
from raftreg.commands import KVDelete, KVDeleteTree, KVLock, KVSet, KVUnlock
from raftreg.errors import Refused
from raftreg.model import KVEntry
from raftreg.state.locks import lookup_error
from raftreg.state.queries import KVGet, KVKeys, KVList

VALUE_MAX = 512 * 1024  # bytes


async def get_key(context: ApiContext, request: Request) -> Response:
    """GET /v1/kv/KEY: one entry; `recurse`: all below a prefix; `keys`: their names; `raw`: the value alone."""
    options = parse_options(context, request)
    if "keys" in request.query:
        return await _get_keys(context, request, options)
    if "recurse" in request.query:
        return await _get_tree(context, request, options)
    if not request.rest:
        raise Refused(400, "Missing key name")
    answer = await read(context, options, KVGet(request.rest))
    entry = answer.value
    if entry is None:
        return Response(404, index_headers(options, answer, effective=False))
    if "raw" in request.query:
        headers = index_headers(options, answer, effective=False)
        headers["Content-Type"] = "text/plain"
        return Response(200, headers, entry.value)
    return answer_response(options, answer, lambda: [entry_json(entry)], effective=False)


async def _get_keys(context: ApiContext, request: Request, options: Options) -> Response:
    answer = await read(context, options, KVKeys(request.rest, request.query.get("separator")))
    if not answer.value:
        return Response(404, index_headers(options, answer, effective=False))
    return answer_response(options, answer, lambda: answer.value, effective=False)


async def _get_tree(context: ApiContext, request: Request, options: Options) -> Response:
    answer = await read(context, options, KVList(request.rest))
    if not answer.value:
        return Response(404, index_headers(options, answer, effective=False))
    return answer_response(
        options, answer, lambda: [entry_json(entry) for entry in answer.value], effective=False
    )


async def put_key(context: ApiContext, request: Request) -> Response:
    """PUT /v1/kv/KEY: store the body; with `cas` on a condition, with `acquire` and `release` under the key's lock."""
    if not request.rest:
        raise Refused(400, "Missing key name")
    query = request.query
    if not query:
        return written_response(await write(context, request, KVSet(request.rest, request.body)))
    _check_conflicts(request, ("cas", "acquire", "release"))
    flags = parse_unsigned(query.get("flags")) if "flags" in query else 0
    cas = parse_unsigned(query.get("cas")) if "cas" in query else None
    if "acquire" in query or "release" in query:
        return written_response(await write(context, request, _locking(context, request, flags)))
    return written_response(await write(context, request, KVSet(request.rest, request.body, flags, cas)))


async def delete_key(context: ApiContext, request: Request) -> Response:
    """DELETE /v1/kv/KEY: remove one key, with `cas` on a condition, with `recurse` all below a prefix."""
    _check_conflicts(request, ("recurse", "cas"))
    if "recurse" in request.query:
        return written_response(await write(context, request, KVDeleteTree(request.rest)))
    if not request.rest:
        raise Refused(400, "Missing key name")
    cas = parse_unsigned(request.query.get("cas")) if "cas" in request.query else None
    return written_response(await write(context, request, KVDelete(request.rest, cas)))


def entry_json(entry: KVEntry) -> dict[str, object]:
    """One entry as the API shows it; an empty value is null, Session is there only while the key is locked."""
    shown: dict[str, object] = {
        "LockIndex": entry.lock_index,
        "Key": entry.key,
        "Flags": entry.flags,
        "Value": b64encode(entry.value).decode("ascii") if entry.value else None,
    }
    if entry.session is not None:
        shown["Session"] = entry.session
    shown["CreateIndex"] = entry.create_index
    shown["ModifyIndex"] = entry.modify_index
    return shown


def _check_conflicts(request: Request, names: tuple[str, ...]) -> None:
    """Refused (400) if more than one of the parameters was given."""
    if sum(name in request.query for name in names) > 1:
        raise Refused(400, f"Conflicting flags: {request.query.encode()}")


def _locking(context: ApiContext, request: Request, flags: int) -> KVLock | KVUnlock:
    """The command of an acquire or a release. Refused for what cannot be the id of a session."""
    query = request.query
    check_datacenter(context, query.get("dc"))
    session_id = (query.get("acquire") or query.get("release")).lower()
    if not session_id:
        raise Refused(500, "missing session")
    if "release" in query:
        return KVUnlock(request.rest, request.body, flags, session_id)
    error = lookup_error(session_id)
    if error is not None:
        raise Refused(500, error)
    return KVLock(request.rest, request.body, flags, session_id)
