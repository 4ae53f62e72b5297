"""/v1/agent/health: how services of this node are, told by the status code, for load balancers and scripts."""

from raftreg.api.agent_records import local_checks, local_service, local_services
from raftreg.api.context import ApiContext
from raftreg.api.http import Request, Response
from raftreg.api.render import json_response
from raftreg.api.shapes import Json, agent_health_check_json, agent_service_json
from raftreg.errors import Refused
from raftreg.model import Check, Service

NODE_MAINTENANCE = "_node_maintenance"
SERVICE_MAINTENANCE = "_service_maintenance:"
_STATUS_CODES = {"passing": 200, "warning": 429, "critical": 503, "maintenance": 503}
_SEVERITY = ("passing", "warning", "critical", "maintenance")


async def get_by_id(context: ApiContext, request: Request) -> Response:
    """GET /v1/agent/health/service/id/ID: 200 passing, 429 warning, 503 critical or in maintenance, 404 unknown."""
    if not request.rest:
        raise Refused(500, "Bad request: Missing serviceID")
    service = local_service(context, request.rest)
    if service is None:
        if _wants_text(request):
            return json_response(f"ServiceId {request.rest} not found", status=404)
        return json_response({"AggregatedStatus": "critical", "Service": None, "Checks": None}, status=404)
    status, shown = _health(service, local_checks(context))
    if _wants_text(request):
        return _text(_STATUS_CODES[status], status)
    return json_response(shown, status=_STATUS_CODES[status], pretty="pretty" in request.query)


async def get_by_name(context: ApiContext, request: Request) -> Response:
    """GET /v1/agent/health/service/name/NAME: as by id, for the worst of the service's instances on this node."""
    if not request.rest:
        raise Refused(500, "Bad request: Missing service Name")
    checks = local_checks(context)
    found = [_health(one, checks) for one in local_services(context) if one.name == request.rest]
    if not found:
        if _wants_text(request):
            return _text(404, f"ServiceName {request.rest} Not Found")
        return json_response([], status=404)
    worst = max((status for status, _ in found), key=_SEVERITY.index)
    if _wants_text(request):
        return _text(_STATUS_CODES[worst], worst)
    rows = [shown for _, shown in found]
    return json_response(rows, status=_STATUS_CODES[worst], pretty="pretty" in request.query)


def aggregated_status(checks: list[Check]) -> str:
    """The worst of the checks' states; maintenance is worse than any."""
    worst = 0
    for check in checks:
        if check.id == NODE_MAINTENANCE or check.id.startswith(SERVICE_MAINTENANCE):
            return "maintenance"
        status = check.status if check.status in _SEVERITY else "critical"
        worst = max(worst, _SEVERITY.index(status))
    return _SEVERITY[worst]


def _health(service: Service, node_checks: list[Check]) -> tuple[str, Json]:
    checks = [check for check in node_checks if check.service_id in ("", service.id)]
    status = aggregated_status(checks)
    return status, {
        "AggregatedStatus": status,
        "Service": agent_service_json(service),
        "Checks": [agent_health_check_json(check) for check in checks],
    }


def _wants_text(request: Request) -> bool:
    if request.query.get("format") == "text":
        return True
    return request.headers.get("Accept", "").startswith("text/plain")


def _text(status: int, text: str) -> Response:
    return Response(status, {"Content-Type": "text/plain"}, text.encode("utf-8", "surrogateescape"))
