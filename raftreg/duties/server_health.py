"""The health of the servers as their leader sees it: what autopilot of Consul would act upon.

A server is healthy when its last contact is younger than the threshold, and its log not further behind than is allowed.
Since when it is the one or the other, only somebody who looks all the time can tell: this duty does, on the leader.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from raftreg.model import Autopilot
from raftreg.registry import PeerStatus, Registry, Status
from raftreg.state import Topic
from raftreg.state.cluster_queries import AutopilotConfig

HEALTH_CALL: Final = "server-health"
_LOOK_S: Final = 1.0
_IDLE_S: Final = 5.0


@dataclass(slots=True)
class _Seen:
    """A server at the last look. `since`: wall clock, seconds, of when it became healthy or ceased to be."""

    healthy: bool
    since: float


class ServerHealthDuty:
    """Looks at the servers while this node leads, and tells what it saw."""

    name = "server health"

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._seen: dict[str, _Seen] = {}
        self._leads = False

    def on_topics(self, topics: Sequence[Topic]) -> None:
        """Nothing in the state wakes this duty."""

    async def step(self) -> float:
        """Look once."""
        status = self._registry.consensus.status()
        if status.role != "leader":
            self._seen.clear()
            return _IDLE_S
        self._look(status)
        return _LOOK_S

    async def on_call(self, caller: str, payload: object) -> object:
        """Some node asks: one list per server, in the order of their names. See `ServerHealth`."""
        status = self._registry.consensus.status()
        self._look(status)
        return [
            [
                peer.id,
                peer.name,
                0.0 if peer.id == status.id else peer.last_contact_s,
                status.term,
                peer.match_index or 0,
                self._seen[peer.id].healthy,
                self._seen[peer.id].since,
            ]
            for peer in status.peers
        ]

    def _look(self, status: Status) -> None:
        settings = self._registry.local(AutopilotConfig()).value
        seen: dict[str, _Seen] = {}
        for peer in status.peers:
            healthy = is_healthy(peer, status, settings)
            before = self._seen.get(peer.id)
            if before is None or before.healthy != healthy:
                before = _Seen(healthy, self._registry.clock.wall())
            seen[peer.id] = before
        self._seen = seen


def is_healthy(peer: PeerStatus, status: Status, settings: Autopilot) -> bool:
    """Whether a server does what is asked of it, by the leader's figures."""
    if peer.id == status.id:
        return True
    if peer.last_contact_s is None or peer.last_contact_s * 1e9 > settings.last_contact_threshold_ns:
        return False
    return (peer.match_index or 0) + settings.max_trailing_logs >= status.last_index
