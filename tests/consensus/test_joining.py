"""Clusters that grow, on real disks and sockets: nodes that join through one address, come back, move and go."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from raftreg import versions
from raftreg.addresses import Address
from raftreg.clock import SystemClock
from raftreg.consensus import MemberChange, PeerStatus, Status
from raftreg.consensus.node import RaftNode, RaftSettings
from raftreg.errors import NotLeader, OutcomeUnknown, Refused, StartRefused
from tests.consensus.trios import NAMES, PATIENCE_S, Trio
from tests.consensus.worlds import ListMachine
from tests.e2e.cluster import free_ports


class Growth(Trio):
    """One that makes a cluster by itself, and others that know nothing but where a member is."""

    async def found(self, name: str) -> RaftNode:
        """The first node, alone."""
        return await self.begin(name, peers={name: self.address(name)})

    def address(self, name: str) -> tuple[str, int]:
        """Where a node listens."""
        if name not in self.addresses:
            self.addresses[name] = ("127.0.0.1", free_ports(1)[0])
        return self.addresses[name]

    async def begin(
        self, name: str, *through: str, peers: dict[str, tuple[str, int]] | None = None, directory: str = ""
    ) -> RaftNode:
        """Start a node that joins through others."""
        settings = RaftSettings(
            name,
            self.directory / (directory or name),
            self.address(name),
            peers or {},
            None,
            join=[self.address(other) for other in through],
            snapshot_entries=self.snapshot_entries,
        )
        machine = self.machines[name] = ListMachine()
        node = self.nodes[name] = RaftNode(settings, machine, SystemClock(), self._ender(name))
        node.on_change(self.moved.set)
        await node.start()
        return node

    async def take_in(self, node: RaftNode, old: str = "") -> None:
        """Add a stranger, or replace a member by it, wait until it has caught up, and promote it."""
        member = node.status().id
        await self.until(lambda: member in {each.id for each in self._leaders_view().strangers})
        await self.change(MemberChange("replace" if old else "add", member, old))
        await self.until(
            lambda: any(each.id == member and each.caught_up for each in self._leaders_view().peers)
        )
        await self.change(MemberChange("promote", member))
        await self.until(lambda: any(each.id == member and each.voter for each in node.status().peers))

    async def change(self, change: MemberChange) -> None:
        """Have whoever leads change the members; on a busy machine that may be another node in between."""
        async with asyncio.timeout(PATIENCE_S):
            while not done(change, self._leaders_view()):
                try:
                    await (await self.leader_of()).change_members(change)
                except (NotLeader, OutcomeUnknown, Refused):
                    await asyncio.sleep(0.05)

    def _leaders_view(self) -> Status:
        """What a leader says; what any node says while there is none."""
        views = sorted((node.status() for node in self.nodes.values()), key=lambda view: view.term)
        return next((view for view in reversed(views) if view.role == "leader"), views[-1])

    async def leader_of(self) -> RaftNode:
        """Who leads, among those that are members."""

        def leading() -> RaftNode | None:
            return next((node for node in self.nodes.values() if node.status().role == "leader"), None)

        await self.until(lambda: leading() is not None)
        leader = leading()
        assert leader is not None
        return leader


def peer_of(node: RaftNode, member: str) -> PeerStatus:
    """A member as a node sees it."""
    return next(peer for peer in node.status().peers if peer.id == member)


def done(change: MemberChange, view: Status) -> bool:
    """Whether a change is in the member set that is in use."""
    voters = {peer.id for peer in view.peers if peer.voter}
    members = {peer.id for peer in view.peers}
    if change.kind == "promote":
        return change.member in voters
    if change.kind == "remove":
        return view.members_committed and change.member not in members
    return change.member in members


def with_growth(directory: Path, scenario: Callable[[Growth], Awaitable[None]]) -> None:
    """Run a scenario; what still runs at its end is stopped."""

    async def main() -> None:
        growth = Growth(directory)
        try:
            await scenario(growth)
        finally:
            await growth.stop()

    asyncio.run(main())


async def three(growth: Growth) -> tuple[RaftNode, RaftNode, RaftNode]:
    """n1, and n2 and n3 that joined one after the other, each through the one before it."""
    n1 = await growth.found("n1")
    n2 = await growth.begin("n2", "n1")
    await growth.take_in(n2)
    n3 = await growth.begin("n3", "n2")
    await growth.take_in(n3)
    return n1, n2, n3


def all_connected(*nodes: RaftNode) -> bool:
    """Whether each is in with each."""
    return all(peer.connected for node in nodes for peer in node.status().peers)


def test_one_node_becomes_three(tmp_path: Path) -> None:
    """Who joins needs one address and is told the others; later it needs none, nor does the first need its peers."""

    async def scenario(growth: Growth) -> None:
        nodes = await three(growth)
        await growth.until(lambda: all_connected(*nodes))
        leader = await growth.leader_of()
        index, _ = await leader.propose(b"x")
        for node in nodes:
            await node.wait_applied(index)
        members = [node.status().id for node in nodes]
        addresses = [str(Address(*growth.addresses[name])) for name in NAMES]
        for node in nodes:
            assert members == [peer.id for peer in node.status().peers]
            assert addresses == [peer.address for peer in node.status().peers]
        await growth.stop()
        again = [await growth.begin(name) for name in NAMES]
        await growth.until(lambda: all_connected(*again))
        index, _ = await (await growth.leader_of()).propose(b"y")
        await again[2].wait_applied(index)
        assert [b"x", b"y"] == growth.machines["n3"].applied
        assert {} == growth.ended

    with_growth(tmp_path, scenario)


def test_a_removed_node_knows_it_and_keeps_quiet(tmp_path: Path) -> None:
    """It is told by the others, does not campaign, shows who is left, and may be added again."""

    async def scenario(growth: Growth) -> None:
        nodes = await three(growth)
        leader = await growth.leader_of()
        gone = next(node for node in nodes if node is not leader)
        member = gone.status().id
        await growth.change(MemberChange("remove", member))
        await growth.until(lambda: gone.status().removed)
        assert member not in {peer.id for peer in gone.status().peers}
        await growth.stop(gone.settings.name)
        gone = await growth.begin(gone.settings.name)
        await growth.until(lambda: gone.status().removed)
        await growth.until(lambda: [member] == [each.id for each in leader.status().strangers])
        assert gone.driver is not None
        election = gone.driver.engine.election
        campaigns = election.round  # None, unless it took longer to be told than an election timeout.
        await asyncio.sleep(2 * gone.settings.election_timeout_max_s)
        assert campaigns == election.round
        await growth.take_in(gone)
        assert not gone.status().removed

    with_growth(tmp_path, scenario)


def test_a_node_with_an_empty_directory_takes_the_place_of_what_it_was(tmp_path: Path) -> None:
    """It is somebody new, and the others take it for the old one in no way."""

    async def scenario(growth: Growth) -> None:
        await three(growth)
        leader = await growth.leader_of()
        name = next(name for name in NAMES if name != leader.settings.name)
        old = growth.nodes[name].status().id
        await growth.stop(name)
        await leader.propose(b"x")
        node = await growth.begin(name, leader.settings.name, directory="empty")
        await growth.take_in(node, old)
        assert node.status().id != old
        assert old not in {peer.id for peer in node.status().peers}
        index, _ = await (await growth.leader_of()).propose(b"y")
        await node.wait_applied(index)
        assert [b"x", b"y"] == growth.machines[name].applied

    with_growth(tmp_path, scenario)


def test_a_member_whose_log_names_only_members_that_are_gone_comes_back(tmp_path: Path) -> None:
    """It is told by one of today's who the others are, is let in by them, and catches up."""

    async def scenario(growth: Growth) -> None:
        nodes = await three(growth)
        await growth.stop("n1")
        for name in ("n4", "n5"):
            await growth.take_in(await growth.begin(name, "n2"))
        for gone in nodes[1:]:
            await growth.change(MemberChange("remove", gone.status().id))
            await growth.stop(gone.settings.name)
        index, _ = await (await growth.leader_of()).propose(b"x")
        n1 = await growth.begin("n1", "n2", "n4")
        await n1.wait_applied(index)
        await growth.until(lambda: all_connected(n1))
        assert ["n1", "n4", "n5"] == [peer.name for peer in n1.status().peers]

    with_growth(tmp_path, scenario)


def test_who_waits_takes_no_member_for_another_that_waits(tmp_path: Path) -> None:
    """Its own log names the first members only; what it was told names those that came later, too."""

    async def scenario(growth: Growth) -> None:
        await growth.found("n1")
        n2 = await growth.begin("n2", "n1")
        await growth.take_in(n2)
        n3 = await growth.begin("n3", "n1", "n2")
        await growth.until(
            lambda: ["n1", "n2"] == [peer.name for peer in n3.status().peers] and all_connected(n3)
        )
        assert () == n3.status().strangers

    with_growth(tmp_path, scenario)


def test_a_directory_at_another_address_is_the_same_member(tmp_path: Path) -> None:
    """Nobody is told but by its own hello; those that come later are told by the others."""

    async def scenario(growth: Growth) -> None:
        n1, n2, n3 = await three(growth)
        member = n3.status().id
        await growth.stop("n3")
        del growth.addresses["n3"]
        moved = await growth.begin("n3")
        address = str(Address(*growth.addresses["n3"]))
        await growth.until(lambda: all_connected(n1, n2, moved))
        assert [address] * 3 == [peer_of(node, member).address for node in (n1, n2, moved)]

    with_growth(tmp_path, scenario)


def test_a_copy_of_the_days_when_the_first_was_alone_is_found_out(tmp_path: Path) -> None:
    """It knows nobody, but gives the others the time to find it, and they know a newer start."""

    async def scenario(growth: Growth) -> None:
        await growth.found("n1")
        await growth.stop("n1")
        shutil.copytree(tmp_path / "n1", tmp_path / "copy")
        await growth.begin("n1")
        for name in ("n2", "n3"):
            await growth.take_in(await growth.begin(name, "n1"))
        await growth.stop("n1")
        leader = await growth.leader_of()
        copy = await growth.begin("n1", directory="copy")
        await growth.until(lambda: "n1" in growth.ended)
        assert "is an old copy" in str(growth.ended["n1"])
        assert copy.status().role == "follower"
        await leader.propose(b"x")

    with_growth(tmp_path, scenario)


def test_the_name_of_a_member_is_free_when_that_has_ended(tmp_path: Path) -> None:
    """As long as it is alive another process with its name is told to go on trying, and the member goes on."""

    async def scenario(growth: Growth) -> None:
        n1 = await growth.found("n1")
        await growth.take_in(await growth.begin("n2", "n1"))
        growth.nodes["first"] = growth.nodes.pop("n2")
        del growth.addresses["n2"]
        fresh = await growth.begin("n2", "n1", directory="fresh")
        await asyncio.sleep(0.3)
        assert ("starting", ()) == (fresh.status().role, n1.status().strangers)
        await (await growth.leader_of()).propose(b"x")
        await growth.stop("first")
        await growth.until(lambda: [fresh.status().id] == [each.id for each in n1.status().strangers])
        assert {} == growth.ended

    with_growth(tmp_path, scenario)


def test_nobody_gets_the_name_of_a_living_member_by_writing_it_otherwise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not from that member itself either; it would advise to be replaced by it."""

    async def scenario(growth: Growth) -> None:
        n1 = await growth.found("n1")
        second = await growth.begin("N1", "n1")
        await growth.until(lambda: "another process calls itself n1 too" in caplog.text)
        assert ("starting", ()) == (second.status().role, n1.status().strangers)
        assert {} == growth.ended

    with_growth(tmp_path, scenario)


def test_who_waits_is_let_go_when_the_level_is_raised_beyond_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No change of the members is needed for that; the node that is too old says so, and waits to be upgraded."""
    monkeypatch.setattr(versions, "levels", lambda: "1..1")

    async def scenario(growth: Growth) -> None:
        n1 = await growth.found("n1")
        growth.machines["n1"].feature_level = 1
        await (await growth.leader_of()).propose(b"a")  # It was noticed that the level is 1.
        old = await growth.begin("n2", "n1")
        growth.machines["n2"].feature_level = 1
        await growth.until(lambda: [old.status().id] == [each.id for each in n1.status().strangers])
        growth.machines["n1"].feature_level = 2
        await (await growth.leader_of()).propose(b"x")
        await growth.until(
            lambda: () == n1.status().strangers and "upgrade raftreg on n2" in old.status().too_old
        )
        assert {} == growth.ended

    with_growth(tmp_path, scenario)


def test_who_waits_for_peers_joins_where_it_is_told_to(tmp_path: Path) -> None:
    """Also a member that is not among them. Before that, whoever comes with a cluster is refused."""

    async def scenario(growth: Growth) -> None:
        n1 = await growth.found("n1")
        await growth.leader_of()
        n2 = await growth.begin("n2", peers={name: growth.address(name) for name in ("n2", "n3")})
        assert n1._peers is not None
        assert n2._peers is not None
        refusal = n2._peers.judge(n1._peers.own_hello()) or ""
        assert "n2 is empty, and n1 is not in its --peers: give it --join" in refusal
        n2.join(growth.address("n1"))
        await growth.take_in(n2)
        assert [True, True] == [peer.voter for peer in n2.status().peers]
        assert {} == growth.ended

    with_growth(tmp_path, scenario)


def test_an_address_that_is_dialed_already_is_not_noted_again(tmp_path: Path) -> None:
    """However often a node that waits is told to join there."""

    async def scenario(growth: Growth) -> None:
        n2 = await growth.begin("n2", "n1")
        for _ in range(3):
            n2.join(growth.address("n1"))
            n2.join(growth.address("n3"))
        assert [growth.address("n1"), growth.address("n3")] == list(n2.settings.join)

    with_growth(tmp_path, scenario)


def test_who_has_no_cluster_and_nobody_to_ask_is_told_the_three_ways(tmp_path: Path) -> None:
    """Nothing is left behind, so that each of them is still open."""

    async def scenario(growth: Growth) -> None:
        for _ in range(2):
            with pytest.raises(StartRefused) as refused:
                await growth.begin("n1")
            for way in ("--peers", "--join", f"raftreg init --node n1 --data-dir {tmp_path / 'n1'}"):
                assert way in str(refused.value)
            assert not (tmp_path / "n1").exists()
        growth.nodes.clear()

    with_growth(tmp_path, scenario)
