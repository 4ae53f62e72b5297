"""From a request to the handler of its route: 301, 404, 405 and OPTIONS come from the table alone.

The rules are those of Go's ServeMux, which clients of Consul meet today: a path is cleaned before anything else
and the client is sent to the clean one; `/a` goes to `/a/` where only `/a/` and what is below it exists.
"""

from collections.abc import Awaitable, Callable, Iterable
from html import escape
from posixpath import normpath

from raftreg.api.context import ApiContext
from raftreg.api.failures import FAILED_READ_HEADERS, failure_response, unexpected_response
from raftreg.api.http import Request, Response, encode_path, escapes_are_valid, is_printable
from raftreg.api.render import text_response
from raftreg.api.routes import BODY_SETTING, ROUTES, Route
from raftreg.errors import RaftregError

Answerer = Callable[[Request], Awaitable[Response]]
_VERSION_BYTES = len("/v1/")
UNKNOWN_BODY_MAX = 1024 * 1024  # bytes of a body that nobody is going to look at


class Router:
    """Finds the route of a path by a few dictionary lookups, however many routes there are."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[str, Route] = {}
        self._below: dict[str, Route] = {}
        self._ends: dict[
            str, list[tuple[str, Route]]
        ] = {}  # what follows an open end, by what stands before it
        for route in routes:
            prefix, brace, rest = route.path.partition("{")
            end = rest.partition("}")[2]
            if end:
                self._ends.setdefault(prefix, []).append((end, route))
            else:
                (self._below if brace else self._exact)[prefix] = route
        # Routes that are found by the first name of a path, such as /v1/kv/: nothing else begins below them.
        self._leaves = {
            prefix: route
            for prefix, route in self._below.items()
            if prefix.find("/", _VERSION_BYTES) == len(prefix) - 1
            and prefix not in self._ends
            and not any(other != prefix and other.startswith(prefix) for other in self._below)
        }
        self._depth_max = max((prefix.count("/") for prefix in self._below), default=0)

    def find(self, path: str) -> tuple[Route, str] | None:
        """The route of a clean path and what its open end stands for, or None."""
        route = self._exact.get(path)
        if route is not None:
            return route, ""
        end = path.find("/", _VERSION_BYTES) + 1
        route = self._leaves.get(path[:end])
        if route is not None:
            return route, path[end:]
        found = None
        end = path.find("/") + 1
        for _ in range(self._depth_max):
            prefix = path[:end]
            route = self._below.get(prefix)
            if route is not None:
                found = self._with_end(prefix, path[end:]) or (route, path[end:])
            end = path.find("/", end) + 1
            if end == 0:
                break
        return found

    def _with_end(self, prefix: str, rest: str) -> tuple[Route, str] | None:
        """The route whose fixed end is that of the path, or None; what is open may be nothing at all."""
        for end, route in self._ends.get(prefix, ()):
            if rest.endswith(end) or rest == end[1:]:
                return route, rest.removesuffix(end[1:]).removesuffix("/")
        return None

    def redirect(self, path: str) -> str | None:
        """The path to which a client that asked for `path` is sent, or None if it may stay."""
        clean = clean_path(path)
        if clean not in self._exact and clean + "/" in self._below:
            return clean + "/"
        return clean if clean != path else None


def clean_path(path: str) -> str:
    """The shortest path of the same meaning, without `//`, `.` and `..`; a trailing slash stays."""
    if "//" not in path and "/." not in path and path[:1] == "/":
        return path
    clean = normpath("/" + path.lstrip("/"))
    return clean + "/" if path.endswith("/") and clean != "/" else clean


def create_handler(context: ApiContext, routes: Iterable[Route] = ROUTES) -> Answerer:
    """The function that answers every request. It raises nothing but Fatal and cancellation."""
    router = Router(routes)

    async def answer(request: Request) -> Response:
        if not escapes_are_valid(request.raw_path):
            return text_response(400, "invalid URL escape")
        if not is_printable(request.path):
            return Response(400)
        target = router.redirect(request.path)
        if target is not None:
            return _moved(request, target)
        found = router.find(request.path)
        if found is None:
            return Response(404)
        route, request.rest = found
        handler = route.methods.get(request.method)
        if handler is None:
            return _without_handler(request, route)
        try:
            return await handler(context, request)
        except RaftregError as error:
            response = failure_response(error)
        except Exception as error:  # a bug in a handler fails this request only
            response = unexpected_response(request, error)
        if route.failed_reads_carry_index and response.status == 500 and request.method == "GET":
            response.headers.update(FAILED_READ_HEADERS)
        return response

    return answer


def body_limit(routes: Iterable[Route] = ROUTES) -> Callable[[str], tuple[int, str]]:
    """A function from a decoded path to the largest body that its route takes and the name of that limit."""
    router = Router(routes)

    def limit(path: str) -> tuple[int, str]:
        found = router.find(path)
        if found is None:
            return UNKNOWN_BODY_MAX, BODY_SETTING
        return found[0].body_max, found[0].body_setting

    return limit


def _without_handler(request: Request, route: Route) -> Response:
    """OPTIONS and methods that the route does not have."""
    allow = ",".join(("OPTIONS", *route.methods))
    if request.method == "OPTIONS":
        return Response(200, {"Allow": allow})
    response = text_response(405, f"method {request.method} not allowed")
    response.headers["Allow"] = allow if route.allows_options else ",".join(route.methods)
    return response


def _moved(request: Request, path: str) -> Response:
    """301 to `path`, keeping the query string; a body only for GET, as in Go."""
    location = encode_path(path)
    if request.query.text:
        location += "?" + request.query.text
    if request.method != "GET":
        return Response(301, {"Location": location})
    body = f'<a href="{escape(location)}">Moved Permanently</a>.\n'
    headers = {"Location": location, "Content-Type": "text/html; charset=utf-8"}
    return Response(301, headers, body.encode())
