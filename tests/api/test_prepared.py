"""/v1/query: prepared queries as clients of Consul know them."""

from typing import Any

import pytest

from tests.api.in_process import Node, run

UNKNOWN = "11111111-2222-3333-4444-555555555555"
WEB = {"Service": "web"}


async def _create(node: Node, body: object) -> str:
    reply = await node.call("POST", "/v1/query", body)
    assert reply.status == 200, reply.text
    answer = reply.json
    assert isinstance(answer, dict)
    return str(answer["ID"])


async def _found(node: Node, target: str) -> list[str]:
    """The ids of the instances that an execution finds."""
    answer = await node.get(target)
    assert answer.status == 200, answer.text
    body = answer.json
    assert isinstance(body, dict)
    return [instance["Service"]["ID"] for instance in body["Nodes"]]


async def _register_three(node: Node) -> None:
    """Two instances on a node outside and one on the own node, one of them critical, one warning."""
    for number, status, tags in ((1, "warning", ["A", "b"]), (2, "critical", ["b"])):
        await node.put(
            "/v1/catalog/register",
            {
                "Node": f"e{number}",
                "Address": f"10.0.0.{number}",
                "NodeMeta": {"rack": str(number)},
                "Service": {"ID": f"i{number}", "Service": "web", "Tags": tags, "Meta": {"v": str(number)}},
                "Check": {"CheckID": f"c{number}", "Status": status, "ServiceID": f"i{number}"},
            },
        )
    await node.put("/v1/agent/service/register", {"ID": "i3", "Name": "web"})


def test_a_query_is_stored_shown_replaced_and_deleted() -> None:
    """Every field is shown, null where none was given; CreateIndex stays; what is gone is 404."""

    async def scenario(node: Node) -> None:
        query_id = await _create(node, {"Name": "find", "Service": WEB, "DNS": {"TTL": "7s"}})
        (shown,) = await node.rows(f"/v1/query/{query_id.upper()}")
        assert {
            "ID": query_id,
            "Name": "find",
            "Session": "",
            "Token": "",
            "Template": {"Type": "", "Regexp": "", "RemoveEmptyTags": False},
            "Service": {
                "Service": "web",
                "Failover": {"NearestN": 0, "Datacenters": None},
                "OnlyPassing": False,
                "IgnoreCheckIDs": None,
                "Near": "",
                "Tags": None,
                "NodeMeta": None,
                "ServiceMeta": None,
                "Connect": False,
            },
            "DNS": {"TTL": "7s"},
        } == {key: value for key, value in shown.items() if not key.endswith("Index")}
        changed = {"ID": "whatever", "name": "find2", "service": {"service": "db", "tags": []}}
        assert "" == (await node.put(f"/v1/query/{query_id}", changed)).text
        (replaced,) = await node.rows("/v1/query")
        assert ("find2", shown["CreateIndex"]) == (replaced["Name"], replaced["CreateIndex"])
        service = replaced["Service"]
        assert isinstance(service, dict)
        assert ("db", []) == (service["Service"], service["Tags"])
        assert "" == (await node.call("DELETE", f"/v1/query/{query_id}")).text
        gone = await node.get(f"/v1/query/{query_id}?index=1")
        assert (404, "Query not found") == (gone.status, gone.text)
        assert [] == await node.rows("/v1/query")

    run(scenario)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"ID": UNKNOWN, "Name": "x", "Service": WEB}, "ID must be empty when creating a new prepared query"),
        ({"Name": "x"}, "Invalid prepared query: Must provide a Service name to query"),
        ({"Service": WEB}, "Invalid prepared query: Must be bound to a session"),
        ({"Name": "taken", "Service": WEB}, "name 'taken' aliases an existing query name"),
        (
            {"Name": "x", "Service": {"Service": "x", "Failover": {"NearestN": -1}}},
            "Invalid prepared query: Bad NearestN '-1', must be >= 0",
        ),
        (
            {"Name": "x", "Service": {"Service": "x", "NodeMeta": {"a b": "v"}}},
            "Invalid prepared query: Couldn't load metadata pair ('a b', 'v'): Key contains invalid characters",
        ),
        (
            {"Name": "x", "Service": WEB, "DNS": {"TTL": "10"}},
            "Invalid prepared query: Bad DNS TTL '10': time: missing unit in duration \"10\"",
        ),
        (
            {"Name": "x", "Service": WEB, "DNS": {"TTL": "-5s"}},
            "Invalid prepared query: DNS TTL '-5000000000', must be >=0",
        ),
        (
            {"Name": "x", "Session": "short", "Service": WEB},
            "invalid session: index error: UUID must be 36 characters",
        ),
        ({"Name": "x", "Session": UNKNOWN, "Service": WEB}, f'invalid session "{UNKNOWN}"'),
        (
            {"Name": "x", "Template": {"Type": "zz"}, "Service": WEB},
            "failed compiling template: Bad Template.Type 'zz'",
        ),
        (
            {"Name": "x", "Template": {"Type": "name_prefix_match", "Regexp": "("}, "Service": WEB},
            "failed compiling template: Bad Regexp: error parsing regexp: missing closing ): `(`",
        ),
        (
            {"Name": "x", "Template": {"Type": "name_prefix_match"}, "Service": {"Service": "${nope}"}},
            "failed compiling template: Bad evaluation for '${nope}' in Service.Service: "
            "1:3: unknown variable accessed: nope",
        ),
        (
            {"Name": "x", "Template": {"Type": "name_prefix_match"}, "Service": {"Service": "${bad"}},
            "failed compiling template: Bad format '${bad' in Service.Service: parse error: syntax error",
        ),
    ],
)
def test_a_query_with_a_mistake_is_refused(body: object, said: str) -> None:
    """500 with the text that clients know, and nothing is stored."""

    async def scenario(node: Node) -> None:
        await _create(node, {"Name": "Taken", "Service": WEB})
        reply = await node.call("POST", "/v1/query", body)
        assert (500, said) == (reply.status, reply.text)
        assert 1 == len(await node.rows("/v1/query"))

    run(scenario)


def test_ids_are_looked_at_first() -> None:
    """An id that is none, and one of nothing, are refused before the body is."""

    async def scenario(node: Node) -> None:
        malformed = "failed prepared query lookup: index error: UUID must be 36 characters"
        absent = f"Cannot modify non-existent prepared query: '{UNKNOWN}'"
        asked = [
            await node.get("/v1/query/nope"),
            await node.put("/v1/query/nope", {}),
            await node.call("DELETE", "/v1/query/nope"),
            await node.put(f"/v1/query/{UNKNOWN}", {}),
            await node.call("DELETE", f"/v1/query/{UNKNOWN}"),
        ]
        prefixed = f"Prepared Query lookup failed: {malformed}"
        assert [malformed, prefixed, prefixed, absent, absent] == [reply.text for reply in asked]
        assert {500} == {reply.status for reply in asked}
        for action in ("execute", "explain"):
            reply = await node.get(f"/v1/query/none/{action}")
            assert (404, "Query not found") == (reply.status, reply.text)

    run(scenario)


@pytest.mark.parametrize(
    ("service", "found"),
    [
        ({}, ["i1", "i3"]),
        ({"OnlyPassing": True}, ["i3"]),
        ({"IgnoreCheckIDs": ["c2"]}, ["i1", "i2", "i3"]),
        ({"IgnoreCheckIDs": ["c1"], "OnlyPassing": True}, ["i1", "i3"]),
        ({"Tags": ["a", "B"]}, ["i1"]),
        ({"Tags": ["!A"]}, ["i3"]),
        ({"Tags": ["a", "!b"]}, []),
        ({"NodeMeta": {"rack": "1"}}, ["i1"]),
        ({"ServiceMeta": {"v": "2"}}, []),
        ({"Failover": {"NearestN": 2, "Datacenters": ["dc9"]}, "Tags": ["none"]}, []),
        ({"Connect": True}, []),
    ],
)
def test_execute_finds_what_the_query_says(service: dict[str, object], found: list[str]) -> None:
    """Critical instances never, warning ones unless OnlyPassing, and only those with the tags and metadata."""

    async def scenario(node: Node) -> None:
        await _register_three(node)
        query_id = await _create(node, {"Name": "find", "Service": WEB | service})
        assert found == sorted(await _found(node, f"/v1/query/{query_id}/execute"))

    run(scenario)


def test_execute_takes_limit_and_near() -> None:
    """Near puts the instances of a node first, the order of the others is chance; a limit cuts what follows."""

    async def scenario(node: Node) -> None:
        await _register_three(node)
        await _create(node, {"Name": "find", "Service": WEB})
        for _ in range(5):
            assert ["i3", "i1"] == await _found(node, "/v1/query/FIND/execute?near=_agent")
            assert ["i1"] == await _found(node, "/v1/query/find/execute?near=e1&limit=1")
        firsts = {(await _found(node, "/v1/query/find/execute"))[0] for _ in range(50)}
        assert {"i1", "i3"} == firsts
        assert 2 == len(await _found(node, "/v1/query/find/execute?limit=0"))
        reply = await node.get("/v1/query/find/execute?limit=x")
        assert (500, 'Bad limit: strconv.Atoi: parsing "x": invalid syntax') == (reply.status, reply.text)

    run(scenario)


def test_execute_tells_what_it_asked() -> None:
    """Beside the instances (as in health/service, but null for no tags) the body has what headers tell elsewhere."""

    async def scenario(node: Node) -> None:
        await _register_three(node)
        await _create(node, {"Name": "find", "Service": WEB | {"OnlyPassing": True}, "DNS": {"TTL": "10s"}})
        reply = await node.get("/v1/query/find/execute?stale")
        body = reply.json
        assert isinstance(body, dict)
        instances: Any = await node.rows("/v1/health/service/web?passing")
        instances[0]["Service"]["Tags"] = instances[0]["Checks"][0]["ServiceTags"] = None
        assert instances == body.pop("Nodes")
        assert {
            "Service": "web",
            "DNS": {"TTL": "10s"},
            "Datacenter": "dc1",
            "Failovers": 0,
            "Index": 0,
            "LastContact": 0,
            "KnownLeader": True,
            "ConsistencyLevel": "stale",
        } == body
        assert "stale" == reply.headers["X-Consul-Effective-Consistency"]
        cached = [await node.get("/v1/query/find/execute?cached") for _ in range(2)]
        assert ["MISS", "HIT"] == [reply.headers["X-Cache"] for reply in cached]

    run(scenario)


def test_a_template_is_filled_in_with_the_name_it_was_asked_by() -> None:
    """explain shows the query that execute would carry out; a template's own id does not do."""

    async def scenario(node: Node) -> None:
        template = {"Type": "name_prefix_match", "Regexp": "^geo-(.*?)-([^-]+?)$", "RemoveEmptyTags": True}
        service = {
            "Service": "${match(1)}",
            "Tags": ["${match(2)}", "${match(9)}", "$${x}"],
            "Near": "${ name.prefix }",
            "NodeMeta": {"k": "${name.full}/${name.suffix}"},
        }
        query_id = await _create(node, {"Name": "geo-", "Template": template, "Service": service})
        reply = await node.get("/v1/query/geo-web-de/explain")
        body = reply.json
        assert isinstance(body, dict)
        filled = body["Query"]["Service"]
        assert ("web", ["de", "${x}"], "geo-") == (filled["Service"], filled["Tags"], filled["Near"])
        assert {"k": "geo-web-de/web-de"} == filled["NodeMeta"]
        by_id = await node.get(f"/v1/query/{query_id}/explain")
        said = "prepared query templates can only be resolved up by name, not by ID"
        assert (500, said) == (by_id.status, by_id.text)
        reply = await node.get("/v1/query/geo-web-de/execute")
        assert '"Service":"web"' in reply.text

    run(scenario)


def test_methods_of_the_paths_below_a_query() -> None:
    """execute and explain are paths of their own; a 405 names what there is."""

    async def scenario(node: Node) -> None:
        allowed = [
            (await node.call(method, target)).headers["Allow"]
            for method, target in (
                ("PUT", "/v1/query"),
                ("POST", f"/v1/query/{UNKNOWN}"),
                ("PUT", "/v1/query/find/execute"),
                ("OPTIONS", f"/v1/query/{UNKNOWN}"),
                ("OPTIONS", "/v1/query/find/explain"),
            )
        ]
        assert [
            "OPTIONS,GET,POST",
            "GET,PUT,DELETE",
            "GET",
            "OPTIONS,GET,PUT,DELETE",
            "OPTIONS,GET",
        ] == allowed

    run(scenario)
