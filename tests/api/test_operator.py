"""/v1/operator, /v1/acl and /v1/coordinate."""

import pytest

from raftreg.api import acl
from raftreg.duties.server_health import HEALTH_CALL, ServerHealthDuty
from tests.api.in_process import NODE, NODE_ID, Node, run

DEFAULT = {
    "CleanupDeadServers": False,
    "LastContactThreshold": "200ms",
    "MaxTrailingLogs": 250,
    "MinQuorum": 0,
    "ServerStabilizationTime": "10s",
    "RedundancyZoneTag": "",
    "DisableUpgradeMigration": False,
    "UpgradeVersionTag": "",
    "CreateIndex": 1,
    "ModifyIndex": 1,
}
AUTOPILOT = "/v1/operator/autopilot/configuration"


def test_raft_configuration_names_the_members() -> None:
    """Each member has the id that the agents show, its address, and whether it leads."""

    async def scenario(node: Node) -> None:
        reply = await node.get("/v1/operator/raft/configuration")
        expected = {
            "ID": NODE_ID,
            "Node": NODE,
            "Address": "127.0.0.1:8300",
            "Leader": True,
            "ProtocolVersion": "3",
            "Voter": True,
        }
        assert {"Servers": [expected], "Index": 0} == reply.json

    run(scenario)


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        (
            "",
            400,
            "Bad request: Must specify either ?id with the server's ID or ?address with IP:port of peer to remove",
        ),
        ("?id=a&address=b", 400, "Bad request: Must specify only one of ?id or ?address"),
        ("?id=a", 500, 'id "a" was not found in the Raft configuration'),
        ("?id=", 500, 'id "" was not found in the Raft configuration'),
        ("?address=1.2.3.4:1", 500, 'address "1.2.3.4:1" was not found in the Raft configuration'),
        ("?address=127.0.0.1:8300&dc=x", 500, "No path to datacenter"),
        (f"?id={NODE_ID}", 409, "a node in memory is its whole cluster"),
        ("?address=127.0.0.1:8300", 409, "a node in memory is its whole cluster"),
    ],
)
def test_the_only_peer_is_not_removed(query: str, status: int, text: str) -> None:
    """What is wrong with the request is told first; then why the member has to stay."""

    async def scenario(node: Node) -> None:
        reply = await node.call("DELETE", f"/v1/operator/raft/peer{query}")
        assert status == reply.status
        assert reply.text.startswith(text)

    run(scenario)


def test_autopilot_configuration_is_replaced_as_a_whole() -> None:
    """It has defaults; what a PUT does not name becomes empty; `cas` decides."""

    async def scenario(node: Node) -> None:
        assert DEFAULT == (await node.get(AUTOPILOT)).json
        assert "false" == (await node.put(f"{AUTOPILOT}?cas=9", {})).text
        body = {"lastcontactthreshold": "100ms", "MaxTrailingLogs": 10, "UpgradeVersionTag": "v"}
        assert "true" == (await node.put(f"{AUTOPILOT}?cas=1", body)).text
        shown = (await node.get(AUTOPILOT)).json
        assert isinstance(shown, dict)
        changed = {"LastContactThreshold": "100ms", "MaxTrailingLogs": 10, "UpgradeVersionTag": "v"}
        empty = {"CleanupDeadServers": False, "ServerStabilizationTime": "0s"}
        assert DEFAULT | changed | empty | {"ModifyIndex": shown["ModifyIndex"]} == shown
        assert "true" == (await node.put(AUTOPILOT, {"LastContactThreshold": 5})).text
        shown = (await node.get(AUTOPILOT)).json
        assert isinstance(shown, dict)
        assert "5ns" == shown["LastContactThreshold"]

    run(scenario)


@pytest.mark.parametrize(
    ("query", "body", "status", "text"),
    [
        ("", b"", 400, "EOF"),
        ("", b'{"Bogus":true}', 400, 'json: unknown field "Bogus"'),
        ("", b'{"LastContactThreshold":"abc"}', 400, 'time: invalid duration "abc"'),
        (
            "",
            b'{"MaxTrailingLogs":-1}',
            400,
            "json: cannot unmarshal number -1 into Go struct field "
            "AutopilotConfiguration.MaxTrailingLogs of type uint64",
        ),
    ],
)
def test_autopilot_configuration_that_is_wrong(query: str, body: bytes, status: int, text: str) -> None:
    """The texts are those of Consul."""

    async def scenario(node: Node) -> None:
        reply = await node.put(AUTOPILOT + query, body)
        assert (status, f"Bad request: Error parsing autopilot config: {text}") == (reply.status, reply.text)
        wrong_cas = await node.put(f"{AUTOPILOT}?cas=abc", {})
        problem = 'strconv.ParseUint: parsing "abc": invalid syntax'
        assert (400, f"Bad request: Error parsing cas value: {problem}") == (wrong_cas.status, wrong_cas.text)

    run(scenario)


def test_health_of_a_single_server() -> None:
    """One server that leads is healthy, and no other may fail."""

    async def scenario(node: Node) -> None:
        duty = ServerHealthDuty(node.registry)
        node.registry.on_leader_call(HEALTH_CALL, duty.on_call)
        await duty.step()
        reply = await node.get("/v1/operator/autopilot/health")
        shown = reply.json
        assert isinstance(shown, dict)
        assert (200, True, 0) == (reply.status, shown["Healthy"], shown["FailureTolerance"])
        (server,) = shown["Servers"]
        assert (NODE_ID, NODE, "alive", True, "0s") == tuple(
            server[name] for name in ("ID", "Name", "SerfStatus", "Leader", "LastContact")
        )
        assert 500 == (await node.get("/v1/operator/autopilot/health?dc=x")).status

    run(scenario)


def test_there_is_no_keyring() -> None:
    """Gossip does not exist, so it is not encrypted."""

    async def scenario(node: Node) -> None:
        for method in ("GET", "POST", "PUT", "DELETE"):
            reply = await node.call(method, "/v1/operator/keyring")
            assert 500 == reply.status
            assert "Keyring is empty (encryption not enabled)" in reply.text

    run(scenario)


def test_acl_endpoints_say_that_there_are_none() -> None:
    """Each path has its methods; all of them answer 401, other methods 405."""

    async def scenario(node: Node) -> None:
        for path, methods in acl.PATHS.items():
            target = "/v1/acl/" + path.partition("{")[0]
            for method in ("GET", "PUT", "POST", "DELETE"):
                reply = await node.call(method, target)
                if method in methods:
                    assert (401, "ACL support disabled") == (reply.status, reply.text), (method, target)
                else:
                    assert 405 == reply.status, (method, target)
        assert 404 == (await node.get("/v1/acl/nonsense")).status

    run(scenario)


VECTOR = [0.5, 0, 0, 0, 0, 0, 0, 0]


def coordinate(node: str, first: float) -> dict[str, object]:
    """An update of a node's coordinate."""
    return {
        "Node": node,
        "Coord": {"Vec": [first, *VECTOR[1:]], "Error": 1.5, "Adjustment": 0, "Height": 1e-5},
    }


def test_coordinates_are_told_and_asked_for() -> None:
    """A node tells where it is; the cluster's own nodes are at the origin until they do."""

    async def scenario(node: Node) -> None:
        (own,) = await node.rows("/v1/coordinate/nodes")
        assert NODE == own["Node"]
        await node.put("/v1/catalog/register", {"Node": "far", "Address": "10.0.0.9"})
        assert (200, "") == (
            (reply := await node.put("/v1/coordinate/update", coordinate("far", 0.5))).status,
            reply.text,
        )
        assert 200 == (await node.put("/v1/coordinate/update", coordinate("unknown", 0.5))).status
        shown = await node.rows("/v1/coordinate/node/FAR")
        assert [{**coordinate("FAR", 0.5), "Segment": ""}] == shown
        assert ["far", NODE] == [row["Node"] for row in await node.rows("/v1/coordinate/nodes")]
        assert [] == await node.rows("/v1/coordinate/nodes?segment=s")
        assert (404, "") == ((gone := await node.get("/v1/coordinate/node/none")).status, gone.text)
        (here,) = await node.rows("/v1/coordinate/datacenters")
        assert "dc1" == here["Datacenter"]

    run(scenario)


@pytest.mark.parametrize("coord", [None, {}, {"Vec": [0, 0]}, {"Vec": [1e400] * 8}])
def test_wrong_coordinates_are_refused(coord: object) -> None:
    """A vector that does not fit, or none, changes nothing."""

    async def scenario(node: Node) -> None:
        reply = await node.put("/v1/coordinate/update", {"Node": NODE, "Coord": coord})
        assert reply.status in (400, 500)
        assert 400 == (await node.put("/v1/coordinate/update", b"nope")).status
        assert 400 == (await node.put("/v1/coordinate/update", {"Bogus": 1})).status

    run(scenario)


def test_near_sorts_by_distance() -> None:
    """The nearest come first on every list; nodes that nothing is known of come last, by name."""

    async def scenario(node: Node) -> None:
        for name, first in (("a", 0.9), ("b", 0.1), ("c", None)):
            body = {"Node": name, "Address": "10.0.0.1", "Service": {"Service": "web"}}
            check = {"CheckID": f"c-{name}", "Name": "c", "Status": "passing", "ServiceID": "web"}
            await node.put("/v1/catalog/register", body | {"Check": check})
            if first is not None:
                await node.put("/v1/coordinate/update", coordinate(name, first))
        for target in ("/v1/catalog/service/web", "/v1/health/checks/web", "/v1/health/state/passing"):
            rows = await node.rows(f"{target}?near=_agent")
            assert ["b", "a", "c"] == [row["Node"] for row in rows if row["Node"] != NODE], target
            rows = await node.rows(f"{target}?near=a")
            assert ["a", "b", "c"] == [row["Node"] for row in rows if row["Node"] != NODE], target
        nodes = await node.rows(f"/v1/catalog/nodes?near={NODE}")
        assert [NODE, "b", "a", "c"] == [row["Node"] for row in nodes]
        health = await node.rows("/v1/health/service/web?near=b")
        assert ["b", "a", "c"] == [row["Node"]["Node"] for row in health]  # type: ignore[index]
        unknown = await node.rows("/v1/health/service/web?near=c")
        assert ["a", "b", "c"] == [row["Node"]["Node"] for row in unknown]  # type: ignore[index]

    run(scenario)


@pytest.mark.parametrize(
    ("expression", "status", "text"),
    [
        ("Node==", 500, "Failed to create boolean expression evaluator: "),
        ("Bogus==1", 500, 'Selector "Bogus" is not valid'),
        ("ServiceTags==1", 500, 'Invalid match operator "Equal" for selector "ServiceTags"'),
    ],
)
def test_filter_of_local_checks(expression: str, status: int, text: str) -> None:
    """What does not parse is always refused, what does not fit only when there is a check."""

    async def scenario(node: Node) -> None:
        reply = await node.get(f"/v1/agent/checks?filter={expression}")
        assert (500 if "evaluator" in text else 200) == reply.status
        await node.put("/v1/agent/check/register", {"Name": "c", "TTL": "10s"})
        reply = await node.get(f"/v1/agent/checks?filter={expression}")
        assert status == reply.status
        assert reply.text.startswith(text)

    run(scenario)


def test_unknown_nodes_are_not_made_to_leave() -> None:
    """A name that nobody has is told; a member stays."""

    async def scenario(node: Node) -> None:
        reply = await node.put("/v1/agent/force-leave/zz")
        assert (500, "agent: No node found with name 'zz'") == (reply.status, reply.text)
        assert 409 == (await node.put(f"/v1/agent/force-leave/{NODE}")).status

    run(scenario)
