"""What a node needs to know to take part in its cluster."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from raftreg.consensus.engine import Timing

LEASE_PER_ELECTION = 0.2


@dataclass(frozen=True, slots=True)
class RaftSettings:
    """`peers`: each name, this node's own included -> (host, port) by which this node reaches it. Times in s."""

    name: str
    data_dir: Path
    listen: tuple[str, int]
    peers: Mapping[str, tuple[str, int]]
    cluster_key: bytes | None
    election_timeout_min_s: float = 0.15
    election_timeout_max_s: float = 0.30
    heartbeat_s: float = 0.06
    snapshot_entries: int = 20_000

    @property
    def timing(self) -> Timing:
        """The engine's times."""
        lease_s = self.election_timeout_min_s * LEASE_PER_ELECTION
        return Timing(self.election_timeout_min_s, self.election_timeout_max_s, self.heartbeat_s, lease_s)
