"""/v1/session: who may hold locks."""

from typing import Final, cast

from raftreg.api.bodies import Body
from raftreg.api.catalog import required
from raftreg.api.context import ApiContext
from raftreg.api.decode import ANY, STRING, STRINGS, ListOf, Object, decode_body
from raftreg.api.http import Request, Response
from raftreg.api.options import check_datacenter, parse_options, read, write
from raftreg.api.render import answer_response, json_response, written_response
from raftreg.api.shapes import session_json
from raftreg.commands import Ok, SessionCreate, SessionDestroy
from raftreg.durations import format_duration, parse_nanoseconds
from raftreg.duties.renewals import RENEWAL_CALL
from raftreg.errors import Refused
from raftreg.model import SERF_HEALTH, Behavior, Session
from raftreg.state.locks import lookup_error
from raftreg.state.queries import NodeSessions, SessionById, Sessions

TTL_S_MIN: Final = 10
TTL_S_MAX: Final = 24 * 3600
LOCK_DELAY_NS: Final = 15_000_000_000
# A number below it counts seconds: nobody means 15 nanoseconds.
_NANOSECONDS_MIN: Final = 1000
_NS: Final = 1_000_000_000
_INT64_MAX: Final = 2**63 - 1

# Not strict: clients send fields that never had a meaning here.
SESSION: Final = Object(
    "",
    {
        "Name": STRING,
        "Node": STRING,
        "LockDelay": ANY,
        "Behavior": STRING,
        "TTL": STRING,
        "Checks": ListOf(STRING, "[]types.CheckID"),
        "NodeChecks": STRINGS,
        "ServiceChecks": ListOf(
            Object("ServiceCheck", {"ID": STRING, "Namespace": STRING}, strict=False),
            "[]structs.ServiceCheck",
        ),
    },
    strict=False,
    type_name="struct { LockDelay interface {}; *structs.Alias }",
)


async def create(context: ApiContext, request: Request) -> Response:
    """PUT /v1/session/create: begin a session; all fields are optional, and so is the body."""
    body = decode_body(request.body, SESSION) if request.body else {}
    lock_delay_ns = _lock_delay_ns(body.get("LockDelay"))
    check_datacenter(context, request.query.get("dc"))
    session = _session(context, body, lock_delay_ns)
    written = await write(context, request, SessionCreate(session))
    return written_response(Ok(written.index, {"ID": written.value}))


async def destroy(context: ApiContext, request: Request) -> Response:
    """PUT /v1/session/destroy/ID: end a session; one that is not there has ended already."""
    return written_response(await write(context, request, SessionDestroy(_session_id(context, request))))


async def renew(context: ApiContext, request: Request) -> Response:
    """PUT /v1/session/renew/ID: another TTL from now on. This goes to the leader's deadlines, not into the log."""
    session_id = _session_id(context, request)
    query = SessionById(session_id)
    session = context.registry.local(query).value
    if session is None:  # it may have been created through another node a moment ago
        session = (await context.registry.read(query)).value
    if session is None or not await context.registry.tell_leader(RENEWAL_CALL, session_id):
        raise Refused(404, f"Session id '{request.rest}' not found")
    return json_response([session_json(session)], pretty="pretty" in request.query)


async def get_info(context: ApiContext, request: Request) -> Response:
    """GET /v1/session/info/ID: a list of one session, or of none."""
    options = parse_options(context, request)
    answer = await read(context, options, SessionById(_session_id(context, request)))
    session = answer.value
    return answer_response(
        options, answer, lambda: [] if session is None else [session_json(session)], effective=False
    )


async def get_list(context: ApiContext, request: Request) -> Response:
    """GET /v1/session/list: all sessions, by id."""
    options = parse_options(context, request)
    answer = await read(context, options, Sessions())
    return answer_response(
        options, answer, lambda: [session_json(session) for session in answer.value], effective=False
    )


async def get_node(context: ApiContext, request: Request) -> Response:
    """GET /v1/session/node/NODE: the sessions of a node, by id."""
    options = parse_options(context, request)
    answer = await read(context, options, NodeSessions(required(request, "node name")))
    return answer_response(
        options, answer, lambda: [session_json(session) for session in answer.value], effective=False
    )


def _session_id(context: ApiContext, request: Request) -> str:
    """The id in the path. Refused (400) if there is none, (500) if it cannot be one or is asked for elsewhere."""
    if not request.rest:
        raise Refused(400, "Missing session")
    check_datacenter(context, request.query.get("dc"))
    error = lookup_error(request.rest)
    if error is not None:
        raise Refused(500, error)
    return request.rest.lower()


def _session(context: ApiContext, body: Body, lock_delay_ns: int) -> Session:
    """The session that the body asks for, under an id made here: one that a client chose is ignored. Or Refused (500).

    A list of checks that is given and empty means none at all, whichever of the two lists it is.
    """
    if body.get("Node") == "":
        raise Refused(500, "Must provide Node")
    ttl = body.get("TTL", "")
    ttl_s = _ttl_s(ttl)
    behavior = body.get("Behavior") or "release"
    if behavior not in ("release", "delete"):
        raise Refused(500, f"Invalid Behavior setting '{behavior}'")
    checks = tuple(body["Checks"]) if "Checks" in body else None
    if checks == (SERF_HEALTH,):  # what Consul takes for its own default, which NodeChecks overrules
        checks = None
    node_checks = tuple(body.get("NodeChecks", (SERF_HEALTH,)))
    services = body.get("ServiceChecks")
    return Session(
        id=context.clock.uuid(),
        node=body.get("Node", context.node_name),
        name=body.get("Name", ""),
        behavior=cast("Behavior", behavior),
        ttl=ttl,
        ttl_s=ttl_s,
        lock_delay_ns=lock_delay_ns,
        checks=checks if node_checks else None,
        node_checks=() if checks == () else node_checks,
        service_checks=None
        if services is None
        else tuple((service.get("ID", ""), service.get("Namespace", "")) for service in services),
    )


def _ttl_s(text: str) -> float:
    """Seconds; 0 for none. Refused (500) for what is no duration or out of bounds."""
    if not text:
        return 0.0
    try:
        ttl_ns = parse_nanoseconds(text)
    except ValueError as error:
        raise Refused(500, f"Session TTL '{text}' invalid: {error}") from None
    if ttl_ns and not TTL_S_MIN * _NS <= ttl_ns <= TTL_S_MAX * _NS:
        bounds = f"[{format_duration(TTL_S_MIN)}={format_duration(TTL_S_MAX)}]"
        raise Refused(500, f"Invalid Session TTL '{ttl_ns}', must be between {bounds}")
    return ttl_ns / _NS


def _lock_delay_ns(given: object) -> int:
    """Nanoseconds, from a text such as "15s" or a number of nanoseconds or seconds. Refused (400) for anything else."""
    if given is None:
        return LOCK_DELAY_NS
    if isinstance(given, str):
        try:
            return _whole_delay_ns(parse_nanoseconds(given))
        except ValueError as error:
            raise Refused(400, f"Request decode failed: {error}") from None
    if isinstance(given, bool) or not isinstance(given, int | float):
        return LOCK_DELAY_NS  # as Consul does with what is neither text nor number
    if abs(given) > _INT64_MAX:
        text = "json: cannot unmarshal number into Go struct field .LockDelay of type time.Duration"
        raise Refused(400, f"Request decode failed: {text}")
    return _whole_delay_ns(int(given))


def _whole_delay_ns(number: int) -> int:
    """Less than a microsecond was meant as seconds."""
    return max(number * _NS, -_INT64_MAX) if number < _NANOSECONDS_MIN else number
