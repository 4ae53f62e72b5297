"""A FakeCluster whose members change: the leader does what it is told, and a test says what goes wrong."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from raftreg.consensus import MemberChange, PeerStatus, Status, StrangerStatus
from raftreg.errors import HandingOver, NotLeader, OutcomeUnknown, Refused
from raftreg.registry import Registry
from tests.fake_cluster import FakeCluster, FakeNode

UUID = "0123456789abcdef0123456789abcdef"  # of a member, as its id has it


def peer(
    name: str,
    *,
    incarnation: str = "1",
    voter: bool = True,
    silent_s: float = 0.0,
    caught_up: bool | None = None,
    standby: bool = False,
) -> PeerStatus:
    """A member at NAME:1 that was heard so long ago."""
    member, up = f"{name}.{incarnation}", silent_s < 1
    return PeerStatus(member, name, f"{name}:1", voter, up, silent_s, 5, caught_up, standby)


def stranger(name: str, *, incarnation: str = "9", connected_s: float = 60.0) -> StrangerStatus:
    """A process that waits, at NAME:9."""
    return StrangerStatus(f"{name}.{incarnation}", name, f"{name}:9", connected_s)


def view(
    *peers: PeerStatus, strangers: tuple[StrangerStatus, ...] = (), me: str = "a", leads: bool = True
) -> Status:
    """What node `me` sees; it leads unless told otherwise."""
    return Status(
        id=f"{me}.1",
        name=me,
        role="leader" if leads else "follower",
        term=2,
        leader_id=f"{me}.1" if leads else None,
        leader_name=me if leads else None,
        leader_address=f"{me}:1" if leads else None,
        commit_index=7,
        applied_index=7,
        last_index=7,
        durable_index=7,
        snapshot_index=0,
        cluster_id="c1",
        leader_contact_s=0.0,
        peers=peers,
        strangers=strangers,
    )


class MemberCluster(FakeCluster):
    """Members and strangers that all nodes see alike. `change_faults` are taken one per change.

    "hand over": the next name leads, nothing was done. "lost": done, but the leader does not know. "dropped": neither.
    """

    def __init__(self, *names: str) -> None:
        super().__init__(*names)
        self.nodes = {name: MemberNode(self, name) for name in names}
        self.members = {f"{name}.1": peer(name) for name in names}
        self.strangers: dict[str, StrangerStatus] = {}
        self.change_faults: list[str] = []
        self.changes: list[MemberChange] = []
        self.transfers = 0
        self.is_committed = True  # the last change

    def carry_out(self, change: MemberChange) -> None:
        """Do what a change says."""
        self.changes.append(change)
        if change.kind in ("remove", "replace"):
            del self.members[change.old or change.member]
        if change.kind == "promote":
            self.members[change.member] = replace(self.members[change.member], voter=True)
        elif change.kind != "remove":
            name, _, incarnation = change.member.rpartition(".")
            self.strangers.pop(change.member, None)
            self.members[change.member] = peer(
                name, incarnation=incarnation, voter=False, standby=change.standby
            )

    def next_leader(self) -> str:
        """Somebody else leads from now on."""
        self.elect(next(name for name in self.nodes if name != self.leader))
        assert self.leader is not None
        return self.leader


class MemberNode(FakeNode):
    """A node of a MemberCluster."""

    cluster: MemberCluster

    def status(self) -> Status:
        """The members and strangers there are."""
        cluster, leads = self.cluster, self.cluster.leader == self.name
        shown = view(
            *cluster.members.values(), strangers=tuple(cluster.strangers.values()), me=self.name, leads=leads
        )
        return replace(shown, leader_name=cluster.leader, members_committed=cluster.is_committed)

    async def change_members(self, change: MemberChange) -> int:
        """Carry it out, unless the next fault says otherwise."""
        if self.cluster.leader != self.name:
            raise NotLeader("not the leader")
        if not self.cluster.is_committed:
            raise Refused(409, "another change of members is not committed yet")
        fault = self.cluster.change_faults.pop(0) if self.cluster.change_faults else ""
        if fault == "hand over":
            self.cluster.next_leader()
            raise HandingOver("ask the next leader")
        if fault != "dropped":
            self.cluster.carry_out(change)
        if fault in ("lost", "dropped"):
            self.cluster.next_leader()
            raise OutcomeUnknown("leadership was lost")
        return 8

    async def transfer_leadership(self, to: str | None = None) -> str:
        """Elect the one that is named, or the next."""
        self.cluster.transfers += 1
        if to is None:
            return f"{self.cluster.next_leader()}.1"
        self.cluster.elect(to.rpartition(".")[0])
        return to


def run(scenario: Callable[[MemberCluster, dict[str, Registry]], Awaitable[None]]) -> None:
    """Run a scenario on a cluster of a, b and c, with a as its leader, and a registry on each."""

    async def main() -> None:
        cluster = MemberCluster("a", "b", "c")
        registries = {name: cluster.registry(name, timeout_s=2.0) for name in cluster.nodes}
        await asyncio.wait_for(scenario(cluster, registries), 20)

    asyncio.run(main())
