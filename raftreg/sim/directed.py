"""Faults that know what they want: schedules that random ones hardly ever hit, each made for one of the mends."""

from typing import TYPE_CHECKING

from raftreg.chance import Stream
from raftreg.consensus import messages
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
                "copy-power": self._copy_power,
                "crossing": self._crossing,
                "split": self._split,
                "wipe-one": self._wipe_one,
                "deafen": self._deafen_leader,
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

    def _copy_power(self, fault: Fault, name: str, dice: Stream) -> None:
        """Somebody loses power while it writes a snapshot."""

        def copied(host: str) -> None:
            self._later(dice.uniform(0.0, 0.004), self._lose_power, host, dice.uniform(0.05, 0.5))

        self.cluster.when_copied.append(copied)

    def _crossing(self, fault: Fault, name: str, dice: Stream) -> None:
        """A member that heard nothing asks the others whether they would vote for it, and hears the leader before they
        answer: the leader may rely on that."""
        leader = self.cluster.leader()
        if leader is None or len(self.cluster.names) < 3:
            return
        asker, *rest = dice.sample(self._others(leader), len(self.cluster.names) - 1)
        ways = [(leader, other) for other in (asker, *rest)]
        for way in ways:
            self.network.cut(*way)
        for way in ways[1:]:
            self._later(0.9, self._mend, *way)
        answers = [self.network.paths[other, asker] for other in rest]
        for path in answers:
            path.slow_s = 0.025

        def asked() -> None:
            self._later(0.012, self._mend, leader, asker)
            self._later(0.0125, self.cluster.probe_reads, leader, 0.08, 0.002, "consistent")
            self._later(0.0135, self.cluster.probe_reads, leader, 0.08, 0.002)
            self._later(0.026, self.cluster.probe_writes, leader, 0.06, 0.003)
            for path in answers:
                self._later(0.006, setattr, path, "slow_s", 0.0)

        self.network.when_sent.append((messages.PREVOTE_ASK, asker, asked))

    def _wipe_one(self, fault: Fault, name: str, dice: Stream) -> None:
        """Two hosts of three go on alone; one of them loses its disk, and meets the third, while the other is down."""
        leader = self.cluster.leader()
        if leader is None or len(self.cluster.names) != 3 or self.cluster.wiped is not None:
            return
        lost, third = dice.sample(self._others(leader), 2)
        self._isolate(Fault(fault.at_s, "isolate", 0, 0.2, 0), third, dice)
        for step in range(4):
            self._later(0.05 * step, self.cluster.write_at, leader, 2)
        self._later(0.35, self._lose_power, leader, 4.0)
        self._later(0.352, self._wipe, fault, lost, dice)

    def _split(self, fault: Fault, name: str, dice: Stream) -> None:
        """Two that do not hear each other campaign at once, and each gets the same vote several times."""
        leader = self.cluster.leader()
        if leader is None or len(self.cluster.names) < 5:
            return
        *voters, one, other = self._others(leader)  # the greater names have precedence
        self._cut_ways([(one, other), (other, one)], 1.0)
        for number, voter in enumerate(voters):
            self.network.paths[(one, other)[number % 2], voter].slow_s = 0.06
            self._later(1.0, setattr, self.network.paths[(one, other)[number % 2], voter], "slow_s", 0.0)
            for candidate in (one, other):
                self.network.paths[voter, candidate].duplicating_until = self.loop.now + 1.0
        self._later(0.001, self._kill, fault, leader, dice)

    def _deafen_leader(self, fault: Fault, name: str, dice: Stream) -> None:
        """The leader is heard by everybody, and hears nobody."""
        leader = self.cluster.leader() or name
        self._cut_ways([(other, leader) for other in self._others(leader)], fault.lasts_s)

    def _stale_ack(self, fault: Fault, name: str, dice: Stream) -> None:
        """Acks of a leader's first term arrive in its second one, when the acknowledging member has another log."""
        greatest = self.cluster.names[-1]  # the heir of whoever hands over while all have the same log
        if len(self.cluster.names) >= 5:
            self._hand_to(greatest)
            self._later(0.4, self._go_alone, greatest, dice)

    def _hand_to(self, heir: str) -> None:
        leader = self.cluster.leader()
        if leader is not None and leader != heir:
            self._hand_over_unless_healed(leader)

    def _go_alone(self, former: str, dice: Stream) -> None:
        """The first term: the leader and a friend get a tail, and the friend's acks are on their way for long."""
        if self.cluster.leader() != former or self._healed:
            return
        friend = dice.choice(self._others(former))
        rest = [other for other in self._others(former) if other != friend]
        ways = [way for a in (former, friend) for b in rest for way in ((a, b), (b, a))]
        for way in ways:
            self.network.cut(*way)
        arrive = self.loop.now + 1.85  # sooner than anybody holds the connection for dead
        self.network.paths[friend, former].stalled_until = arrive
        for step in range(16):
            self._later(0.006 * step, self.cluster.write_at, former, 1)

        def elected(leader: str) -> None:
            """The second term has other entries; then its leader makes way for the first one."""
            for way in ways:
                self._later(0.02, self._mend, *way)
            if leader in rest:
                self._later(0.3, self._hand_to, former)
                self._later(arrive - self.loop.now - 0.25, self._leave_behind, former, friend, rest)

        self.cluster.when_elected.append(elected)

    def _leave_behind(self, former: str, friend: str, rest: list[str]) -> None:
        """The third term: new entries reach one member only when the friend's old acks arrive."""
        if self.cluster.leader() != former or self._healed:
            return
        self._cut_ways([(former, other) for other in (friend, *rest[1:])], 1.5)
        for step in range(3):
            self._later(0.01 + 0.03 * step, self.cluster.write_at, former, 1)

    def _power_of_leader(self, fault: Fault, old: str, dice: Stream) -> None:
        """A leader that dies right after its election."""
        leader = self.cluster.leader()
        if leader is not None and leader != old and not self._healed:
            self._power(fault, leader, dice)

    def _hand_over(self, fault: Fault, name: str, dice: Stream) -> None:
        """The leader gives leadership away, and hears nothing of what comes of it."""
        self._later(0.02, self._hand_over_now, fault, name, dice)

    def _hand_over_now(self, fault: Fault, name: str, dice: Stream) -> None:
        if self._hand_over_unless_healed(name):
            self._later(dice.uniform(0.001, 0.004), self._isolate_unless_healed, fault, name, dice)

    def _hand_over_unless_healed(self, name: str) -> bool:
        host = self.cluster.hosts[name]
        driver = host.node.driver if host.up and host.node is not None else None
        if driver is None or self._healed:
            return False
        self.loop.soon(host.life, driver.engine.election.hand_over)
        return True

    def _isolate_unless_healed(self, fault: Fault, name: str, dice: Stream) -> None:
        if not self._healed:
            self._isolate(fault, name, dice)
