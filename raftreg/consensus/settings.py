"""What a node needs to know to take part in its cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from raftreg.addresses import Address
from raftreg.consensus.engine import Timing

LEASE_PER_ELECTION = 0.2


@dataclass(frozen=True, slots=True)
class RaftSettings:
    """`peers`: each name, this node's own included -> (host, port) by which this node reaches it. Times in s.

    Together they make the cluster at the first start. A node without peers joins one through the addresses in `join`.
    `advertise`: where the others reach this node, host:port; "" for its own entry in `peers`, else where it listens.
    """

    name: str
    data_dir: Path
    listen: tuple[str, int]
    peers: Mapping[str, tuple[str, int]]
    cluster_key: bytes | None
    election_timeout_min_s: float = 0.15
    election_timeout_max_s: float = 0.30
    heartbeat_s: float = 0.06
    snapshot_entries: int = 20_000
    join: Sequence[tuple[str, int]] = ()
    advertise: str = ""

    @property
    def reached_at(self) -> str:
        """What this node tells others of its address: host:port, or :port if it does not know its host."""
        address = Address(*self.peers.get(self.name, self.listen))
        return self.advertise or (f":{address.port}" if address.is_everywhere else str(address))

    @property
    def timing(self) -> Timing:
        """The engine's times."""
        lease_s = self.election_timeout_min_s * LEASE_PER_ELECTION
        return Timing(self.election_timeout_min_s, self.election_timeout_max_s, self.heartbeat_s, lease_s)
