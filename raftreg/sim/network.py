"""The network between simulated hosts: paths that delay, stall and break, and the connections over them.

A path leads from one host to another; both directions are independent. What is sent on a connection arrives in order.
A path that is cut loses nothing: TCP sends again, so the data wait and come late, unless the connection is closed
meanwhile. An end learns that the other has closed when that arrives, or by silence.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Any

from raftreg.chance import Chance, Stream
from raftreg.sim.loop import SimLoop

if TYPE_CHECKING:
    from raftreg.sim.wires import End, SimWires

SILENCE_S = 2.0  # times the profile's timing
SWEEP_S = 0.5
RETRANSMISSION_S = 0.2
HANDSHAKE_RETRY_S = (0.02, 0.25)
NEVER = float("inf")


@dataclass(slots=True)
class Weather:
    """What the network is like when nothing is wrong with it. Seconds, and chances for each packet."""

    delay_s: float = 0.0004
    spread_s: float = 0.001
    late: float = 0.01  # of up to 50 ms more
    loss: float = 0.001  # sent again after RETRANSMISSION_S
    duplicate: float = 0.0  # delivered twice


class Path:
    """One direction between two hosts."""

    __slots__ = (
        "chance",
        "cut_at",
        "cuts",
        "detour_s",
        "duplicating_until",
        "held",
        "slow_s",
        "source",
        "stalled_until",
        "target",
        "troubled_at",
        "weather",
    )

    def __init__(self, source: str, target: str, weather: Weather, chance: Stream) -> None:
        self.source, self.target = source, target
        self.weather = weather
        self.chance = chance
        self.cut_at = 0.0  # when the cut that there is began
        self.cuts = 0  # faults that cut it now
        self.stalled_until = 0.0
        self.duplicating_until = 0.0
        self.detour_s = 0.0  # of connections that leak
        self.slow_s = 0.0  # that every packet takes longer now
        self.troubled_at = 0.0  # when a fault last began or ended
        self.held: list[Callable[[], None]] = []  # sends what waits for the cut to be mended

    def delay_s(self) -> float:
        """How long the next packet takes."""
        weather, random = self.weather, self.chance.random
        chance = random()
        delay = weather.delay_s + random() * weather.spread_s
        if chance < weather.loss:
            return delay + RETRANSMISSION_S
        if chance < weather.loss + weather.late:
            return delay + random() * 0.05
        return delay

    def duplicates(self, now: float) -> bool:
        """Whether this packet comes twice."""
        if now < self.duplicating_until:
            return self.chance.random() < 0.6
        chance = self.weather.duplicate
        return chance > 0.0 and self.chance.random() < chance


class Network:
    """All paths and connections. `trace` is a hash of what was delivered when."""

    def __init__(self, loop: SimLoop, chance: Chance, names: list[str], weather: Weather) -> None:
        self.loop = loop
        self.chance = chance.stream("network")
        self.numbers = {name: number for number, name in enumerate(names)}
        self.wires: dict[str, SimWires] = {}
        self.paths = {
            (source, target): Path(source, target, weather, chance.stream("path", source, target))
            for source, target in permutations(names, 2)
        }
        self.send_limit = 4000  # packets under way on one connection
        self.silence_s = SILENCE_S
        self.when_sent: list[
            tuple[str, str, Callable[[], None]]
        ] = []  # (kind, by whom, what then happens, once)
        self.trace = 0
        self.delivered = 0
        self.connections = 0
        self._dialing: set[frozenset[str]] = set()
        loop.at(SWEEP_S, loop.world, self._sweep)

    # -- faults --------------------------------------------------------------------------------------------------------
    def cut(self, source: str, target: str) -> None:
        """Nothing arrives any more in this direction."""
        path = self.paths[source, target]
        if not path.cuts:
            path.cut_at = self.loop.now
        path.cuts += 1
        path.troubled_at = self.loop.now

    def mend(self, source: str, target: str) -> None:
        """Undo one cut; what waited goes on."""
        path = self.paths[source, target]
        path.cuts = max(0, path.cuts - 1)
        path.troubled_at = self.loop.now
        if not path.cuts:
            held, path.held = path.held, []
            for send in held:
                send()

    def mend_all(self) -> None:
        """A perfect network from now on."""
        for path in self.paths.values():
            path.stalled_until = path.duplicating_until = path.slow_s = 0.0
            path.cuts = 1
            self.mend(path.source, path.target)

    def break_connection(self, one: str, other: str) -> None:
        """Somebody between the two resets it: each end learns that by itself, and what is under way is lost."""
        self.paths[one, other].troubled_at = self.loop.now
        wires = self.wires.get(one)
        for end in list(wires.live.values()) if wires is not None else []:
            if end.other.wires.name == other:
                for side in (end, end.other):
                    delay = self.chance.random() * 0.05
                    self.loop.at(self.loop.now + delay, side.wires.life, side.lost)

    def leak(self, one: str, other: str, detour_s: float) -> None:
        """What is sent from now on over the present connection takes a long way, also when another takes its place."""
        for source, target in ((one, other), (other, one)):
            wires = self.wires.get(source)
            path = self.paths[source, target]
            path.detour_s, path.troubled_at = detour_s, self.loop.now + detour_s
            for end in list(wires.live.values()) if wires is not None else []:
                if end.other.wires.name == target:
                    end.leaks = end.other.leaks = True

    def break_end(self, name: str, peer: str, delay: float) -> None:
        """One side alone believes that its connection is closed."""
        self.paths[name, peer].troubled_at = self.loop.now
        wires = self.wires.get(name)
        for end in list(wires.live.values()) if wires is not None else []:
            if end.other.wires.name == peer:
                self.loop.at(self.loop.now + delay, end.wires.life, end.lost)

    # -- hosts ---------------------------------------------------------------------------------------------------------
    def up(self, wires: "SimWires") -> None:
        """A host listens, and dials the others."""
        self.wires[wires.name] = wires
        for name in self.numbers:
            if name != wires.name:
                self.want(wires.name, name)  # whoever of the two dials

    def down(self, wires: "SimWires", silent: bool) -> None:
        """Its process ended. `silent`: the machine is gone too, so nobody is told."""
        if self.wires.get(wires.name) is wires:
            del self.wires[wires.name]
        for end in list(wires.live.values()):
            end.live = False
            if not silent:
                end.say_goodbye(abrupt=self.chance.random() < 0.5)

    # -- dialing -------------------------------------------------------------------------------------------------------
    def want(self, one: str, other: str) -> None:
        """There should be a connection between the two: try until there is."""
        pair = frozenset((one, other))
        if pair not in self._dialing:
            self._dialing.add(pair)
            self._later(pair)

    def _later(self, pair: frozenset[str]) -> None:
        delay = self.chance.uniform(*HANDSHAKE_RETRY_S)
        self.loop.at(self.loop.now + delay, self.loop.world, self._dial, pair)

    def _dial(self, pair: frozenset[str]) -> None:
        one, other = (self.wires.get(name) for name in sorted(pair))
        if one is None or other is None:
            self._dialing.discard(pair)  # Whoever comes up again dials.
        elif other.name not in one.aims and one.name not in other.aims:
            self._dialing.discard(pair)  # Neither knows of the other.
        elif one.linked(other) and other.linked(one):
            self._dialing.discard(pair)
        elif self.is_open(one.name, other.name) and self.is_open(other.name, one.name):
            self._dialing.discard(pair)
            dialer, acceptor = (one, other) if self.chance.random() < 0.5 else (other, one)
            dialer.greet(acceptor)
        else:
            self._later(pair)

    def calm_since(self, one: str, other: str) -> float:
        """Since when nothing is wrong between two hosts; later than now if something is."""
        since = 0.0
        for path in (self.paths[one, other], self.paths[other, one]):
            since = max(since, NEVER if path.cuts else 0.0, path.troubled_at, path.stalled_until)
        return since

    def within_reach(self, name: str, seconds: float) -> set[str]:
        """The hosts, itself among them, with which it can have spoken in the last `seconds`."""
        since = self.loop.now - seconds
        apart = {pair for pair, path in self.paths.items() if path.cuts and path.cut_at < since}
        return {other for other in self.numbers if (name, other) not in apart and (other, name) not in apart}

    def is_open(self, source: str, target: str) -> bool:
        """Whether a packet would go through."""
        path = self.paths[source, target]
        return not path.cuts and path.stalled_until <= self.loop.now

    def _sweep(self) -> None:
        """Ends that have heard nothing for too long are closed. Processes that run say something now and then."""
        now = self.loop.now
        for wires in list(self.wires.values()):
            for end in list(wires.live.values()):
                peer = end.other
                talks = peer.live and peer.wires.life.alive and peer.wires.life.paused_until <= now
                if talks and self.is_open(peer.wires.name, wires.name):
                    end.heard_at = now
                elif now - end.heard_at > self.silence_s and wires.life.paused_until <= now - SWEEP_S:
                    self.loop.soon(wires.life, end.lost)
        self.loop.at(now + SWEEP_S, self.loop.world, self._sweep)

    def sent(self, name: str, kind: str) -> None:
        """A host says something; faults that waited for that go on."""
        due = [waiting for waiting in self.when_sent if waiting[:2] == (kind, name)]
        self.when_sent = [waiting for waiting in self.when_sent if waiting not in due]
        for _, _, go_on in due:
            self.loop.soon(self.loop.world, go_on)

    def note(self, end: "End", messages: list[Any]) -> None:
        """Something was delivered."""
        self.delivered += len(messages)
        self.trace = hash((self.trace, self.loop.now, self.numbers[end.wires.name], len(messages)))
