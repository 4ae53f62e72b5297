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
    return path[4:].partition("/")[0] if path[:4] == "/v1/" else OTHER


# Clients choose paths and methods freely; what is counted under its own name must be a small set.
_FAMILIES = frozenset(_family_of(route.path) for route in ROUTES)


def measured(answer: Answerer, metrics: Metrics, clock: Clock) -> Answerer:
    """The same function, with its calls counted and, except for blocking queries, timed."""

    count = metrics.count_request

    async def answer_and_count(request: Request) -> Response:
        began = clock.now()
        response = await answer(request)
        query, method, family = request.query, request.method, _family_of(request.path)
        waits = query and ("index" in query or "hash" in query)
        count(
            method if method in _METHODS else OTHER,
            family if family in _FAMILIES else OTHER,
            response.status,
            None if waits else clock.now() - began,
        )
        return response

    return answer_and_count
