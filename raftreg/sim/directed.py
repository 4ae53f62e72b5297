"""Faults that know what they want: schedules that random ones hardly ever hit, each made for one of the mends."""

from typing import TYPE_CHECKING

from raftreg.chance import Stream
from raftreg.sim.faults import Fault, Harm

if TYPE_CHECKING:
    from raftreg.sim.cluster import Cluster


class DirectedHarm(Harm):
    """Random faults and directed ones."""

    def __init__(self, cluster: "Cluster") -> None:
        super().__init__(cluster)
        self.kinds.update(
            {
                "tail": self._tail,
                "tail-power": self._tail,
                "tail-kill": self._long_tail,
                "one-of-two": self._one_of_two,
                "trap": self._trap,
                "vote-and-die": self._vote_and_die,
                "stale-ack": self._stale_ack,
                "hand-over": self._hand_over,
            }
        )

    def _tail(self, fault: Fault, name: str, dice: Stream) -> None:
        """A leader goes on alone and gets a tail that nobody has; it comes back when another leads, perhaps twice."""
        leader = self.cluster.leader() or name
        self._isolate(
            Fault(fault.at_s, "isolate", fault.host, dice.uniform(0.2, 0.8), fault.dice), leader, dice
        )
        self._later(0.001, self.cluster.write_at, leader, dice.choice((1, 1, 2, 5)))
        if fault.kind == "tail-power":
            heir = dice.uniform(0.3, 0.9)
            self._later(heir, self._power_of_leader, fault, leader, dice)

    def _long_tail(self, fault: Fault, name: str, dice: Stream) -> None:
        """A leader gets a long tail that nobody has, and starts again with it: it has forgotten what was committed."""
        leader = self.cluster.leader() or name
        self._isolate(Fault(fault.at_s, "isolate", fault.host, 0.45, fault.dice), leader, dice)
        for step in range(30):
            self._later(0.002 + 0.008 * step, self.cluster.write_at, leader, 1)
        self._later(dice.uniform(0.7, 0.9), self._kill, fault, leader, dice)

    def _one_of_two(self, fault: Fault, name: str, dice: Stream) -> None:
        """The leader and one member go on without the rest, one of the two with a slow disk. Both lose power. The slow
        one comes back first, and meets the rest, who know nothing of what the two did."""
        leader = self.cluster.leader()
        if leader is None or len(self.cluster.names) < 3:
            return
        others = self._others(leader)
        partners = dice.sample(others, len(self.cluster.names) // 2)
        both = [leader, *partners]
        rest = [other for other in others if other not in partners]
        slow = [leader] if dice.random() < 0.5 else partners
        wait = dice.uniform(0.02, 0.25)
        self._cut_ways([way for a in both for b in rest for way in ((a, b), (b, a))], wait)
        for each in slow:
            self.cluster.hosts[each].pace.slow_until = self.loop.now + wait
            self.cluster.hosts[each].pace.slow_s = 3.0
        for step in range(4):
            self._later(wait * step / 5, self.cluster.write_at, leader, 2)
        for each in both:
            back = dice.uniform(0.05, 0.2) if each in slow else dice.uniform(1.5, 3.0)
            self._later(wait, self._lose_power, each, back)

    def _lose_power(self, name: str, back: float) -> None:
        if not self._healed:
            self.cluster.hosts[name].crash(power=True)
            self._later(back, self.cluster.revive, name)

    def _trap(self, fault: Fault, name: str, dice: Stream) -> None:
        """The leader ends right after it acknowledged a write."""
        self.cluster.trapped = name
        self.cluster.write_at(name, 1)

    def _vote_and_die(self, fault: Fault, name: str, dice: Stream) -> None:
        """Somebody is elected by hosts with slow disks, which then lose power; the old leader is back meanwhile."""
        old = self.cluster.leader()
        if old is None:
            return
        for other in self._others(old):
            pace = self.cluster.hosts[other].pace
            pace.slow_until, pace.slow_s = self.loop.now + 1.5, 1.0
        ways = [way for other in self._others(old) for way in ((old, other), (other, old))]
        for way in ways:
            self.network.cut(*way)

        def elected(leader: str) -> None:
            for way in ways:
                self._mend(*way)
            if self._healed or leader == old:
                return
            self._isolate(Fault(fault.at_s, "isolate", 0, 1.0, 0), leader, dice)
            for other in self._others(leader):
                self.cluster.hosts[other].pace.slow_until = 0.0
                if other != old:
                    self._lose_power(other, 0.05)

        self.cluster.when_elected.append(elected)

    def _stale_ack(self, fault: Fault, name: str, dice: Stream) -> None:
        """Acks of a leader's first term arrive in its second one, when the acknowledging member has another log."""
        leader = self.cluster.leader()
        if leader is None or len(self.cluster.names) < 5:
            return
        friend = dice.choice(self._others(leader))
        rest = [other for other in self._others(leader) if other != friend]
        self.network.paths[friend, leader].stalled_until = self.loop.now + 1.9
        self._cut_ways([way for a in (leader, friend) for b in rest for way in ((a, b), (b, a))], 0.75)
        for step in range(8):
            self._later(0.02 * step, self.cluster.write_at, leader, 1)
        self._later(1.1, self._depose, leader, friend, dice)

    def _depose(self, former: str, friend: str, dice: Stream) -> None:
        """The leader in between ends, and if the former one leads again, its friend does not hear it."""
        between = self.cluster.leader()
        if between is None or between == former or self._healed:
            return

        def elected(leader: str) -> None:
            if leader == former and not self._healed:
                self._cut_ways([(former, friend)], 1.5)
                for step in range(40):
                    self._later(0.02 * step, self.cluster.write_at, former, 1)

        self.cluster.when_elected.append(elected)
        self._kill(Fault(0.0, "kill", 0, 1.0, 0), between, dice)

    def _power_of_leader(self, fault: Fault, old: str, dice: Stream) -> None:
        """A leader that dies right after its election."""
        leader = self.cluster.leader()
        if leader is not None and leader != old and not self._healed:
            self._power(fault, leader, dice)

    def _hand_over(self, fault: Fault, name: str, dice: Stream) -> None:
        """The leader gives leadership away, and hears nothing of what comes of it."""
        self._later(0.02, self._hand_over_now, fault, name, dice)

    def _hand_over_now(self, fault: Fault, name: str, dice: Stream) -> None:
        host = self.cluster.hosts[name]
        driver = host.node.driver if host.up and host.node is not None else None
        if driver is not None and not self._healed:
            self.loop.soon(host.life, driver.engine.election.hand_over)
            self._later(dice.uniform(0.001, 0.004), self._isolate_unless_healed, fault, name, dice)

    def _isolate_unless_healed(self, fault: Fault, name: str, dice: Stream) -> None:
        if not self._healed:
            self._isolate(fault, name, dice)
