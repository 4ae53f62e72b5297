"""/v1/txn: several operations as one, all or none."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from raftreg.api.bodies import HEALTH_CHECK, NODE_SERVICE, Body, check_record, check_uuid, service_record
from raftreg.api.context import ApiContext
from raftreg.api.decode import BASE64, STRING, STRING_MAP, UINT, ListOf, Object, Scalar, decode_list
from raftreg.api.http import Request, Response
from raftreg.api.json_text import DecodeError
from raftreg.api.kv import entry_json
from raftreg.api.options import UINT64_MAX, Options, check_datacenter, parse_options, read, write
from raftreg.api.render import json_response
from raftreg.api.shapes import Json, check_json, node_json, service_json
from raftreg.errors import Refused
from raftreg.model import Check, KVEntry, Node, Service
from raftreg.records import Record
from raftreg.registry import Answer
from raftreg.state.transaction_queries import TransactionRead
from raftreg.state.transactions import writes
from raftreg.transactions import KVOperand, Operation, OperationError, Outcome, Transaction, decode_outcome

BODY_MAX: Final = 512 * 1024
OPERATIONS_MAX: Final = 64

_KV: Final = Object(
    "KVTxnOp",
    {
        "Verb": Scalar("string", "api.KVOp"),
        "Key": STRING,
        "Value": BASE64,
        "Flags": UINT,
        "Index": UINT,
        "Session": STRING,
        "Namespace": STRING,
    },
    type_name="api.KVTxnOp",
)
_NODE: Final = Object(
    "Node",
    {
        "ID": STRING,
        "Node": STRING,
        "Address": STRING,
        "Datacenter": STRING,
        "TaggedAddresses": STRING_MAP,
        "Meta": STRING_MAP,
        "CreateIndex": UINT,
        "ModifyIndex": UINT,
    },
    type_name="api.Node",
)
OPERATIONS: Final = ListOf(
    Object(
        "TxnOp",
        {
            "KV": _KV,
            "Node": Object(
                "NodeTxnOp",
                {"Verb": Scalar("string", "api.NodeOp"), "Node": _NODE},
                type_name="api.NodeTxnOp",
            ),
            "Service": Object(
                "ServiceTxnOp",
                {"Verb": Scalar("string", "api.ServiceOp"), "Node": STRING, "Service": NODE_SERVICE},
                type_name="api.ServiceTxnOp",
            ),
            "Check": Object(
                "CheckTxnOp",
                {"Verb": Scalar("string", "api.CheckOp"), "Check": HEALTH_CHECK},
                type_name="api.CheckTxnOp",
            ),
        },
        type_name="api.TxnOp",
    ),
    "api.TxnOps",
)


@dataclass(frozen=True, slots=True)
class Parsed:
    """The operations of a body, and what is wrong with them already."""

    operations: tuple[Operation, ...]
    errors: tuple[OperationError, ...]


async def put(context: ApiContext, request: Request) -> Response:
    """PUT /v1/txn: carry out the operations in the body. If none of them writes, it is a read like any other."""
    try:
        bodies = decode_list(request.body, OPERATIONS)
    except DecodeError as error:
        raise Refused(400, f"Failed to parse body: {error}") from None
    if len(bodies) > OPERATIONS_MAX:
        text = f"Transaction contains too many operations ({len(bodies)} > {OPERATIONS_MAX})"
        raise Refused(413, text)
    parsed = parse_operations(bodies)
    if any(map(writes, parsed.operations)):
        return await _write(context, request, parsed)
    options = parse_options(context, request)
    options = replace(options, read=replace(options.read, index=0, wait_s=0.0))
    answer = await read(context, options, TransactionRead(parsed.operations))
    return _read_response(context, options, answer, parsed)


async def _write(context: ApiContext, request: Request, parsed: Parsed) -> Response:
    check_datacenter(context, request.query.get("dc"))
    if parsed.errors:
        return _response(context, Outcome(errors=parsed.errors), pretty="pretty" in request.query)
    written = await write(context, request, Transaction(parsed.operations))
    if written.value == b"":
        what = f"the transaction was applied at index {written.index}, but its results are not kept any more"
        raise Refused(500, f"rpc error: {what}")
    assert isinstance(written.value, bytes)
    response = _response(context, decode_outcome(written.value), pretty="pretty" in request.query)
    response.headers["X-Consul-Index"] = str(written.index)
    return response


def _read_response(
    context: ApiContext, options: Options, answer: Answer[Outcome], parsed: Parsed
) -> Response:
    """As for a write, with what a reader wants to know of the consistency. There is no index to wait for."""
    outcome = Outcome(errors=parsed.errors) if parsed.errors else answer.value
    more: Json = {
        "Index": 0,
        "LastContact": answer.last_contact_ms,
        "KnownLeader": answer.known_leader,
        "ConsistencyLevel": "",
    }
    response = _response(context, outcome, more, pretty=options.pretty)
    response.headers["X-Consul-KnownLeader"] = "true" if answer.known_leader else "false"
    response.headers["X-Consul-LastContact"] = str(answer.last_contact_ms)
    return response


def _response(context: ApiContext, outcome: Outcome, more: Json | None = None, *, pretty: bool) -> Response:
    failed = bool(outcome.errors)
    results = [_record_json(context, record) for record in outcome.results]
    errors = [{"OpIndex": error.index, "What": error.what} for error in outcome.errors]
    shown: Json = {"Results": None if failed else results, "Errors": errors if failed else None}
    return json_response(shown | (more or {}), pretty=pretty, status=409 if failed else 200)


def _record_json(context: ApiContext, record: Record) -> Json:
    match record:
        case KVEntry():
            return {"KV": entry_json(record)}
        case Node():
            return {"Node": node_json(record, context.datacenter)}
        case Service():
            return {"Service": service_json(record) | {"Tags": _list(record.tags)}}
        case Check():
            return {"Check": check_json(record) | {"ServiceTags": _list(record.service_tags)}}
    raise TypeError(f"no operation gives a {type(record).__name__}")


def _list(texts: Sequence[str] | None) -> list[str] | None:
    """As it was given: here, and nowhere else, what was not given is null."""
    return list(texts) if texts else None


def parse_operations(bodies: list[Body]) -> Parsed:
    """The operations that bodies mean. Those that name nothing are none; what is wrong with one stops all."""
    operations: list[Operation] = []
    errors: list[OperationError] = []
    for body in bodies:
        kind = next((name for name in _PARSERS if name in body), None)
        if kind is None:
            continue
        try:
            operation = _PARSERS[kind](body[kind])
        except Refused as refused:
            errors.append(OperationError(len(operations), refused.text))
            operation = Operation(body[kind].get("Verb", ""), kv=KVOperand("") if kind == "KV" else None)
        operations.append(operation)
    return Parsed(tuple(operations), tuple(errors))


def _kv(body: Body) -> Operation:
    verb, key = body.get("Verb", ""), body.get("Key", "")
    if not key and verb != "delete-tree":
        raise Refused(409, "Must provide key")
    operand = KVOperand(
        key,
        value=body.get("Value", b""),
        flags=body.get("Flags", 0),
        index=body.get("Index", 0),
        session=body.get("Session", "").lower(),
    )
    return Operation(verb, kv=operand)


def _node(body: Body) -> Operation:
    verb, given = body.get("Verb", ""), body.get("Node", {})
    node_id = given.get("ID", "").lower()
    if verb == "get":
        return Operation(verb, node=Node(given.get("Node", ""), node_id, ""))
    if not given.get("Node"):
        raise Refused(409, "Must provide node")
    check_uuid(node_id)
    node = Node(
        given["Node"],
        node_id,
        given.get("Address", ""),
        given.get("TaggedAddresses"),
        given.get("Meta"),
        modify_index=_index(given),
    )
    return Operation(verb, node=node)


def _service(body: Body) -> Operation:
    verb, place, given = body.get("Verb", ""), body.get("Node", ""), body.get("Service", {})
    service_id, name = given.get("ID", ""), given.get("Service", "")
    if name and verb != "get":
        service = replace(service_record(place, given), modify_index=_index(given))
        return Operation(verb, service=service)
    if service_id and verb != "get":
        raise Refused(409, "Must provide service name with ID")
    return Operation(verb, service=Service(place, service_id, name, modify_index=_index(given)))


def _check(body: Body) -> Operation:
    verb, given = body.get("Verb", ""), body.get("Check", {})
    place, check_id = given.get("Node", ""), given.get("CheckID", "")
    if verb != "get" and (check_id or given.get("Name")):
        check = check_record(place, given)
        check = replace(check, type=given.get("Type", ""), modify_index=_index(given))
        return Operation(verb, check=check)
    service_id = given.get("ServiceID", "")
    return Operation(
        verb, check=Check(place, check_id, "", service_id=service_id, modify_index=_index(given))
    )


def _index(body: Body) -> int:
    """The index that a compare-and-set names. A negative one is no number of any command."""
    index: int = body.get("ModifyIndex", 0)
    return index if index >= 0 else UINT64_MAX


_PARSERS: Final = {"KV": _kv, "Node": _node, "Service": _service, "Check": _check}
