"""Faults: a schedule made from the seed, and how each is done to a cluster and undone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raftreg.chance import Stream
from raftreg.sim.profiles import Profile

if TYPE_CHECKING:
    from raftreg.sim.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Fault:
    """`host` is a number; kinds that aim at the leader fall back on it when nobody leads. `dice` is the fault's own
    randomness."""

    at_s: float
    kind: str
    host: int
    lasts_s: float
    dice: int

    def __str__(self) -> str:
        return f"{self.at_s:8.3f} s  {self.kind:<16} host {self.host + 1}, {self.lasts_s:.3f} s, dice {self.dice}"


def schedule(profile: Profile, chance: Stream, seconds: float) -> list[Fault]:
    """The faults of one run, up to `seconds`."""
    if not profile.faults:
        return []
    kinds, weights = list(profile.faults), list(profile.faults.values())
    begin = 0.02 if profile.name.endswith("bootstrap") else 1.5
    at, faults = begin + chance.expovariate(profile.fault_rate), []
    while at < seconds:
        kind = chance.choices(kinds, weights)[0]
        lasts = min(chance.lognormvariate(-0.3, 0.9), 5.0) * profile.timing / 2
        lasts = max(lasts, profile.lasts_s)
        host = chance.randrange(profile.hosts)
        faults.append(Fault(round(at, 4), kind, host, round(lasts, 4), chance.randrange(1 << 30)))
        if chance.random() < 0.25:
            at += chance.uniform(0.001, 0.15)  # Some faults come together.
        else:
            at += chance.expovariate(profile.fault_rate)
    return faults


class Harm:
    """Does faults to a cluster."""

    def __init__(self, cluster: "Cluster") -> None:
        self.cluster = cluster
        self.loop, self.network = cluster.loop, cluster.network
        self._healed = False
        kinds: dict[str, Callable[[Fault, str, Stream], None]] = {
            "kill": self._kill,
            "power": self._power,
            "restart": self._restart,
            "wipe": self._wipe,
            "pause": self._pause,
            "suspend": self._suspend,
            "cut": self._cut,
            "isolate": self._isolate,
            "one-way": self._one_way,
            "bridge": self._bridge,
            "reset": self._reset,
            "stall": self._stall,
            "long-stall": self._stall,
            "flap": self._flap,
            "duplicate": self._duplicate,
            "late": self._late,
            "hang": self._hang,
            "slow": self._slow,
            "slow-disk": self._slow,
            "io-error": self._io_error,
            "full": self._full,
            "wall-jump": self._wall_jump,
        }
        self.kinds = kinds

    def do(self, fault: Fault) -> None:
        """Begin a fault."""
        names = list(self.cluster.hosts)
        name, kind = names[fault.host % len(names)], fault.kind
        base, _, aim = kind.rpartition("-")
        targets = [name]
        if aim == "leader":
            kind, targets = base, [self.cluster.leader() or name]
            if kind in ("kill", "power"):
                self._end_busy(fault, kind, targets[0])
                return
            self._probe(fault, targets[0])
        elif aim in ("all", "stop"):
            kind, targets = ("kill" if aim == "stop" else base), names
        for target in targets:
            self.kinds[kind](fault, target, self.cluster.chance.stream("fault", fault.dice, target))

    def heal(self) -> None:
        """Nothing that lasts goes on, and nothing that waits for its moment comes any more."""
        self._healed = True
        self.cluster.trapped = None

    def _later(self, seconds: float, undo: Callable[..., object], *args: object) -> None:
        self.loop.at(self.loop.now + seconds, self.loop.world, undo, *args)

    def _end_busy(self, fault: Fault, kind: str, leader: str) -> None:
        """Writes, and the end of the leader while they are under way."""
        dice = self.cluster.chance.stream("fault", fault.dice, leader)
        self.cluster.write_at(leader, dice.choice((0, 1, 3)))
        self._later(dice.uniform(0.0, 0.006), self.kinds[kind], fault, leader, dice)

    def _probe(self, fault: Fault, leader: str) -> None:
        """A leader that is cut off or stands still must not answer what the others have changed since."""
        seconds = min(fault.lasts_s * 2, 1.2)
        self.cluster.probe_reads(leader, seconds)
        self.cluster.probe_writes(leader, seconds)

    def _kill(self, fault: Fault, name: str, dice: Stream) -> None:
        self.cluster.hosts[name].crash(power=False)
        self._later(
            dice.uniform(0.02, 0.5) if dice.random() < 0.7 else fault.lasts_s, self.cluster.revive, name
        )

    def _power(self, fault: Fault, name: str, dice: Stream) -> None:
        self.cluster.hosts[name].crash(power=True)
        self._later(
            dice.uniform(0.05, 1.0) if dice.random() < 0.7 else fault.lasts_s, self.cluster.revive, name
        )

    def _restart(self, fault: Fault, name: str, dice: Stream) -> None:
        self.cluster.hosts[name].stop_orderly()

    def _wipe(self, fault: Fault, name: str, dice: Stream) -> None:
        if self.cluster.wiped is None:  # A second one would be the loss of a majority of three.
            self.cluster.wiped = name
            self.cluster.hosts[name].crash(power=True)
            self.cluster.hosts[name].wipe()
            self._later(0.1, self.cluster.revive, name)

    def _pause(self, fault: Fault, name: str, dice: Stream) -> None:
        self.cluster.hosts[name].pause(fault.lasts_s, suspended=False)

    def _suspend(self, fault: Fault, name: str, dice: Stream) -> None:
        self.cluster.hosts[name].pause(fault.lasts_s, suspended=True)

    # -- network -------------------------------------------------------------------------------------------------------
    def _cut_ways(self, ways: list[tuple[str, str]], lasts_s: float) -> None:
        for way in ways:
            self.network.cut(*way)
            self._later(lasts_s, self._mend, *way)

    def _mend(self, source: str, target: str) -> None:
        if not self._healed:
            self.network.mend(source, target)

    def _others(self, name: str) -> list[str]:
        return [other for other in self.cluster.hosts if other != name]

    def _cut(self, fault: Fault, name: str, dice: Stream) -> None:
        """Two groups that do not hear each other."""
        names = list(self.cluster.hosts)
        side = set(dice.sample(names, dice.randint(1, max(1, len(names) - 1))))
        ways = [(a, b) for a in names for b in names if (a in side) != (b in side)]
        self._cut_ways(ways, fault.lasts_s * 2)

    def _isolate(self, fault: Fault, name: str, dice: Stream) -> None:
        ways = [way for other in self._others(name) for way in ((name, other), (other, name))]
        self._cut_ways(ways, fault.lasts_s * 2)

    def _one_way(self, fault: Fault, name: str, dice: Stream) -> None:
        """Hears nobody, or is heard by nobody."""
        others = [other for other in self._others(name) if dice.random() < 0.7]
        hears = dice.random() < 0.5
        self._cut_ways([(other, name) if hears else (name, other) for other in others], fault.lasts_s * 2)

    def _bridge(self, fault: Fault, name: str, dice: Stream) -> None:
        """Two groups that hear each other only through one host, which is in both."""
        others = self._others(name)
        side = set(others[: len(others) // 2])
        ways = [(a, b) for a in others for b in others if (a in side) != (b in side)]
        self._cut_ways(ways, fault.lasts_s * 2)

    def _reset(self, fault: Fault, name: str, dice: Stream) -> None:
        others = self._others(name)
        if fault.kind == "reset-leader":  # They notice at once, the leader does not.
            self._later(0.02, self._deafen, fault, name, dice)
        elif others:
            self.network.break_connection(name, dice.choice(others))

    def _deafen(self, fault: Fault, name: str, dice: Stream) -> None:
        if not self._healed:
            for other in self._others(name):
                self.network.break_end(other, name, dice.uniform(0.0, 0.003))
            self._isolate(fault, name, dice)

    def _stall(self, fault: Fault, name: str, dice: Stream) -> None:
        """One direction stands still, then everything comes at once: perhaps terms later."""
        others = self._others(name)
        for other in dice.sample(others, min(len(others), 1 + (dice.random() < 0.4))):
            path = self.network.paths[(name, other) if dice.random() < 0.5 else (other, name)]
            lasts = dice.uniform(0.7, 1.9) if fault.kind == "long-stall" else min(fault.lasts_s, 1.9)
            path.stalled_until = self.loop.now + lasts

    def _flap(self, fault: Fault, name: str, dice: Stream) -> None:
        """A host's paths come and go."""
        if self._healed or fault.lasts_s <= 0:
            return
        at, end = 0.0, fault.lasts_s * 2
        ways = [way for other in self._others(name) for way in ((name, other), (other, name))]
        while at < end:
            down = dice.uniform(0.01, 0.3)
            self._later(at, self._flap_down, ways, down)
            if dice.random() < 0.5:
                self._later(at, self._reset, fault, name, dice)
            at += down + dice.uniform(0.01, 0.4)

    def _flap_down(self, ways: list[tuple[str, str]], down: float) -> None:
        if not self._healed:
            self._cut_ways(ways, down)

    def _duplicate(self, fault: Fault, name: str, dice: Stream) -> None:
        for path in self.network.paths.values():
            if name in (path.source, path.target):
                path.duplicating_until = self.loop.now + fault.lasts_s * 2

    def _late(self, fault: Fault, name: str, dice: Stream) -> None:
        """A connection gives way to another, and what was under way on it comes later than what is sent on that."""
        other = dice.choice(self._others(name) or [name])
        if other != name:
            self.network.leak(name, other, dice.uniform(0.05, 0.8))
            self._later(dice.uniform(0.02, 0.2), self.network.break_connection, name, other)

    # -- disks and clocks ----------------------------------------------------------------------------------------------
    def _slow(self, fault: Fault, name: str, dice: Stream) -> None:
        pace = self.cluster.hosts[name].pace
        pace.slow_until = self.loop.now + fault.lasts_s * 2
        pace.slow_s, pace.hangs = dice.choice((0.05, 0.5, 3.0)), False

    def _hang(self, fault: Fault, name: str, dice: Stream) -> None:
        """A disk that answers only when the fault is over."""
        pace = self.cluster.hosts[name].pace
        pace.slow_until, pace.hangs = self.loop.now + fault.lasts_s, True

    def _io_error(self, fault: Fault, name: str, dice: Stream) -> None:
        self.cluster.hosts[name].disk.failing = True

    def _full(self, fault: Fault, name: str, dice: Stream) -> None:
        host = self.cluster.hosts[name]
        host.disk.full = True
        self._later(fault.lasts_s, host.make_room)

    def _wall_jump(self, fault: Fault, name: str, dice: Stream) -> None:
        self.cluster.hosts[name].clock.wall_offset_s += dice.uniform(-4000.0, 4000.0)
