"""Counting requests around the handlers, for Prometheus."""

from raftreg.api.dispatch import Answerer
from raftreg.api.http import Request, Response
from raftreg.api.routes import ROUTES
from raftreg.clock import Clock
from raftreg.metrics import Metrics

OTHER = "other"
_METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS"})


def _family_of(path: str) -> str:
    """kv for /v1/kv/..., OTHER for what is not below /v1."""
    if path.startswith("/v1/"):
        return path[4:].partition("/")[0]
    return OTHER


# Clients choose paths and methods freely; what is counted under its own name must be a small set.
_FAMILIES = frozenset(_family_of(route.path) for route in ROUTES)


def measured(answer: Answerer, metrics: Metrics, clock: Clock) -> Answerer:
    """The same function, with its calls counted and, except for blocking queries, timed."""

    async def answer_and_count(request: Request) -> Response:
        began = clock.now()
        response = await answer(request)
        waits = request.query and ("index" in request.query or "hash" in request.query)
        family = _family_of(request.path)
        metrics.count_request(
            request.method if request.method in _METHODS else OTHER,
            family if family in _FAMILIES else OTHER,
            response.status,
            None if waits else clock.now() - began,
        )
        return response

    return answer_and_count
