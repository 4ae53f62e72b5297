"""/v1/agent: checks that are registered through this node, and the heartbeats of TTL checks."""

from typing import Final

from raftreg.api import selectors
from raftreg.api.agent_definitions import CHECK_DEFINITION, CHECK_UPDATE, STATUSES, check_of
from raftreg.api.agent_records import find_check, local_checks, local_service, write_here
from raftreg.api.catalog import row_filter
from raftreg.api.check_kinds import refuse_unprobed
from raftreg.api.context import ApiContext
from raftreg.api.decode import decode_body
from raftreg.api.filter import FILTER_REFUSED, Filter, FilterError, FilterSyntaxError
from raftreg.api.http import Request, Response
from raftreg.api.options import Options, parse_options, write
from raftreg.api.render import empty_response, json_response
from raftreg.api.shapes import agent_check_json
from raftreg.commands import CheckUpdate, Deregister, Register
from raftreg.duties.heartbeats import TTL_CALL, Heartbeat, no_ttl
from raftreg.errors import Refused
from raftreg.state.queries import CheckById

OUTPUT_MAX: Final = 4096  # bytes of an output that are kept


async def get_checks(context: ApiContext, request: Request) -> Response:
    """GET /v1/agent/checks: checks by id, with their newest outputs."""
    options = parse_options(context, request)
    rows = {check.id: agent_check_json(check) for check in local_checks(context)}
    wanted = _check_filter(context, options, is_used=bool(rows))
    shown = {key: row for key, row in rows.items() if wanted is None or wanted.matches(row)}
    return json_response(shown, pretty=options.pretty)


def _check_filter(context: ApiContext, options: Options, *, is_used: bool) -> Filter | None:
    """The filter. As in Consul, one that does not fit is refused only when there are rows that it does not fit.

    What is said then lacks what it begins with elsewhere, and what is said of bad syntax does not.
    """
    try:
        return row_filter(context, options, selectors.CHECK)
    except FilterSyntaxError:
        raise
    except FilterError as error:
        if not is_used:
            return None
        raise Refused(error.status, error.text.removeprefix(FILTER_REFUSED)) from None


async def register(context: ApiContext, request: Request) -> Response:
    """PUT /v1/agent/check/register: a check of this node, or of a service that was registered through it."""
    check = check_of(decode_body(request.body, CHECK_DEFINITION), context.node_name)
    refuse_unprobed(context, request, (check,))
    if check.service_id and local_service(context, check.service_id) is None:
        raise Refused(500, f'ServiceID "{check.service_id}" does not exist')
    await write_here(context, request, Register(context.node_name, checks=(check,)))
    return empty_response()


async def deregister(context: ApiContext, request: Request) -> Response:
    """PUT /v1/agent/check/deregister/ID: an unknown check is gone already."""
    if not request.rest:
        raise Refused(500, "CheckID missing")
    check = await find_check(context, request.rest)
    if check is not None:
        await write(context, request, Deregister(check.node, check_id=check.id))
    return empty_response()


async def put_pass(context: ApiContext, request: Request) -> Response:
    """PUT /v1/agent/check/pass/ID: a heartbeat."""
    return await _heartbeat(context, request, "passing", request.query.get("note"))


async def put_warn(context: ApiContext, request: Request) -> Response:
    """PUT /v1/agent/check/warn/ID: a heartbeat with a warning."""
    return await _heartbeat(context, request, "warning", request.query.get("note"))


async def put_fail(context: ApiContext, request: Request) -> Response:
    """PUT /v1/agent/check/fail/ID: the check turns critical at once."""
    return await _heartbeat(context, request, "critical", request.query.get("note"))


async def put_update(context: ApiContext, request: Request) -> Response:
    """PUT /v1/agent/check/update/ID: a heartbeat with status and output in the body."""
    body = decode_body(request.body, CHECK_UPDATE)
    status = str(body.get("Status", ""))
    if status not in STATUSES:
        raise Refused(400, f"Invalid check status: '{status}'")
    return await _heartbeat(context, request, status, str(body.get("Output", "")))


async def _heartbeat(context: ApiContext, request: Request, status: str, output: str) -> Response:
    """A change of status goes through the log; what changes nothing, or the output alone, to the leader's deadlines."""
    check = await find_check(context, request.rest)
    if check is None or check.probe is None or check.probe.kind != "ttl":
        raise no_ttl(request.rest)
    heartbeat = Heartbeat(check.node, check.id, status, _bounded(output))
    if check.status != status and await _changes(context, request, heartbeat):
        return empty_response()
    context.check_outputs.note(check, heartbeat.output)
    await context.registry.tell_leader(TTL_CALL, heartbeat.payload())
    return empty_response()


async def _changes(context: ApiContext, request: Request, beat: Heartbeat) -> bool:
    """Write the status; False if it was that already, which this node had not heard: then no deadline was put off."""
    written = await write(context, request, CheckUpdate(beat.node, beat.check_id, beat.status, beat.output))
    if written.value is False:  # it went, or moved to another node, while this was on its way
        raise no_ttl(beat.check_id)
    now = context.registry.local(CheckById(beat.node, beat.check_id)).value
    return now is None or now.modify_index >= written.index


def _bounded(output: str) -> str:
    """The output, cut to what is kept."""
    data = output.encode("utf-8", "surrogateescape")
    if len(data) <= OUTPUT_MAX:
        return output
    kept = data[:OUTPUT_MAX].decode("utf-8", "ignore")
    return f"{kept} ... (captured {OUTPUT_MAX} of {len(data)} bytes)"
