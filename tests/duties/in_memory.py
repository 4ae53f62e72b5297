"""A registry over one node in memory, on a clock that the test moves, with peers and leadership as the test says."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from raftreg.commands import Register
from raftreg.consensus import PeerStatus, Role, Status
from raftreg.consensus.local import LocalConsensus
from raftreg.model import Check, Node, Probe, Service
from raftreg.registry import Registry, Replica
from raftreg.state import State, Topic
from raftreg.state.queries import CheckById
from tests.fake_clock import FakeClock


class StagedConsensus(LocalConsensus):
    """A node in memory whose status a test writes."""

    peers: tuple[PeerStatus, ...] = ()
    role: Role = "leader"
    former: frozenset[str] = frozenset()
    members_committed = True

    def status(self) -> Status:
        """As set."""
        status = super().status()
        return replace(
            status,
            role=self.role,
            peers=self.peers or status.peers,
            former=self.former,
            members_committed=self.members_committed,
        )


class Stage:
    """What duties act on."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        replica = Replica(State())
        self.consensus = StagedConsensus(replica, self.clock, name="n1")
        self.registry = Registry(self.consensus, replica, self.clock, node_name="n1", datacenter="dc1")

    def peer(self, name: str, last_contact_s: float | None) -> PeerStatus:
        """A member that was heard so long ago."""
        return PeerStatus(f"{name}.1", name, f"127.0.0.1:{ord(name[-1])}", True, True, last_contact_s)

    async def register(self, node: str, *checks: Check, service: Service | None = None) -> None:
        """Register a node with what is given on it."""
        record = Node(node, "", "10.0.0.1")
        await self.registry.write(Register(node, node=record, service=service, checks=checks))

    def check(self, node: str, check_id: str) -> Check:
        """A check that must be there."""
        found = self.registry.local(CheckById(node, check_id)).value
        assert found is not None, f"{check_id} on {node} is gone"
        return found


class Duty(Protocol):
    """What the leader does again and again."""

    def on_topics(self, topics: Sequence[Topic]) -> None:
        """Something changed."""
        ...

    async def step(self) -> float:
        """One step; how long to wait until the next."""
        ...


D = TypeVar("D", bound=Duty)


class DutyStage(Stage, Generic[D]):
    """A stage with a duty on it, which is stepped by hand."""

    def __init__(self, make: Callable[[Registry, Callable[[], None]], D]) -> None:
        super().__init__()
        self.woken = 0
        self.duty = make(self.registry, self._wake)
        self.registry.on_topics(self.duty.on_topics)

    def _wake(self) -> None:
        self.woken += 1

    async def at(self, time: float) -> float:
        """Move the clock to so many seconds after the start and take a step; how long the duty wants to wait."""
        self.clock.time = 1000.0 + time
        return await self.duty.step()


def ttl_check(
    check_id: str, ttl_s: float, *, status: str = "passing", service_id: str = "", reap_s: float = 0
) -> Check:
    """A TTL check of node n1."""
    probe = Probe("ttl", ttl_s=ttl_s, deregister_after_s=reap_s)
    return Check("n1", check_id, check_id, status=status, service_id=service_id, type="ttl", probe=probe)


def alias_check(check_id: str, service_id: str, **options: str) -> Check:
    """An alias check of a service of node n1."""
    return Check(
        "n1", check_id, check_id, service_id=service_id, type="alias", probe=Probe("alias", options=options)
    )
