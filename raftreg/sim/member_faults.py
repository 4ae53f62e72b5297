"""Faults of clusters whose members come and go: changes under fire, lost disks, former disks, old copies of disks."""

from itertools import combinations
from typing import TYPE_CHECKING

from raftreg.chance import Stream
from raftreg.sim.directed import DirectedHarm
from raftreg.sim.faults import Fault
from raftreg.sim.operator import Done

if TYPE_CHECKING:
    from raftreg.sim.cluster import Cluster
    from raftreg.sim.host import Host

# Times the profile's timing: so long nothing else goes wrong when an old copy was put in. A process may be silent as a
# member for three election timeouts, and the peers that know better have to be there then.
PROBATION_S = 2.5
# Likewise: so long a host may need to act when some of the others are missing, and to acknowledge something then.
ALONE_S = 1.6
CALM_S = 1.0  # times the profile's timing


class MemberHarm(DirectedHarm):
    """All faults."""

    def __init__(self, cluster: "Cluster") -> None:
        super().__init__(cluster)
        self._probation_until = 0.0
        self.kinds.update(
            {
                "change": self._change,
                "change-kill": self._change_and_kill,
                "change-cut": self._change_and_cut,
                "lose-disk": self._lose_disk,
                "former-disk": self._former_disk,
                "old-copy": self._old_copy,
            }
        )

    def do(self, fault: Fault) -> None:
        """See Harm."""
        if self.loop.now >= self._probation_until:
            super().do(fault)

    # -- changes -------------------------------------------------------------------------------------------------------
    def _change(self, fault: Fault, name: str, dice: Stream) -> None:
        self.cluster.operator.act(dice)

    def _change_and_kill(self, fault: Fault, name: str, dice: Stream) -> None:
        """The leader dies just after it wrote a change."""
        done = self.cluster.operator.act(dice)
        if done is not None:
            self._later(dice.uniform(0.0, 0.006), self._kill_life, done.leader, done.leader.life, fault, dice)

    def _kill_life(self, host: "Host", life: object, fault: Fault, dice: Stream) -> None:
        if host.life is life and host.up and not self._healed:
            self._kill(fault, host.name, dice)

    def _change_and_cut(self, fault: Fault, name: str, dice: Stream) -> None:
        """The leader is cut off with a change, alone or with whom it concerns; perhaps it dies then."""
        done = self.cluster.operator.act(dice)
        if done is None:
            return
        side = {done.leader.name, *self._concerned(done, dice)}
        names = list(self.cluster.hosts)
        ways = [(a, b) for a in names for b in names if (a in side) != (b in side)]
        lasts_s = dice.uniform(0.3, 3.0)
        self._later(dice.uniform(0.0, 0.003), self._cut_ways, ways, lasts_s)
        if dice.random() < 0.5:
            at = dice.uniform(0.3, 1.5)
            self._later(at, self._kill_life, done.leader, done.leader.life, fault, dice)

    def _concerned(self, done: Done, dice: Stream) -> list[str]:
        if done.change is None or dice.random() < 0.5:
            return []
        host = self.cluster.host_of(done.change.member)
        return [host.name] if host is not None else []

    # -- disks ---------------------------------------------------------------------------------------------------------
    def _bearable(self, host: "Host", back: str | None = None) -> bool:
        """Whether every set that is or may become current keeps a majority of disks without that host's."""
        checks, member = self.cluster.member_checks, host.media.member
        if self.cluster.operator.waits:
            return False  # It was asked for with the disks that there are now.
        if not self.cluster.checks.newest:
            return False  # Nothing is committed yet: a first member that loses its disk takes the cluster with it.
        lost = (self.cluster.lost() | {member}) - {back}
        live = [members for members in checks.live() if member in members.voters]
        return all(2 * len(members.voters - lost) > len(members.voters) for members in live)

    def _lose_disk(self, fault: Fault, name: str, dice: Stream) -> None:
        """A host gets an empty disk."""
        host = self.cluster.hosts[name]
        if host.media.member is None or not self._bearable(host) or not self._some_founder_knows(host):
            return
        host.crash(power=True)
        host.wipe()
        self._later(dice.uniform(0.05, 2.0), self.cluster.revive, name)

    def _some_founder_knows(self, lost: "Host") -> bool:
        """Whether another first member has its cluster on its disk: all of them empty would make another one."""
        others = [self.cluster.hosts[name] for name in self.cluster.founders if name != lost.name]
        return not others or any(other.journal is not None for other in others)

    def _former_disk(self, fault: Fault, name: str, dice: Stream) -> None:
        """A host gets a disk that it had before, so that somebody comes back who may be no member any more."""
        host = self.cluster.hosts[name]
        former = [media for media in host.shelf if not media.copied and media.member is not None]
        if not former or not self._bearable(host, former[0].member):
            return
        host.crash(power=True)
        host.shelf.remove(former[0])
        host.put_in(former[0])
        self._later(dice.uniform(0.05, 2.0), self.cluster.revive, name)

    def _old_copy(self, fault: Fault, name: str, dice: Stream) -> None:
        """A host gets a copy of its disk from before a process acted on it. The others are there to tell it so, though
        perhaps late, and some of them know nothing of that process."""
        host, leader = self.cluster.hosts[name], self.cluster.leader()
        if leader in (None, name) or not self._bearable(host) or not self._all_know(host):
            return
        timing = self.cluster.profile.timing
        quiet_s = dice.choice((0.0, ALONE_S * timing))
        self._probation_until = self.loop.now + quiet_s + PROBATION_S * timing
        if quiet_s:
            self._leave_some_behind(leader, name, quiet_s, dice)
            self._later(quiet_s, self._pause_unless_healed, leader, dice.uniform(0.5, 1.2))
        elif host.media.take_outdated() is None:
            host.stop_orderly()  # Then there will be one.
            return
        self._later(quiet_s, self._put_copy_in, host, dice.uniform(0.01, 0.1))

    def _leave_some_behind(self, leader: str, name: str, seconds: float, dice: Stream) -> None:
        """A bare majority goes on without the rest, so that the rest and that host, which starts anew in between, would
        be one as well."""
        newest = self.cluster.member_checks.newest
        assert newest is not None
        others = [host.name for host in map(self.cluster.host_of, sorted(newest.voters)) if host is not None]
        others = [other for other in others if other not in (leader, name)]
        count = len(newest.voters) // 2 - 1
        friends = [leader, name, *dice.sample(others, min(count, len(others)))]
        rest = [other for other in self.cluster.hosts if other not in friends]
        self._cut_ways([way for a in friends for b in rest for way in ((a, b), (b, a))], seconds)
        self.cluster.hosts[name].crash(power=False)
        self._later(0.02, self.cluster.revive, name)
        for step in range(6):
            self._later(seconds - 0.3 + 0.04 * step, self.cluster.write_at, leader, 2)

    def _pause_unless_healed(self, name: str, seconds: float) -> None:
        if not self._healed:
            self.cluster.hosts[name].pause(seconds, suspended=False)

    def _put_copy_in(self, host: "Host", back: float) -> None:
        if self._healed or not self._bearable(host):
            return
        host.crash(power=True)
        copy = host.media.take_outdated()
        if copy is not None:
            host.put_in(copy)
        self._later(back, self.cluster.revive, host.name)

    def _all_know(self, host: "Host") -> bool:
        """Whether every voter has met the present process of that host, and nothing is wrong between any two."""
        newest, member = self.cluster.member_checks.newest, host.media.member
        if newest is None or member not in newest.voters or len(self.cluster.member_checks.live()) > 1:
            return False
        since = self.loop.now - CALM_S * self.cluster.profile.timing
        others = [self.cluster.host_of(voter) for voter in sorted(newest.voters)]
        voters = [other for other in others if other is not None and other.calm_since() <= since]
        if len(voters) < len(newest.voters):
            return False
        pairs = combinations([voter.name for voter in voters], 2)
        together = all(
            voter is host or (voter.engine is not None and member in voter.engine.guard.up)
            for voter in voters
        )
        return together and all(self.network.calm_since(*pair) <= since for pair in pairs)
