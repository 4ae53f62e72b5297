"""Members over HTTP, at a node that does not lead: raftreg's own routes, Consul's, and the page."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from raftreg.api import create_handler
from raftreg.api.context import ApiContext
from raftreg.api.dispatch import Answerer
from raftreg.api.http import Query, Request, decode_percent
from raftreg.clock import SystemClock
from raftreg.consensus import MemberChange
from raftreg.duties.own_node import OwnNodeDuty
from raftreg.duties.server_health import HEALTH_CALL, ServerHealthDuty
from raftreg.state.queries import Nodes
from tests.fake_members import MemberCluster, peer, stranger

MEMBERS = "/v1/raftreg/members"


class Api:
    """The API of node b; a leads, c is a member too and d waits."""

    def __init__(self) -> None:
        self.cluster = MemberCluster("a", "b", "c")
        self.cluster.strangers["d.9"] = stranger("d")
        self.registries = {name: self.cluster.registry(name, timeout_s=2.0) for name in self.cluster.nodes}
        self.ended: list[str] = []
        self.context = ApiContext(
            self.registries["b"], SystemClock(), "b", "22222222", end=lambda: self.ended.append("b")
        )
        self.answer: Answerer = create_handler(self.context)

    async def call(self, method: str, target: str, body: object = None) -> tuple[int, str]:
        """Status and text."""
        path, _, query = target.partition("?")
        data = b"" if body is None else json.dumps(body).encode()
        response = await self.answer(
            Request(method, decode_percent(path), path, Query.parse(query), {}, data)
        )
        return response.status, response.body.decode()

    async def table(self, method: str, target: str, body: object = None) -> Any:
        """The JSON of a success."""
        status, text = await self.call(method, target, body)
        assert status == 200, text
        return json.loads(text)


def run(scenario: Callable[[Api], Awaitable[None]]) -> None:
    """Run a scenario on a fresh cluster."""

    async def main() -> None:
        await asyncio.wait_for(scenario(Api()), 20)

    asyncio.run(main())


def test_members_are_shown_as_the_leader_sees_them() -> None:
    """With roles, lag, who waits and what to run; with `stale` as this node sees them."""

    async def scenario(api: Api) -> None:
        api.cluster.members["e.1"] = peer("e", voter=False, caught_up=True)
        api.cluster.members["f.1"] = peer("f", voter=False, standby=True)
        shown = await api.table("GET", MEMBERS)
        roles = [(row["Name"], row["Role"], row["Leader"], row["Lag"]) for row in shown["Members"]]
        voters = [("a", "voter", True, 2), ("b", "voter", False, 2), ("c", "voter", False, 2)]
        assert [*voters, ("e", "learner", False, 2), ("f", "standby", False, 2)] == roles
        assert [("d", "d:9", 60.0)] == [
            (row["Name"], row["Address"], row["ConnectedSeconds"]) for row in shown["Strangers"]
        ]
        assert ["d waits to be added: raftreg operator raft add d"] == shown["Advice"]
        api.cluster.elect(None)
        assert 5 == len((await api.table("GET", f"{MEMBERS}?stale"))["Members"])
        assert 500 == (await api.call("GET", MEMBERS))[0]

    run(scenario)


def test_members_are_changed_by_posting() -> None:
    """Each of the four; the answer tells ids, whether anything changed, and warnings."""

    async def scenario(api: Api) -> None:
        added = await api.table("POST", f"{MEMBERS}/add", {"Member": "d", "Standby": True})
        expected = {
            "Kind": "add",
            "Member": "d.9",
            "Old": "",
            "Standby": True,
            "Changed": True,
            "Warnings": [],
        }
        assert expected == added
        promoted = await api.table("POST", f"{MEMBERS}/promote", {"member": "d"})
        assert 1 == len(promoted["Warnings"])
        await api.table("POST", f"{MEMBERS}/remove", {"Member": "c", "Force": True})
        api.cluster.strangers["e.8"] = stranger("e", incarnation="8")
        await api.table("POST", f"{MEMBERS}/replace", {"Old": "b", "New": "e.8"})
        assert [
            MemberChange("add", "d.9", standby=True),
            MemberChange("promote", "d.9"),
            MemberChange("remove", "c.1"),
            MemberChange("replace", "e.8", "b.1"),
        ] == api.cluster.changes

    run(scenario)


def test_a_standby_is_replaced_by_one() -> None:
    """Unless the body says otherwise; the answer says what it came to."""

    async def scenario(api: Api) -> None:
        for body in ({}, {"Standby": True}, {"Standby": False}):
            api.cluster.members["s.1"] = peer("s", voter=False, silent_s=40, standby=True)
            api.cluster.strangers["s.9"] = stranger("s")
            replaced = await api.table("POST", f"{MEMBERS}/replace", {"Old": "s", **body})
            assert ("s.9", body.get("Standby", True)) == (replaced["Member"], replaced["Standby"])
            del api.cluster.members["s.9"]

    run(scenario)


def test_an_answer_claims_no_standby_that_is_none() -> None:
    """Who votes, or will, does not become one by an add; and who is one stays one."""

    async def scenario(api: Api) -> None:
        api.cluster.members["l.1"] = peer("l", voter=False)
        api.cluster.members["s.1"] = peer("s", voter=False, standby=True)
        for name, role in (("l", "a learner that will vote"), ("c", "a voter")):
            text = f"{name} is {role}: remove it, then add it with --standby"
            assert (409, text) == await api.call("POST", f"{MEMBERS}/add", {"Member": name, "Standby": True})
            added = await api.table("POST", f"{MEMBERS}/add", {"Member": name})
            assert (False, False) == (added["Changed"], added["Standby"])
        for asked in (False, True):
            added = await api.table("POST", f"{MEMBERS}/add", {"Member": "s", "Standby": asked})
            assert (False, True) == (added["Changed"], added["Standby"])
        assert [] == api.cluster.changes

    run(scenario)


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("add", {}, 400, "which node? Give its name, id or Raft address"),
        ("add", {"Node": "d"}, 400, "Bad request: Error parsing MemberAddition: json: unknown field"),
        ("remove?dc=x", {"Member": "c"}, 500, "No path to datacenter"),
        ("remove", {"Member": "x"}, 404, 'no member "x"; members are a, b, c'),
        ("replace", {"Old": "c"}, 404, 'no node "c" waits to come for c (waiting are d)'),
    ],
)
def test_changes_that_are_wrong(path: str, body: object, status: int, text: str) -> None:
    """What is wrong is told, and nothing is changed."""

    async def scenario(api: Api) -> None:
        answer = await api.call("POST", f"{MEMBERS}/{path}", body)
        assert (status, text) == (answer[0], answer[1][: len(text)])
        assert [] == api.cluster.changes

    run(scenario)


@pytest.mark.parametrize("named", ["id=c.1", "address=c:1"])
def test_a_peer_is_removed_as_with_consul(named: str) -> None:
    """By id or address, with an empty answer; it is not there any more then."""

    async def scenario(api: Api) -> None:
        target = f"/v1/operator/raft/peer?{named}"
        assert (200, "") == await api.call("DELETE", target)
        assert [MemberChange("remove", "c.1")] == api.cluster.changes
        assert 500 == (await api.call("DELETE", target))[0]
        shown = await api.table("GET", "/v1/operator/raft/configuration")
        assert ["a", "b"] == [server["Node"] for server in shown["Servers"]]

    run(scenario)


def test_an_address_of_two_peers_removes_neither() -> None:
    """As of a host that took over the address of a dead one: the ids tell which is meant."""

    async def scenario(api: Api) -> None:
        api.cluster.members["c.1"] = replace(peer("c"), address="b:1")
        target = "/v1/operator/raft/peer"
        answer = await api.call("DELETE", f"{target}?address=b:1")
        assert (409, 'address "b:1" may mean b.1, c.1: give the id') == answer
        assert [] == api.cluster.changes
        assert (200, "") == await api.call("DELETE", f"{target}?id=c.1")
        assert [MemberChange("remove", "c.1")] == api.cluster.changes

    run(scenario)


def test_learners_do_not_vote_in_the_raft_configuration() -> None:
    """They are shown with Voter false, and are no peers of /v1/status/peers."""

    async def scenario(api: Api) -> None:
        await api.table("POST", f"{MEMBERS}/add", {"Member": "d"})
        shown = await api.table("GET", "/v1/operator/raft/configuration")
        assert [True, True, True, False] == [server["Voter"] for server in shown["Servers"]]
        assert ["a:1", "b:1", "c:1"] == await api.table("GET", "/v1/status/peers")
        members = await api.table("GET", "/v1/agent/members")
        assert [None, None, None, "1"] == [member["Tags"].get("nonvoter") for member in members]

    run(scenario)


def test_leadership_is_transferred() -> None:
    """To anyone, or to the voter that is named; others are refused."""

    async def scenario(api: Api) -> None:
        target = "/v1/operator/raft/transfer-leader"
        assert {"Success": True, "Leader": "b"} == await api.table("POST", target)
        assert {"Success": True, "Leader": "c"} == await api.table("POST", f"{target}?id=c.1")
        assert 404 == (await api.call("POST", f"{target}?id=x"))[0]
        assert 400 == (await api.call("POST", f"{target}?id="))[0]
        assert (500, "No path to datacenter") == await api.call("POST", f"{target}?dc=other")
        assert "c" == api.cluster.leader

    run(scenario)


def test_a_node_leaves_and_ends() -> None:
    """It is no member any more, and its process is told to end, once; refused, it goes on."""

    async def scenario(api: Api) -> None:
        api.cluster.members["c.1"] = peer("c", silent_s=40)
        status, text = await api.call("PUT", "/v1/agent/leave")
        assert (409, []) == (status, api.ended)
        assert text.startswith("b is alive and c is not: remove or replace c first")
        api.cluster.members["c.1"] = peer("c")
        assert (200, "") == await api.call("PUT", "/v1/agent/leave")
        assert (["b"], [MemberChange("remove", "b.1")]) == (api.ended, api.cluster.changes)

    run(scenario)


def test_force_leave_is_for_the_lost() -> None:
    """A member that is alive stays; one that is lost goes, and so does what one that was has left in the catalog."""

    async def scenario(api: Api) -> None:
        duty = OwnNodeDuty(
            api.registries["c"], node_id="33333333", address="c", raft_port=1, http_address="c:80"
        )
        await duty.step()
        assert 409 == (await api.call("PUT", "/v1/agent/force-leave/c"))[0]
        api.cluster.members["c.1"] = peer("c", silent_s=40)
        assert (200, "") == await api.call("PUT", "/v1/agent/force-leave/c")
        assert [MemberChange("remove", "c.1")] == api.cluster.changes
        assert (200, "") == await api.call("PUT", "/v1/agent/force-leave/c")
        assert () == api.registries["b"].local(Nodes()).value
        unknown = await api.call("PUT", "/v1/agent/force-leave/c")
        assert (500, "agent: No node found with name 'c'") == unknown

    run(scenario)


def test_join_knows_members_only() -> None:
    """A node that has a cluster joins no other; its members are fine."""

    async def scenario(api: Api) -> None:
        for name in ("a:1", "a", "c"):
            assert (200, "") == await api.call("PUT", f"/v1/agent/join/{name}")
        status, text = await api.call("PUT", "/v1/agent/join/10.9.9.9")
        assert (500, True) == (status, "belongs to cluster c1 and 10.9.9.9 is no member of it" in text)

    run(scenario)


def test_a_node_that_waits_is_told_where_to_join(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the default port where none is given; nobody listens on port 0."""

    async def scenario(api: Api) -> None:
        node, told = api.cluster.nodes["b"], []  # type: ignore[var-annotated]  # addresses
        waits = replace(node.status(), role="starting", cluster_id="")
        monkeypatch.setattr(node, "status", lambda: waits)
        monkeypatch.setattr(node, "join", told.append)
        for address in ("10.0.0.1", "10.0.0.2:1"):
            assert (200, "") == await api.call("PUT", f"/v1/agent/join/{address}")
        assert [("10.0.0.1", 8300), ("10.0.0.2", 1)] == told
        for address in ("10.0.0.3:0", "10.0.0.3:x"):
            text = f'bad address "{address}": write HOST:PORT, the Raft address of a member'
            assert (400, text) == await api.call("PUT", f"/v1/agent/join/{address}")
        assert 2 == len(told)

    run(scenario)


def test_health_has_the_figures_of_the_leader() -> None:
    """A voter that is silent is not healthy, and the tolerance counts voters that are; learners are shown beside."""

    async def scenario(api: Api) -> None:
        duty = ServerHealthDuty(api.registries["a"])
        api.registries["a"].on_leader_call(HEALTH_CALL, duty.on_call)
        target = "/v1/operator/autopilot/health"
        shown = await api.table("GET", target)
        assert (True, 1) == (shown["Healthy"], shown["FailureTolerance"])
        api.cluster.members["c.1"] = peer("c", silent_s=40.0)
        api.cluster.members["d.1"] = peer("d", voter=False)
        status, text = await api.call("GET", target)
        shown = json.loads(text)
        assert (429, False, 0) == (status, shown["Healthy"], shown["FailureTolerance"])
        figures = [
            (row["Name"], row["Voter"], row["Healthy"], row["LastContact"], row["LastTerm"], row["LastIndex"])
            for row in shown["Servers"]
        ]
        assert [
            ("a", True, True, "0s", 2, 5),
            ("b", True, True, "0s", 2, 5),
            ("c", True, False, "40s", 2, 5),
            ("d", False, True, "0s", 2, 5),
        ] == figures

    run(scenario)


def test_warnings_about_the_voters_are_shown_wherever_one_looks() -> None:
    """Whoever made the last one a voter; but not by a node that is no member."""

    async def scenario(api: Api) -> None:
        places = (MEMBERS, f"{MEMBERS}?stale", "/v1/raftreg/status")
        for place in places:
            assert [] == (await api.table("GET", place))["Warnings"]
        api.cluster.members["e.1"] = peer("e")
        for place in places:
            (warning,) = (await api.table("GET", place))["Warnings"]
            assert warning.startswith("4 voters survive the loss of 1, as 3 do")
        assert warning in (await api.call("GET", "/"))[1]
        api.cluster.members = {"c.1": peer("c"), "e.1": peer("e")}
        assert [] == (await api.table("GET", "/v1/raftreg/status"))["Warnings"]
        assert "2 voters: every write" not in (await api.call("GET", "/"))[1]

    run(scenario)


def test_the_page_shows_the_cluster() -> None:
    """Names that clients chose are text in it, never markup."""

    async def scenario(api: Api) -> None:
        api.cluster.strangers["e.9"] = stranger("<b>e")
        status, page = await api.call("GET", "/")
        assert 200 == status
        for part in ("<title>raftreg: b</title>", "a leads", "&lt;b&gt;e waits to be added", "a.1"):
            assert part in page
        assert "<b>e" not in page
        shown = await api.table("GET", "/v1/raftreg/status")
        assert ["voter"] * 3 == [row["Role"] for row in shown["Peers"]]
        assert ["d", "<b>e"] == [row["Name"] for row in shown["Strangers"]]
        del api.cluster.members["b.1"]
        page = (await api.call("GET", "/"))[1]
        assert "not a member" in page
        assert "stop it, or to have it back" in page or "to make it one: raftreg operator raft add b" in page

    run(scenario)
