"""Every error of the layers below as the response that clients know. The one place where errors get statuses."""

import logging

from raftreg.api.http import Request, Response
from raftreg.api.render import text_response
from raftreg.errors import NoLeader, NotLeader, OutcomeUnknown, Overloaded, RaftregError, Refused, Removed

log = logging.getLogger(__name__)

NO_LEADER = "No cluster leader"  # Consul's words: its clients try again elsewhere
FAILED_READ_HEADERS = {
    "X-Consul-Index": "1",
    "X-Consul-KnownLeader": "false",
    "X-Consul-LastContact": "0",
}


def failure_response(error: RaftregError) -> Response:
    """The response to an expected error."""
    match error:
        case Refused():
            return text_response(error.status, error.text)
        case Removed():
            return text_response(500, f"{NO_LEADER}: {error}")
        case NoLeader() | NotLeader():
            return text_response(500, NO_LEADER)
        case Overloaded():
            response = text_response(503, str(error) or "too many requests in flight")
            response.headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
            return response
        case OutcomeUnknown():
            return text_response(500, f"rpc error: outcome unknown: {error}")
        case _:
            return text_response(500, str(error))


def unexpected_response(request: Request, error: Exception) -> Response:
    """The response to a bug, which is logged with its traceback."""
    log.error("%s %s failed unexpectedly", request.method, request.raw_path, exc_info=error)
    return text_response(500, f"internal error: {type(error).__name__}")
