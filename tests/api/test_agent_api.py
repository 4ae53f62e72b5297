"""/v1/agent over a node in memory."""

import asyncio

import pytest

from raftreg.commands import Register, Rehome
from raftreg.model import Check, Probe, Service
from raftreg.model import Node as NodeRecord
from raftreg.state.queries import CheckById, NodeServices
from tests.api.in_process import NODE, Node, run


def test_registration_is_a_catalog_record_of_this_node() -> None:
    """What is registered at the agent is in the catalog under the node that was asked, and the other way round."""

    async def scenario(node: Node) -> None:
        body = {
            "name": "web",
            "port": 80,
            "check": {"ttl": "30s", "status": "passing"},
            "enable_tag_override": True,
        }
        assert (200, "") == ((await node.put("/v1/agent/service/register", body)).status, "")
        (row,) = await node.rows("/v1/catalog/service/web")
        assert (NODE, True) == (row["Node"], row["ServiceEnableTagOverride"])
        assert ["web"] == list(await node.table("/v1/agent/services"))
        assert ["service:web"] == list(await node.table("/v1/agent/checks"))
        await node.put("/v1/catalog/deregister", {"Node": NODE, "ServiceID": "web"})
        assert {} == await node.table("/v1/agent/services")

    run(scenario)


def test_address_of_its_own_is_tagged_by_family() -> None:
    """A service with an address has it under lan_ and wan_ of its family too; a host name has none."""

    async def scenario(node: Node) -> None:
        for name, address in (("four", "10.0.0.9"), ("six", "2001:db8::1"), ("named", "web.example")):
            await node.put("/v1/agent/service/register", {"Name": name, "Port": 5, "Address": address})
        services = await node.table("/v1/agent/services")
        expected = {
            "lan_ipv4": {"Address": "10.0.0.9", "Port": 5},
            "wan_ipv4": {"Address": "10.0.0.9", "Port": 5},
        }
        assert expected == services["four"]["TaggedAddresses"]
        assert ["lan_ipv6", "wan_ipv6"] == list(dict(services["six"]["TaggedAddresses"]))  # type: ignore[call-overload]
        assert "TaggedAddresses" not in services["named"]

    run(scenario)


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ({"Interval": "5s", "TTL": "5s"}, "Invalid check: Interval and TTL cannot both be specified"),
        ({"TCP": "x:1", "TTL": "5s"}, "Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks"),
        ({"AliasService": "x", "TTL": "5s"}, "Invalid check: TTL must be not be set for Alias checks"),
        (
            {"AliasService": "x", "HTTP": "http://x", "Interval": "5s"},
            "Invalid check: Interval cannot be set for Alias checks",
        ),
        ({"TTL": "5s", "OutputMaxSize": -1}, "Invalid check: MaxOutputMaxSize must be positive"),
        ({"TTL": "5s", "Status": "odd"}, "Status for checks must 'passing', 'warning', 'critical'"),
        ({"TTL": "5"}, 'Request decode failed: time: missing unit in duration "5"'),
    ],
)
def test_refused_checks(check: object, text: str) -> None:
    """Definitions whose parts do not go together are refused, and the service is not registered."""

    async def scenario(node: Node) -> None:
        reply = await node.put("/v1/agent/service/register", {"Name": "web", "Check": check})
        assert (400, text) == (reply.status, reply.text)
        assert {} == await node.table("/v1/agent/services")

    run(scenario)


def test_second_registration_keeps_what_checks_found_out() -> None:
    """Registering again changes the definition and leaves status and output of its checks alone."""

    async def scenario(node: Node) -> None:
        body = {"Name": "web", "Check": {"TTL": "30s"}}
        await node.put("/v1/agent/service/register", body)
        await node.put("/v1/agent/check/pass/service%3Aweb?note=fine")
        await node.put("/v1/agent/service/register", body | {"Port": 81})
        check = (await node.table("/v1/agent/checks"))["service:web"]
        assert ("passing", "fine") == (check["Status"], check["Output"])

    run(scenario)


def test_heartbeats_that_change_the_output_alone_stay_out_of_the_log() -> None:
    """The agent shows the newest output at once; the catalog keeps its index and the output of the last change."""

    async def scenario(node: Node) -> None:
        await node.put("/v1/agent/service/register", {"Name": "web", "Check": {"TTL": "30s"}})
        await node.put("/v1/agent/check/pass/service:web?note=one")
        index = node.registry.state.index
        for note in ("two", "three"):
            assert 200 == (await node.put(f"/v1/agent/check/pass/service:web?note={note}")).status
        assert index == node.registry.state.index
        assert "three" == (await node.table("/v1/agent/checks"))["service:web"]["Output"]
        assert ["one"] == [row["Output"] for row in await node.rows("/v1/health/checks/web")]
        await node.put("/v1/agent/check/warn/service:web?note=four")
        assert "four" == (await node.table("/v1/agent/checks"))["service:web"]["Output"]

    run(scenario)


def test_heartbeat_needs_a_ttl() -> None:
    """Unknown checks, checks of another kind and the cluster's own check take no heartbeat."""

    async def scenario(node: Node) -> None:
        await node.put("/v1/agent/check/register", {"Name": "tcp", "TCP": "127.0.0.1:1", "Interval": "1h"})
        for check_id in ("nope", "tcp", "serfHealth"):
            reply = await node.put(f"/v1/agent/check/pass/{check_id}")
            assert (500, f'CheckID "{check_id}" does not have associated TTL') == (reply.status, reply.text)

    run(scenario)


def test_long_outputs_are_cut() -> None:
    """An output beyond 4 KiB is kept in part, and says so."""

    async def scenario(node: Node) -> None:
        await node.put("/v1/agent/check/register", {"Name": "c", "TTL": "30s"})
        await node.put("/v1/agent/check/update/c", {"Status": "passing", "Output": "x" * 5000})
        output = (await node.table("/v1/agent/checks"))["c"]["Output"]
        assert "x" * 4096 + " ... (captured 4096 of 5000 bytes)" == output

    run(scenario)


async def _register_elsewhere(node: Node, name: str) -> None:
    """A service `far` with a TTL check, registered through another node."""
    check = Check(name, "service:far", "far", service_id="far", probe=Probe("ttl", ttl_s=30.0))
    record = NodeRecord(name, "", "10.0.0.2")
    service = Service(name, "far", "far", address="10.0.0.3", port=5)
    await node.registry.write(Register(name, node=record, service=service, checks=(check,)))


def test_ids_are_found_wherever_they_were_registered() -> None:
    """Heartbeats and deregistrations may come to any node, as long as one node alone has the id."""

    async def scenario(node: Node) -> None:
        await _register_elsewhere(node, "other")
        assert 404 == (await node.get("/v1/agent/service/far")).status
        assert 200 == (await node.put("/v1/agent/check/pass/service:far")).status
        found = node.registry.local(CheckById("other", "service:far")).value
        assert found is not None
        assert "passing" == found.status
        await _register_elsewhere(node, "third")
        assert 500 == (await node.put("/v1/agent/check/pass/service:far")).status
        await node.put("/v1/catalog/deregister", {"Node": "third"})
        assert 200 == (await node.put("/v1/agent/service/deregister/far")).status
        assert [] == await node.rows("/v1/catalog/service/far")

    run(scenario)


def test_what_was_moved_away_is_meant_by_its_old_id_at_its_old_node() -> None:
    """Where the id was taken it has another one; a heartbeat and a deregistration at this node do not hit the other."""

    async def scenario(node: Node) -> None:
        await _register_elsewhere(node, "other")
        body = {"Name": "far", "Address": "10.0.0.9", "Port": 5, "Check": {"TTL": "30s"}}
        await node.put("/v1/agent/service/register", body)
        await node.registry.write(Rehome(NODE, "other"))
        assert (await node.put("/v1/agent/check/pass/service:far")).status == 200
        rows = await node.rows("/v1/health/checks/far")
        assert {"service:far": "critical", f"service:far@{NODE}": "passing"} == {
            row["CheckID"]: row["Status"] for row in rows
        }
        await node.put("/v1/agent/service/deregister/far")
        assert ["far"] == [row["ServiceID"] for row in await node.rows("/v1/catalog/service/far")]

    run(scenario)


def test_the_same_instance_moves_when_it_is_registered_through_another_node() -> None:
    """The same id with the same address and port is one instance; with another address it is a second one."""

    async def scenario(node: Node) -> None:
        await _register_elsewhere(node, "other")
        body = {"Name": "far", "Address": "10.0.0.3", "Port": 5, "Check": {"TTL": "30s"}}
        await node.put("/v1/agent/service/register", body)
        assert [NODE] == [row["Node"] for row in await node.rows("/v1/catalog/service/far")]
        found = node.registry.local(NodeServices("other")).value
        assert found is not None
        assert () == found[1]
        await _register_elsewhere(node, "third")
        await node.put("/v1/agent/service/register", body | {"Address": "10.0.0.4"})
        assert [NODE, "third"] == [row["Node"] for row in await node.rows("/v1/catalog/service/far")]

    run(scenario)


def test_blocking_by_hash_wakes_on_a_change_of_the_definition() -> None:
    """A request with the known hash waits until the definition is another one, and ends if the service goes."""

    async def scenario(node: Node) -> None:
        await node.put("/v1/agent/service/register", {"Name": "web", "Port": 1})
        known = (await node.get("/v1/agent/service/web")).headers["X-Consul-ContentHash"]
        waiting = asyncio.create_task(node.get(f"/v1/agent/service/web?hash={known}&wait=20s"))
        await asyncio.sleep(0)
        await node.put("/v1/agent/service/register", {"Name": "other", "Port": 1})
        assert not waiting.done()
        await node.put("/v1/agent/service/register", {"Name": "web", "Port": 2})
        reply = await waiting
        assert known != reply.headers["X-Consul-ContentHash"]
        same = reply.headers["X-Consul-ContentHash"]
        waiting = asyncio.create_task(node.get(f"/v1/agent/service/web?hash={same}&wait=20s"))
        await asyncio.sleep(0)
        await node.put("/v1/agent/service/deregister/web")
        assert 404 == (await waiting).status

    run(scenario)


def test_maintenance_overrides_everything_while_it_lasts() -> None:
    """Maintenance of a service or of the node makes it 503 with that word; disabling restores what was."""

    async def scenario(node: Node) -> None:
        await node.put("/v1/agent/service/register", {"Name": "web"})
        health = "/v1/agent/health/service/id/web?format=text"
        for switch in ("/v1/agent/service/maintenance/web", "/v1/agent/maintenance"):
            await node.put(f"{switch}?enable=true&reason=first")
            await node.put(f"{switch}?enable=true&reason=second")
            reply = await node.get(health)
            assert (503, "maintenance") == (reply.status, reply.text)
            assert ["first"] == [check["Notes"] for check in (await node.table("/v1/agent/checks")).values()]
            await node.put(f"{switch}?enable=false")
            reply = await node.get(health)
            assert (200, "passing") == (reply.status, reply.text)

    run(scenario)


def test_health_of_an_unknown_service() -> None:
    """By id and by name, as JSON and as text: 404."""

    async def scenario(node: Node) -> None:
        by_id = await node.get("/v1/agent/health/service/id/nope")
        assert (404, {"AggregatedStatus": "critical", "Service": None, "Checks": None}) == (
            by_id.status,
            by_id.json,
        )
        by_name = await node.get("/v1/agent/health/service/name/nope?format=text")
        assert (404, "ServiceName nope Not Found") == (by_name.status, by_name.text)

    run(scenario)


def test_filters_on_the_agents_own_lists() -> None:
    """Services and checks of the agent are filtered by their own fields; the errors carry no index."""

    async def scenario(node: Node) -> None:
        for name in ("web", "db"):
            await node.put(
                "/v1/agent/service/register", {"Name": name, "Tags": [name], "Check": {"TTL": "9s"}}
            )
        assert ["db"] == list(await node.table("/v1/agent/services?filter=db in Tags".replace(" ", "%20")))
        assert ["service:web"] == list(await node.table("/v1/agent/checks?filter=ServiceID==web"))
        reply = await node.get("/v1/agent/services?filter=Nope==1")
        assert (500, False) == (reply.status, "X-Consul-Index" in reply.headers)

    run(scenario)


def test_switches_without_a_meaning_here_say_so() -> None:
    """What cannot be is refused with what to do; what is harmless is done by doing nothing."""

    async def scenario(node: Node) -> None:
        statuses = {
            target: (await node.put(target)).status
            for target in (
                "/v1/agent/reload",
                "/v1/agent/leave",
                "/v1/agent/join/10.9.9.9",
                "/v1/agent/join/127.0.0.1:8300",
                "/v1/agent/force-leave/nobody",
                f"/v1/agent/force-leave/{NODE}",
                "/v1/agent/token/default",
            )
        }
        assert [200, 501, 500, 200, 500, 409, 401] == list(statuses.values())

    run(scenario)


def test_self_members_host_and_metrics() -> None:
    """The node describes itself with the fields that clients read."""

    async def scenario(node: Node) -> None:
        shown = await node.table("/v1/agent/self")
        assert (NODE, "dc1") == (shown["Config"]["NodeName"], shown["Config"]["Datacenter"])
        assert "127.0.0.1" == shown["Member"]["Addr"]
        (member,) = await node.rows("/v1/agent/members")
        assert (NODE, 1) == (member["Name"], member["Status"])
        assert {"Host", "CPU", "CollectionTime", "Errors"} <= set(await node.table("/v1/agent/host"))
        assert {"Timestamp", "Gauges", "Points", "Counters", "Samples"} == set(
            await node.table("/v1/agent/metrics")
        )

    run(scenario)


def test_blocking_by_hash_ends_when_the_node_stops() -> None:
    """A request that waits by hash is answered, and keeps nobody from stopping."""

    async def scenario(node: Node) -> None:
        await node.put("/v1/agent/service/register", {"Name": "web", "Port": 1})
        known = (await node.get("/v1/agent/service/web")).headers["X-Consul-ContentHash"]
        waiting = asyncio.create_task(node.get(f"/v1/agent/service/web?hash={known}&wait=20s"))
        await asyncio.sleep(0)
        await node.registry.stop()
        assert known == (await waiting).headers["X-Consul-ContentHash"]
        late = await node.get(f"/v1/agent/service/web?hash={known}&wait=20s")
        assert known == late.headers["X-Consul-ContentHash"]

    run(scenario)


def test_registration_waits_for_the_nodes_own_record() -> None:
    """What is registered in the moment in which the node itself is not in the catalog waits for that."""

    async def scenario(node: Node) -> None:
        await node.put("/v1/catalog/deregister", {"Node": NODE})
        registering = asyncio.create_task(node.put("/v1/agent/service/register", {"Name": "web"}))
        await asyncio.sleep(0)
        await node.register_itself()
        assert 200 == (await registering).status
        assert ["web"] == list(await node.table("/v1/agent/services"))

    run(scenario)


def test_change_of_status_that_finds_no_check_is_no_success() -> None:
    """A check that goes while a heartbeat with another status is on its way gives the error of an unknown check."""

    async def scenario(node: Node) -> None:
        await node.put("/v1/agent/check/register", {"Name": "c", "TTL": "30s"})
        gone = asyncio.create_task(node.put("/v1/agent/check/deregister/c"))
        beat = asyncio.create_task(node.put("/v1/agent/check/pass/c"))
        assert 200 == (await gone).status
        assert (500, 'CheckID "c" does not have associated TTL') == ((await beat).status, (await beat).text)

    run(scenario)


@pytest.mark.parametrize(("kind", "text"), [("service", "ServiceID missing"), ("check", "CheckID missing")])
def test_deregistration_names_something(kind: str, text: str) -> None:
    """An empty id, such as that of an unset variable in a script, is no success."""

    async def scenario(node: Node) -> None:
        reply = await node.put(f"/v1/agent/{kind}/deregister/")
        assert (500, text) == (reply.status, reply.text)

    run(scenario)
