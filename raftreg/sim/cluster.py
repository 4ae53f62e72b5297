"""One simulated cluster: loop, network, hosts, clients, and the record of what they did."""

from collections.abc import Callable

from raftreg.chance import Chance
from raftreg.checkers.history import Operation, Sighting, Watch
from raftreg.consensus.journal import Journal
from raftreg.consensus.members import Members
from raftreg.registry.answers import ReadMode
from raftreg.sim.checks import Checks
from raftreg.sim.clients import Client, Watcher
from raftreg.sim.host import Host
from raftreg.sim.lockers import Locker
from raftreg.sim.loop import SimLoop
from raftreg.sim.media import Media
from raftreg.sim.member_checks import MemberChecks
from raftreg.sim.network import Network
from raftreg.sim.operator import Operator
from raftreg.sim.profiles import Profile
from raftreg.sim.progress import Progress

STORY_MAX = 400  # lines
PROBES_MAX = 12  # under way at once


class Cluster:
    """Everything that one run consists of."""

    def __init__(self, seed: int, profile: Profile, rules: frozenset[str] | None = None) -> None:
        self.profile = profile
        self.chance = Chance(seed)
        self.loop = SimLoop(self.chance.stream("loop"))  # type: ignore[abstract]  # what it lacks is not used
        self.names = [f"n{number + 1}" for number in range(profile.hosts)]
        self.network = Network(self.loop, self.chance, self.names, profile.weather)
        self.network.send_limit = profile.send_limit
        self.network.silence_s *= profile.timing
        self.checks = Checks(self, rules)
        self.operations: list[Operation] = []
        self.sightings: list[Sighting] = []
        self.watches: list[Watch] = []
        self.ledger: list[tuple[str, bool]] = []  # (key, whether its write was acknowledged)
        self.acknowledged = self.reads = 0
        self.busy = True  # clients begin calls
        self.reviving = True
        self.wiped: str | None = None
        self.trapped: str | None = None  # the host that ends when it next acknowledges a write
        self.when_elected: list[Callable[[str], None]] = []  # each is called once
        self.when_copied: list[Callable[[str], None]] = []  # likewise, when a host begins a snapshot
        self.story: list[str] = []
        self.hosts = {name: Host(self, name) for name in self.names}
        self.founders = self.names[
            : profile.founders or None
        ]  # the first members, and who is asked by clients
        self.doors = list(self.founders)
        self.places: dict[
            str, tuple[Host, Media]
        ] = {}  # member id -> where the disk with its promises is or was
        self.progress = Progress(self)
        self.operator = Operator(self)
        self.member_checks = MemberChecks(self)

    def begin(self) -> None:
        """Start every host, and the clients."""
        for number, host in enumerate(self.hosts.values()):
            self.loop.at(0.001 + 0.02 * number, self.loop.world, host.start)
        self.clients = [Client(self, number) for number in range(self.profile.clients)]
        self.lockers = [Locker(self, number) for number in range(self.profile.lockers)]
        self.watchers = [Watcher(self, number) for number in range(self.profile.watchers)]

    def monotonic(self) -> float:
        """The clock of the host whose callback runs, for pysyncobj."""
        monotonic = self.loop.life.monotonic
        return self.loop.now if monotonic is None else monotonic()

    def leader(self) -> str | None:
        """The running host that leads the newest term."""
        best: tuple[int, str] | None = None
        for host in self.hosts.values():
            engine = host.engine if host.up else None
            if engine is not None and engine.leading:
                best = max(best or (0, ""), (int(engine.raftCurrentTerm), host.name))
        return None if best is None else best[1]

    # -- who is on which disk ------------------------------------------------------------------------------------------
    def introduce(self, host: Host, member: str) -> None:
        """A process has read who it is, or made it."""
        host.media.member = member
        if not host.media.copied:
            self.places[member] = (host, host.media)

    def lost(self) -> set[str]:
        """The ids whose disks are in no host now."""
        return {member for member, (host, media) in self.places.items() if host.media is not media}

    def journal_of(self, member: str) -> Journal | None:
        """The log of a member, as it is or as it was at the end of its last life; None where nothing is known."""
        host, media = self.places.get(member, (None, None))
        if host is None or media is None:
            return None
        return host.journal if host.media is media else media.journal

    def host_of(self, member: str) -> Host | None:
        """The host that has the disk of a member."""
        host, media = self.places.get(member, (None, None))
        return host if host is not None and host.media is media else None

    def members(self) -> Members | None:
        """The member set of the leader, else the newest that is committed."""
        leader = self.leader()
        engine = self.hosts[leader].engine if leader is not None else None
        return self.member_checks.newest if engine is None else engine.members

    def revive(self, name: str) -> None:
        """Start a host again."""
        self.hosts[name].start()

    def write_at(self, name: str, count: int) -> None:
        """Some writes through one host, whatever becomes of them."""
        host = self.hosts[name]
        for number in range(count):
            if host.up and host.registry is not None:
                self.loop.soon(
                    host.life, self.clients[number % len(self.clients)].write_now, host, host.registry
                )

    def elected(self, name: str) -> None:
        """A host became leader: it is asked at once, and faults that waited for this go on."""
        self.probe_reads(name, 0.008, 0.001)
        waiting, self.when_elected = self.when_elected, []
        for callback in waiting:
            self.loop.soon(self.loop.world, callback, name)

    def copied(self, name: str) -> None:
        """A host begins to write a snapshot."""
        waiting, self.when_copied = self.when_copied, []
        for callback in waiting:
            self.loop.soon(self.loop.world, callback, name)

    def probe_reads(
        self, name: str, seconds: float, spacing: float = 0.006, mode: ReadMode = "default"
    ) -> None:
        """Reads at one host again and again."""
        for step in range(int(seconds / spacing)):
            self.loop.at(self.loop.now + step * spacing, self.loop.world, self._probe, name, mode)

    def probe_writes(self, without: str, seconds: float, spacing: float = 0.012) -> None:
        """Writes at the other hosts."""
        others = [name for name in self.names if name != without] or self.names
        for step in range(int(seconds / spacing)):
            name = others[step % len(others)]
            self.loop.at(self.loop.now + step * spacing, self.loop.world, self._probe, name, None)

    def _probe(self, name: str, mode: ReadMode | None) -> None:
        """A read, or a write if there is no mode."""
        host, client = self.hosts[name], self.clients[0]
        if host.up and host.registry is not None and self.busy and client.probing < PROBES_MAX:
            if mode is None:
                self.loop.soon(host.life, client.overwrite_now, host, host.registry)
            else:
                self.loop.soon(host.life, client.read_now, host.registry, mode)

    # -- records -------------------------------------------------------------------------------------------------------
    def open_call(self, operation: Operation) -> int:
        """Note a call that began; it stays of unknown outcome unless it is closed."""
        self.operations.append(operation)
        return len(self.operations) - 1

    def close_call(self, slot: int, operation: Operation) -> None:
        """Its outcome is known."""
        self.operations[slot] = operation

    def log(self, name: str, text: str) -> None:
        """A line of the story for people."""
        if len(self.story) < STORY_MAX:
            self.story.append(f"{self.loop.now:9.4f} s  {name:<4} {text}")
