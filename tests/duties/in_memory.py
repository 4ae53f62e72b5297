"""A registry over one node in memory, on a clock that the test moves, with peers and leadership as the test says."""

from dataclasses import replace

from raftreg.commands import Register
from raftreg.consensus import PeerStatus, Role, Status
from raftreg.consensus.local import LocalConsensus
from raftreg.model import Check, Node, Probe, Service
from raftreg.registry import Registry, Replica
from raftreg.state import State
from raftreg.state.queries import CheckById
from tests.fake_clock import FakeClock


class StagedConsensus(LocalConsensus):
    """A node in memory whose status a test writes."""

    peers: tuple[PeerStatus, ...] = ()
    role: Role = "leader"

    def status(self) -> Status:
        """As set."""
        status = super().status()
        return replace(status, role=self.role, peers=self.peers or status.peers)


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
