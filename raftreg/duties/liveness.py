"""The duty of the leader for the cluster's own nodes: serfHealth, and new homes for what a lost node registered."""

import logging
from collections.abc import Sequence
from typing import Final

from raftreg.commands import CheckUpdate, Deregister, Rehome
from raftreg.model import HTTP_META, SERF_HEALTH, SERVER_SERVICE
from raftreg.registry import PeerStatus, Registry
from raftreg.state import Topic
from raftreg.state.queries import CheckById, NodeServices, ServiceNodes

log = logging.getLogger(__name__)

ALIVE: Final = "Agent alive and reachable"
LOST: Final = "Agent not live or unreachable"
_LOOK_S: Final = 0.2
_IDLE_S: Final = 5.0


class LivenessDuty:
    """Keeps serfHealth of each member while this node leads. A new leader waits once before it believes a silence."""

    name = "liveness"

    def __init__(self, registry: Registry, lost_after_s: float) -> None:
        self._registry = registry
        self._lost_after_s = lost_after_s
        self._leading_since: float | None = None
        self._members: set[str] = set()  # folded names of all that were members, as far as is known here
        self._rehomed: dict[
            str, int
        ] = {}  # index of the lost node's record when everything that could move had moved

    def on_topics(self, topics: Sequence[Topic]) -> None:
        """Nothing in the state wakes this duty."""

    async def step(self) -> float:
        """Compare what the transport hears with what the catalog says."""
        status = self._registry.consensus.status()
        now = self._registry.clock.now()
        if status.role != "leader":
            self._leading_since = None
            self._rehomed.clear()
            self._members.clear()
            return _IDLE_S
        if self._leading_since is None:
            self._leading_since = now
        lost = [peer for peer in status.peers if self._is_lost(peer, now - self._leading_since)]
        heard = [peer for peer in status.peers if peer not in lost and self._is_heard(peer)]
        for peer in heard:
            self._rehomed.pop(peer.name, None)
            await self._tell(peer.name, "passing", ALIVE)
        if status.members_committed:
            self._members.update(peer.name.lower() for peer in status.peers)
            # A leader may have died between a removal and what follows from it.
            self._members.update(name.lower() for name in status.former)
        living = [other.name for other in heard]
        for name in [*(peer.name for peer in lost), *self._strangers(status.peers)]:
            # What moves goes first, so that it is not critical for a moment together with the node that it leaves.
            await self._rehome(name, living)
            if status.members_committed and self._has_left(name, status.peers):
                log.info("node %s was removed from the cluster: it leaves the catalog", name)
                await self._registry.write(Deregister(name), as_leader=True)
            else:
                await self._tell(name, "critical", LOST)
        return _LOOK_S

    def _has_left(self, name: str, members: Sequence[PeerStatus]) -> bool:
        """Whether a node was a member of this cluster, and is none now."""
        return name.lower() in self._members and all(peer.name.lower() != name.lower() for peer in members)

    def _strangers(self, members: Sequence[PeerStatus]) -> list[str]:
        """Nodes that registered themselves in another cluster, whose archive was restored in this one."""
        names = {peer.name.lower() for peer in members}
        rows = self._registry.local(ServiceNodes(SERVER_SERVICE)).value
        return [
            node.name
            for node, service in rows
            if node.name.lower() not in names
            and service.id == SERVER_SERVICE
            and HTTP_META in (service.meta or {})
        ]

    def _is_heard(self, peer: PeerStatus) -> bool:
        if peer.name == self._registry.node_name:
            return True
        return peer.last_contact_s is not None and peer.last_contact_s < self._lost_after_s

    def _is_lost(self, peer: PeerStatus, leading_s: float) -> bool:
        return not self._is_heard(peer) and leading_s >= self._lost_after_s

    async def _tell(self, node: str, status: str, output: str) -> None:
        """Write the check if it says otherwise. A node that has not registered itself yet has none."""
        check = self._registry.local(CheckById(node, SERF_HEALTH)).value
        if check is None or (check.status, check.output) == (status, output):
            return
        log.log(logging.INFO if status == "passing" else logging.WARNING, "node %s: %s", node, output)
        await self._registry.write(
            CheckUpdate(node, SERF_HEALTH, status, output, check.modify_index), as_leader=True
        )

    async def _rehome(self, node: str, living: Sequence[str]) -> None:
        """Move what has an address of its own to the living node with the fewest services."""
        index = self._registry.local(CheckById(node, SERF_HEALTH)).index
        if not living or self._rehomed.get(node) == index:
            return
        found = self._registry.local(NodeServices(node)).value
        if found is not None and any(service.address for service in found[1]):
            target = min(living, key=lambda name: (self._services_on(name), name))
            moved = await self._registry.write(Rehome(node, target), as_leader=True)
            log.info("services of lost node %s that run elsewhere went to %s: %s", node, target, moved.value)
        self._rehomed[node] = self._registry.local(CheckById(node, SERF_HEALTH)).index

    def _services_on(self, node: str) -> int:
        found = self._registry.local(NodeServices(node)).value
        return 0 if found is None else len(found[1])
