"""Values of the API into bytes and headers.

JSON is compact, or indented by four blanks with `?pretty`. An answer of the registry is encoded once for all
clients that got the same one: the bytes are kept with the answer (`Answer.encodings`) and go when it goes.
"""

import json
from collections.abc import Callable, Hashable
from typing import Any

from raftreg.api.http import Response
from raftreg.api.options import Options
from raftreg.commands import Ok
from raftreg.registry import Answer

FOUND = "X-Raftreg-Found"
JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"
_EFFECTIVE = {"default": "leader", "consistent": "consistent", "stale": "stale"}
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
_indented = json.JSONEncoder(ensure_ascii=False, separators=(",", ": "), indent=4).encode


def json_bytes(value: object, pretty: bool = False) -> bytes:
    """`value` as JSON. Text that is no UTF-8 is shown with replacement characters, as JSON cannot carry it."""
    text = _indented(value) if pretty else _compact(value)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").encode()


def json_response(value: object, *, pretty: bool = False, status: int = 200) -> Response:
    """A JSON body without any index, for what is local to a node."""
    return Response(status, {"Content-Type": JSON_TYPE}, json_bytes(value, pretty))


def text_response(status: int, text: str) -> Response:
    """A plain text body: how errors are told."""
    return Response(status, {"Content-Type": TEXT_TYPE}, text.encode("utf-8", "surrogateescape"))


def empty_response(status: int = 200) -> Response:
    """No body at all."""
    return Response(status)


def unknown_response() -> Response:
    """No body: what was to go had gone already, which is as good to Consul's clients; a header tells it."""
    return Response(200, {FOUND: "false"})


def written_response(written: Ok) -> Response:
    """The result of a write as JSON, with the index at which it was applied."""
    headers = {"Content-Type": JSON_TYPE, "X-Consul-Index": str(written.index)}
    return Response(200, headers, json_bytes(written.value))


def index_headers(options: Options, answer: Answer[Any], *, effective: bool = True) -> dict[str, str]:
    """The headers of an indexed read; `effective` adds X-Consul-Effective-Consistency (not for kv and session)."""
    headers = {
        "X-Consul-Index": str(answer.index),
        "X-Consul-KnownLeader": "true" if answer.known_leader else "false",
        "X-Consul-LastContact": str(answer.last_contact_ms),
    }
    if effective:
        headers["X-Consul-Effective-Consistency"] = _EFFECTIVE[options.read.mode]
    return headers


def answer_response(
    options: Options,
    answer: Answer[Any],
    shape: Callable[[], object],
    *,
    variant: Hashable = "",
    effective: bool = True,
    status: int = 200,
) -> Response:
    """An indexed read as JSON. `shape` makes the JSON value of `answer.value`; it runs once per answer and variant.

    `variant` must name everything beside the query itself that the body depends on (tag, passing, node-meta,
    near, ...); `options.filter` and `options.pretty` are part of the key already.
    """
    headers = index_headers(options, answer, effective=effective)
    headers["Content-Type"] = JSON_TYPE
    key = ("json", options.pretty, options.filter, variant)
    body = answer.encodings.get(key)
    if body is None:
        body = json_bytes(shape(), options.pretty)
        answer.encodings.keep(key, body)
    return Response(status, headers, body)
