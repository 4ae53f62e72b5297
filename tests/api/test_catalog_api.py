"""/v1/catalog and /v1/health over a node in memory."""

import pytest

from tests.api.in_process import Node, run

WEB = {"Service": "web", "ID": "web1", "Port": 80, "Tags": ["Blue", "v1"]}


def test_check_names_its_service_and_hides_it_from_passing() -> None:
    """A critical check of a node hides every instance on it from `passing`, also for the tags that match."""

    async def scenario(node: Node) -> None:
        body = {
            "Node": "a",
            "Address": "10.0.0.1",
            "Service": WEB,
            "Check": {"Name": "c", "ServiceID": "web1"},
        }
        assert 200 == (await node.put("/v1/catalog/register", body)).status
        (row,) = await node.rows("/v1/health/checks/WEB")
        shown = {key: row[key] for key in ("CheckID", "Status", "ServiceName", "ServiceTags")}
        assert {
            "CheckID": "c",
            "Status": "critical",
            "ServiceName": "web",
            "ServiceTags": ["Blue", "v1"],
        } == shown
        assert [] == await node.rows("/v1/health/service/web?passing")
        assert 1 == len(await node.rows("/v1/health/service/web?passing=false&tag=blue&tag=V1"))
        assert [] == await node.rows("/v1/health/service/web?tag=blue&tag=green")

    run(scenario)


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"Node": "a", "Address": "1.2.3.4", "ID": "x"}, 500, "Bad node ID: uuid string is wrong length"),
        (
            {"Node": "a", "Address": "1.2.3.4", "ID": "x" * 36},
            500,
            "Bad node ID: uuid is improperly formatted",
        ),
        (
            {"Node": "a", "Address": "1.2.3.4", "Service": {"ID": "s"}},
            500,
            "Must provide service name with ID",
        ),
        (
            {"Node": "a", "Address": "1.2.3.4", "Check": {"Name": "c", "ServiceID": "s"}},
            500,
            'failed inserting check: Missing service registration on node "a"',
        ),
        (
            {"Node": "a", "Address": "1.2.3.4", "Check": {"Name": "c", "Node": "b"}},
            500,
            'check node "b" does not match node "a"',
        ),
        ({"Node": "a", "Address": "1.2.3.4", "Datacenter": "dc9"}, 500, "No path to datacenter"),
        (
            {"Node": 1},
            400,
            "Request decode failed: json: cannot unmarshal number into Go struct field "
            "RegisterRequest.Node of type string",
        ),
    ],
)
def test_refused_registrations_leave_nothing(body: object, status: int, text: str) -> None:
    """What is refused says why, and not even the node is registered."""

    async def scenario(node: Node) -> None:
        reply = await node.put("/v1/catalog/register", body)
        assert (status, text) == (reply.status, reply.text)
        assert None is (await node.get("/v1/catalog/node/a")).json

    run(scenario)


def test_skip_node_update_creates_but_does_not_change_a_node() -> None:
    """With SkipNodeUpdate an absent node is registered, and one that is there keeps its address."""

    async def scenario(node: Node) -> None:
        for address in ("10.0.0.1", "10.0.0.2"):
            body = {"Node": "a", "Address": address, "SkipNodeUpdate": True, "Service": {"Service": address}}
            assert 200 == (await node.put("/v1/catalog/register", body)).status
        shown = await node.table("/v1/catalog/node/a")
        assert ("10.0.0.1", ["10.0.0.1", "10.0.0.2"]) == (shown["Node"]["Address"], list(shown["Services"]))

    run(scenario)


def test_definition_of_a_check_is_shown_as_given() -> None:
    """Durations are texts in the answer, whichever way they came; what was not given is left out."""

    async def scenario(node: Node) -> None:
        definition = {"HTTP": "http://x", "Interval": 10_000_000_000, "Timeout": "1m30s", "TCP": ""}
        check = {"Name": "c", "Definition": definition}
        await node.put("/v1/catalog/register", {"Node": "a", "Address": "10.0.0.1", "Check": check})
        (row,) = await node.rows("/v1/health/node/a")
        assert {"HTTP": "http://x", "Interval": "10s", "Timeout": "1m30s"} == row["Definition"]

    run(scenario)


def test_connect_lists_proxies_and_native_instances() -> None:
    """catalog/connect and health/connect give the proxies for a service, and instances that need none."""

    async def scenario(node: Node) -> None:
        destination = {"DestinationServiceName": "web"}
        proxy = {"Service": "web-proxy", "Kind": "connect-proxy", "Port": 21000, "Proxy": destination}
        native = {"Service": "web", "ID": "native", "Connect": {"Native": True}}
        for name, service in (("a", WEB), ("b", proxy), ("c", native)):
            await node.put("/v1/catalog/register", {"Node": name, "Address": "10.0.0.1", "Service": service})
        rows = await node.rows("/v1/catalog/connect/web")
        assert ["native", "web-proxy"] == sorted(str(row["ServiceID"]) for row in rows)
        assert 2 == len(await node.rows("/v1/health/connect/web"))
        filtered = await node.rows("/v1/catalog/connect/web?filter=ServiceKind==`connect-proxy`")
        assert ["b"] == [row["Node"] for row in filtered]

    run(scenario)


def test_bad_filters_and_foreign_datacenters_carry_an_index() -> None:
    """A read that fails on the server's side still has the headers that clients parse first."""

    async def scenario(node: Node) -> None:
        for target, text in (
            ("/v1/health/service/web?filter=X==1", 'evaluator: Selector "X" is not valid'),
            ("/v1/catalog/nodes?dc=dc9", "No path to datacenter"),
        ):
            reply = await node.get(target)
            assert 500 == reply.status
            assert reply.text.endswith(text)
            assert "false" == reply.headers["X-Consul-KnownLeader"]
            assert int(reply.headers["X-Consul-Index"]) >= 1

    run(scenario)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("/v1/catalog/service/", "Missing service name"),
        ("/v1/catalog/node/", "Missing node name"),
        ("/v1/health/node/", "Missing node name"),
        ("/v1/health/checks/", "Missing service name"),
        ("/v1/health/state/", "Missing check state"),
        ("/v1/health/service/x?passing=maybe", "Invalid value for ?passing"),
    ],
)
def test_missing_names(target: str, text: str) -> None:
    """A path that ends where a name belongs is refused with what is missing."""

    async def scenario(node: Node) -> None:
        reply = await node.get(target)
        assert (400, text) == (reply.status, reply.text)

    run(scenario)


def test_cached_reads_tell_hit_from_miss() -> None:
    """The first cached read of something is a miss, the next one a hit with its age."""

    async def scenario(node: Node) -> None:
        first = await node.get("/v1/health/service/web?cached")
        second = await node.get("/v1/health/service/web?cached")
        other = await node.get("/v1/health/service/db?cached")
        assert ["MISS", "HIT", "MISS"] == [reply.headers["X-Cache"] for reply in (first, second, other)]
        assert "0" == second.headers["Age"]
        assert "leader" == second.headers["X-Consul-Effective-Consistency"]

    run(scenario)


def test_token_as_pythons_clients_send_it() -> None:
    """python-consul and py-consul wrap the token of a registration in an object of their own; it is ignored too."""

    async def scenario(node: Node) -> None:
        token = {"WriteRequest": {"Token": "t"}}
        for action in ("register", "deregister"):
            body = {"Node": "x", "Address": "10.0.0.1", **token}
            assert (200, "true") == (
                (reply := await node.put(f"/v1/catalog/{action}", body)).status,
                reply.text,
            )

    run(scenario)
