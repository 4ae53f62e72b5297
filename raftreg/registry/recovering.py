"""A cluster whose majority is lost for ever: what survived, and a new cluster from one directory. No node runs.

What is guaranteed
    * Nothing in a directory is changed by looking at it.
    * `Remains.make_cluster` leaves the old contents or the new, whenever the process is killed. The old ones are kept.
    * The new cluster has another id, so that no former member takes part in it with what it remembers.
What is not
    * Completeness: writes that were acknowledged by others while this node lagged are not in its directory. Writes
      that were in flight, acknowledged to nobody, are taken for done.
"""

from dataclasses import dataclass
from pathlib import Path

from raftreg.clock import Clock
from raftreg.consensus.disk import Disk
from raftreg.consensus.members import name_of
from raftreg.consensus.survivor import Opened, Survivor
from raftreg.registry.replica import Replica
from raftreg.state import State


@dataclass(frozen=True, slots=True)
class Contents:
    """How much is in a state."""

    keys: int
    nodes: int
    services: int
    sessions: int


class Remains:
    """A data directory that survived, locked and loaded. A context manager."""

    def __init__(self, path: Path, clock: Clock, disk: Disk | None = None) -> None:
        """Raises StartRefused (a node runs on it, or it is none) or Damaged."""
        self._clock = clock
        self._replica = Replica(State())
        self._opened = Opened(path, disk)
        try:
            self.survivor: Survivor = self._opened.load(self._replica, clock)
        except BaseException:
            self._opened.close()
            raise

    def __enter__(self) -> "Remains":
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def contents(self) -> Contents:
        """How much is in it, the entries of the log that may not have been committed included."""
        state = self._replica.state
        hosts = state.catalog.hosts.values()
        return Contents(
            keys=len(state.kv.entries),
            nodes=len(hosts),
            services=sum(len(host.services) for host in hosts),
            sessions=len(state.sessions.sessions),
        )

    def members(self) -> list[str]:
        """The names of the members that it knows, voters first."""
        members = self.survivor.members
        return [*sorted(map(name_of, members.voters)), *sorted(map(name_of, members.learners))]

    def make_cluster(self) -> tuple[str, Path]:
        """Make it the directory of a new cluster of one. Returns the new cluster id and where the old files are."""
        members, former = self._opened.make_cluster(self.survivor, self._replica, self._clock)
        return members.cluster_id, former
