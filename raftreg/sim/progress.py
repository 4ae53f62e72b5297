"""Liveness while faults last: a majority that nothing is wrong with does not stand still, and nobody in it lags.

Looked at now and then. What is wrong with a minority, or between it and the rest, is no excuse: a leader that hears
nobody, a disk that hangs, an endless campaign of somebody who is cut off.
"""

from itertools import combinations
from typing import TYPE_CHECKING

from raftreg.consensus.members import Members

if TYPE_CHECKING:
    from raftreg.sim.cluster import Cluster

LOOK_S = 0.5
# Times the profile's timing: as long may a calm majority commit nothing. 0.9 of it is what a member that has just
# started waits for objections when another one is away (`admission`).
STILL_S = 2.4
HUNG_DISK_S = 2.2  # a leader whose disk hangs gives up after so long
LAG_S = 1.5  # times the profile's timing: as long may a calm member of a calm majority lag behind


class Progress:
    """Looks at one cluster from its first write on, until `end`."""

    def __init__(self, cluster: "Cluster") -> None:
        self.cluster, self.loop = cluster, cluster.loop
        self.still_s = STILL_S * cluster.profile.timing
        self.lag_s = LAG_S * cluster.profile.timing
        self._commits: list[tuple[float, int]] = []  # (when, newest committed index) of former looks
        self.ended = False
        self.loop.at(LOOK_S, self.loop.world, self._look)

    def _look(self) -> None:
        if self.ended:
            return
        self.loop.at(self.loop.now + LOOK_S, self.loop.world, self._look)
        checks, now = self.cluster.checks, self.loop.now
        self._commits.append((now, checks.newest))
        if not checks.newest or not self.cluster.busy:
            return
        since, majority = self._calmest_majority()
        if majority and now - since > LOOK_S:
            self._judge(now, since, majority)

    def _calmest_majority(self) -> tuple[float, tuple[str, ...]]:
        """The majority that is calm for the longest time, and since when.

        Where members come and go: of the newest committed set, since they changed last, and as calm as one of each set
        that may become current.
        """
        cluster = self.cluster
        if cluster.profile.membership is None:
            return self._calmest_of(cluster.names, len(cluster.names))
        bests = [self._calmest_of(*self._hosts_of(members)) for members in cluster.member_checks.live()]
        if not bests:
            return float("inf"), ()
        return max(cluster.member_checks.moved_at_s, *(since for since, _ in bests)), bests[0][1]

    def _hosts_of(self, members: Members) -> tuple[list[str], int]:
        """The hosts with the disks of voters, and how many voters there are."""
        found = [self.cluster.host_of(voter) for voter in sorted(members.voters)]
        return [host.name for host in found if host is not None], len(members.voters)

    def _calmest_of(self, names: list[str], voters: int) -> tuple[float, tuple[str, ...]]:
        cluster = self.cluster
        calm = {name: cluster.hosts[name].calm_since() for name in names}
        well = [name for name in names if calm[name] <= self.loop.now]
        best: tuple[float, tuple[str, ...]] = (float("inf"), ())
        for group in combinations(well, voters // 2 + 1):
            pairs = [cluster.network.calm_since(*pair) for pair in combinations(group, 2)]
            best = min(best, (max(*(calm[name] for name in group), *pairs, 0.0), group))
        return best

    def _some_disk_hangs(self) -> bool:
        return any(host.pace.ends_at > self.loop.now - self.still_s for host in self.cluster.hosts.values())

    def _judge(self, now: float, since: float, majority: tuple[str, ...]) -> None:
        checks, cluster = self.cluster.checks, self.cluster
        still = now - max(since, checks.committed_at_s)
        allowed = self.still_s + (HUNG_DISK_S if self._some_disk_hangs() else 0.0)
        if still > allowed:
            text = f"{', '.join(majority)} can work since {since:.3f} s, but nothing was committed for {still:.1f} s"
            checks.violated("progress", text)
        elif still > self.still_s / 4:
            cluster.write_at(majority[int(now / LOOK_S) % len(majority)], 1)
        if now - max(since, checks.elected_at_s) < self.lag_s or cluster.leader() not in majority:
            return
        due = max((index for when, index in self._commits if when <= now - self.lag_s), default=0)
        for name in majority:
            node = cluster.hosts[name].node
            driver = node.driver if node is not None else None
            applied = driver.engine.raftLastApplied if driver is not None else 0
            if applied < due:
                text = f"{name} is at entry {applied}; {due} was committed {self.lag_s:.1f} s ago or earlier"
                checks.violated("lag", text)
