"""What follows from the table of routes alone, and what becomes of errors."""

import json
import logging

import pytest

from raftreg.api.context import ApiContext
from raftreg.api.dispatch import Router, body_limit, clean_path, create_handler
from raftreg.api.http import Request, Response
from raftreg.api.routes import ROUTES, Route
from raftreg.errors import Fatal, NoLeader, NotLeader, OutcomeUnknown, Overloaded, Refused, Removed
from tests.api.local_api import LocalApi, run


def _answer(text: str) -> Response:
    return Response(200, {}, text.encode())


async def _rest(context: ApiContext, request: Request) -> Response:
    return _answer(request.rest)


async def _exact(context: ApiContext, request: Request) -> Response:
    return _answer("exact")


TABLE = (
    Route("/v1/thing", {"GET": _exact}),
    Route("/v1/thing/{id...}", {"GET": _rest, "PUT": _rest}),
    Route("/v1/thing/special", {"PUT": _exact}),
    Route("/v1/thing/deep/{id...}", {"DELETE": _exact}),
    Route("/v1/other/{id...}", {"GET": _rest}),
)


@pytest.mark.parametrize(
    ("path", "route", "rest"),
    [
        ("/v1/thing", "/v1/thing", ""),
        ("/v1/thing/", "/v1/thing/{id...}", ""),
        ("/v1/thing/a/b", "/v1/thing/{id...}", "a/b"),
        ("/v1/thing/special", "/v1/thing/special", ""),
        ("/v1/thing/special/x", "/v1/thing/{id...}", "special/x"),
        ("/v1/thing/deep", "/v1/thing/{id...}", "deep"),
        ("/v1/thing/deep/x", "/v1/thing/deep/{id...}", "x"),
    ],
)
def test_longest_path_wins(path: str, route: str, rest: str) -> None:
    """An exact path goes before an open one, the longer open one before the shorter."""
    found = Router(TABLE).find(path)
    assert found is not None
    assert (found[0].path, found[1]) == (route, rest)


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/thing", "/v1/things", "", "*", "/v1" * 50])
def test_unknown_paths_are_not_found(path: str) -> None:
    """What no route covers has none."""
    assert Router(TABLE).find(path) is None


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("/a/b", "/a/b"),
        ("/a/", "/a/"),
        ("//a//b", "/a/b"),
        ("/a/./b", "/a/b"),
        ("/a/../b/", "/b/"),
        ("/../../a", "/a"),
        ("/.hidden/..x", "/.hidden/..x"),
        ("", "/"),
        ("//", "/"),
    ],
)
def test_clean_path(path: str, clean: str) -> None:
    """Empty, `.` and `..` segments go; names that merely begin with dots stay."""
    assert clean == clean_path(path)


@pytest.mark.parametrize(
    ("method", "target", "location", "body"),
    [
        ("GET", "/v1/kv/x/../y?raw", "/v1/kv/y?raw", '<a href="/v1/kv/y?raw">Moved Permanently</a>.\n'),
        ("GET", "/v1/kv", "/v1/kv/", '<a href="/v1/kv/">Moved Permanently</a>.\n'),
        ("PUT", "/v1//kv/a%20b", "/v1/kv/a%20b", ""),
        ("GET", "/v1/kv//%22<", "/v1/kv/%22%3C", '<a href="/v1/kv/%22%3C">Moved Permanently</a>.\n'),
    ],
)
def test_unclean_paths_are_moved(method: str, target: str, location: str, body: str) -> None:
    """A client that asks for an unclean path is sent to the clean one, and nothing is stored."""

    async def scenario(api: LocalApi) -> None:
        response = await api.call(method, target, b"x")
        assert (response.status, response.headers["Location"]) == (301, location)
        assert body == response.body.decode()
        assert (await api.call("GET", "/v1/kv/?keys")).status == 404

    run(scenario)


def test_every_route_answers_options_and_refuses_other_methods() -> None:
    """OPTIONS lists the methods of the table; any other method is 405 with the same list; HEAD is not GET."""

    async def scenario(api: LocalApi) -> None:
        for route in ROUTES:
            before, _, rest = route.path.partition("{")
            path = (before + rest.partition("}")[2]).replace("//", "/")
            allow = ",".join(["OPTIONS", *route.methods])
            response = await api.call("OPTIONS", path)
            assert (response.status, response.headers, response.body) == (200, {"Allow": allow}, b"")
            if not route.allows_options:
                allow = allow.removeprefix("OPTIONS,")
            for method in ("HEAD", "PATCH"):
                response = await api.call(method, path)
                assert (response.status, response.headers["Allow"]) == (405, allow)
                assert f"method {method} not allowed" == response.body.decode()

    run(scenario)


def test_unknown_path_is_404_without_body() -> None:
    """What is not in the table is not there."""

    async def scenario(api: LocalApi) -> None:
        for path in ("/v1/nope", "/nope", "/v1/status/leader/", "/v1/kvx/a", "/v2/kv/a"):
            response = await api.call("GET", path)
            assert (response.status, response.body) == (404, b"")

    run(scenario)


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (Refused(418, "short and stout"), 418, "short and stout"),
        (NoLeader("x"), 500, "No cluster leader"),
        (NotLeader("x"), 500, "No cluster leader"),
        (Removed("this node was"), 500, "No cluster leader: this node was"),
        (Overloaded("too much", retry_after_s=2.2), 503, "too much"),
        (OutcomeUnknown("who knows"), 500, "rpc error: outcome unknown: who knows"),
        (ZeroDivisionError("oops"), 500, "internal error: ZeroDivisionError"),
    ],
)
def test_errors_have_their_statuses(
    error: Exception, status: int, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each error of the layers below has its status and text; only a bug is logged, once, with its traceback."""

    async def fail(context: ApiContext, request: Request) -> Response:
        raise error

    async def scenario(api: LocalApi) -> None:
        answer = create_handler(api.context, [Route("/f", {"GET": fail}, failed_reads_carry_index=True)])
        response = await answer(Request("GET", "/f", "/f"))
        assert (response.status, response.body.decode()) == (status, text)
        assert ("X-Consul-KnownLeader" in response.headers) == (status == 500)
        assert response.headers.get("Retry-After") == ("2" if status == 503 else None)

    with caplog.at_level(logging.INFO):
        run(scenario)
    tracebacks = [record for record in caplog.records if record.exc_info]
    assert len(tracebacks) == isinstance(error, ZeroDivisionError)


def test_fatal_is_not_caught() -> None:
    """What must stop the process goes through."""

    async def fail(context: ApiContext, request: Request) -> Response:
        raise Fatal("stop")

    async def scenario(api: LocalApi) -> None:
        answer = create_handler(api.context, [Route("/f", {"GET": fail})])
        with pytest.raises(Fatal):
            await answer(Request("GET", "/f", "/f"))

    run(scenario)


def test_body_limits_come_from_the_table() -> None:
    """Values are limited as Consul limits them; unknown paths take little."""
    limit = body_limit()
    assert limit("/v1/kv/a")[0] == 512 * 1024
    assert limit("/v1/kv/a")[1].endswith("#kv_max_value_size")
    assert limit("/nope")[0] > 0


def test_status_endpoints() -> None:
    """The leader is among the peers; the node is ready once it is registered, until it loses its leader."""

    async def scenario(api: LocalApi) -> None:
        assert await api.get("/v1/status/leader") == "127.0.0.1:8300"
        assert await api.get("/v1/status/peers?pretty") == ["127.0.0.1:8300"]
        assert json.loads((await api.call("GET", "/v1/status/peers?pretty")).body.decode()) == [
            "127.0.0.1:8300"
        ]
        assert b"n1 is not in the catalog yet" in (await api.call("GET", "/readyz")).body
        await api.put("/v1/catalog/register", b'{"Node": "n1", "Address": "127.0.0.1"}')
        assert (await api.call("GET", "/readyz")).status == 200
        assert (await api.call("GET", "/livez")).status == 200
        assert (await api.call("GET", "/")).status == 200
        await api.registry.consensus.stop()
        assert await api.get("/v1/status/leader") == ""
        assert (await api.call("GET", "/readyz")).status == 503
        assert (await api.call("GET", "/livez")).status == 200
        assert (await api.call("GET", "/v1/kv/a")).body == b"No cluster leader"
        assert (await api.call("PUT", "/v1/kv/a")).body == b"No cluster leader"
        stale = await api.call("GET", "/v1/kv/a?stale")
        assert (stale.status, stale.headers["X-Consul-KnownLeader"]) == (404, "false")

    run(scenario)


@pytest.mark.parametrize("path", ["/v1/kv/%zz", "/v1/kv/a%", "/v1/kv/a%2"])
def test_broken_escapes_are_refused(path: str) -> None:
    """A path with a percent sign that begins nothing is 400, and nothing is stored under another key than was meant."""

    async def scenario(api: LocalApi) -> None:
        response = await api.call("PUT", path, b"x")
        assert (400, b"invalid URL escape") == (response.status, response.body)
        assert (await api.call("GET", "/v1/kv/?keys")).status == 404

    run(scenario)
