"""Directed schedules: one cluster that does what a script says, and nothing else, on a network without surprises.

Nobody campaigns unless told to, no client calls, no disk is slow, each packet takes a millisecond. What must always
hold is checked as in every run; whatever breaks is raised.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from raftreg.commands import KVSet
from raftreg.consensus import MemberChange, messages
from raftreg.consensus.election import Election
from raftreg.consensus.engine import Engine
from raftreg.consensus.members import Members, name_of
from raftreg.errors import RaftregError
from raftreg.registry import ReadOptions
from raftreg.sim.checks import Violation
from raftreg.sim.cluster import Cluster
from raftreg.sim.host import Host
from raftreg.sim.member_checks import watching_members
from raftreg.sim.mutants.mutant import MUTANTS
from raftreg.sim.network import Weather
from raftreg.sim.patches import Patches
from raftreg.sim.probe import watching
from raftreg.sim.profiles import Membership, Profile
from raftreg.sim.run import quietly, small_sizes
from raftreg.state.queries import KVGet

PATIENCE_S = 8.0
PACKET_S = 0.001
PROFILE = Profile(
    "script",
    membership=Membership(voters_min=1, wanted=1),
    clients=1,
    watchers=0,
    slow_syncs=0.0,
    drift=0.0,
    weather=Weather(PACKET_S, 0.0, late=0.0, loss=0.0),
    snapshot_entries=1000,
)


class Script:
    """A cluster whose hosts are n1, n2, ..., the first of them its members: `hosts` and `founders` of a profile."""

    def __init__(self, profile: Profile, rules: frozenset[str] | None = None) -> None:
        self.cluster = Cluster(0, profile, rules)
        self.cluster.busy = False  # no calls but those of the script
        self.loop, self.network = self.cluster.loop, self.cluster.network
        self.campaigners: set[str] = set(self.cluster.names)
        self.answers: list[str] = []  # what became of each change, in the order of the answers
        self.results: list[object] = []  # of each acknowledged write, in that order

    # -- time ----------------------------------------------------------------------------------------------------------
    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.loop.run_until(self.loop.now + seconds)
        if self.loop.failure is not None:
            raise self.loop.failure

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Let time pass until something is so; it is a violation if that does not come about."""
        end = self.loop.now + PATIENCE_S
        while not true():
            self.run(PACKET_S / 2)
            if self.loop.now > end:
                raise Violation("liveness", f"{what} does not come about")

    # -- hosts ---------------------------------------------------------------------------------------------------------
    def engine(self, name: str) -> Engine:
        """The engine of a host that runs."""
        engine = self.cluster.hosts[name].engine
        assert engine is not None
        return engine

    def id(self, name: str) -> str:
        """The member id on the disk of a host."""
        member = self.cluster.hosts[name].media.member
        assert member is not None
        return member

    def members(self, name: str) -> Members:
        """The set that a host goes by."""
        return self.engine(name).members

    def voters(self, name: str) -> set[str]:
        """The names of its voters."""
        return {name_of(voter) for voter in self.members(name).voters}

    def begin(self, leader: str = "n1") -> None:
        """Make the cluster, everybody connected, and have one lead it."""
        self.cluster.begin()
        hosts = self.cluster.hosts.values()
        self.campaigners = {leader}
        self.until(lambda: all(host.engine is not None for host in hosts), "a cluster")
        self.until(lambda: all(host.acts for host in hosts), "that all act")
        self.elect(leader)
        self.run(0.2)

    def restart(self, *names: str) -> None:
        """Kill processes and start others on their disks."""
        for name in names:
            self.kill(name)
        for name in names:
            self.start(name)

    def kill(self, name: str) -> None:
        """End a process; everything that it wrote is on its disk."""
        self.cluster.hosts[name].crash(power=False)

    def wipe(self, name: str) -> None:
        """End a process, and put an empty disk in."""
        self.kill(name)
        self.cluster.hosts[name].wipe()

    def start(self, name: str) -> None:
        """Start a process, and wait until it acts as its member."""
        host = self.cluster.hosts[name]
        host.start()
        self.until(lambda: host.acts, f"that {name} acts")

    # -- network -------------------------------------------------------------------------------------------------------
    def cut(self, one: str, *others: str, way: str = "both") -> None:
        """Nothing arrives between one host and each of the others; `way` "out" cuts only what the one sends."""
        for other in others:
            self.network.cut(one, other)
            if way == "both":
                self.network.cut(other, one)

    def mend(self, one: str, *others: str) -> None:
        """Undo that."""
        for other in others:
            self.network.mend(one, other)
            self.network.mend(other, one)

    def isolate(self, name: str) -> None:
        """Nothing arrives there or from there."""
        self.cut(name, *(other for other in self.cluster.names if other != name))

    # -- what is asked of nodes ----------------------------------------------------------------------------------------
    def campaign(self, name: str, *, others_forget: bool = True) -> None:
        """A host's election timeout is over. Unless `others_forget` is false, nobody thinks of an earlier leader."""
        self.campaigners = {name}
        for host in self.cluster.hosts.values():
            if host.engine is not None and (others_forget or host.name == name):
                host.engine.election.leader_contact = -1e9
        engine = self.engine(name)
        engine.election.deadline = 0.0
        self.loop.soon(self.cluster.hosts[name].life, engine.want_tick)

    def elect(self, name: str) -> None:
        """Have a host win an election; it is a violation if it does not."""
        end = self.loop.now + PATIENCE_S
        while not self.engine(name).leading:
            self.campaign(name)
            self.run(0.05)
            if self.loop.now > end:
                raise Violation("liveness", f"{name} is not elected")

    def loses(self, name: str, seconds: float = 2.0) -> bool:
        """Whether a host is not elected, however often it tries."""
        end = self.loop.now + seconds
        while self.loop.now < end:
            self.campaign(name)
            self.run(0.05)
            if self.engine(name).leading:
                return False
        return True

    def change(self, leader: str, kind: str, name: str, old: str = "") -> None:
        """Ask a leader for a change of members; by name, or `old` by member id."""
        host = self.cluster.hosts[leader]
        change = MemberChange(kind, self.id(name), old)  # type: ignore[arg-type]  # one of the kinds
        self.loop.soon(host.life, self._begin_change, host, change)
        self.run(PACKET_S / 10)

    def _begin_change(self, host: Host, change: MemberChange) -> None:
        self.loop.spawn(self._do_change(host, change))

    async def _do_change(self, host: Host, change: MemberChange) -> None:
        assert host.node is not None
        try:
            await host.node.change_members(change)
        except RaftregError as error:
            self.answers.append(f"{type(error).__name__}: {error}")
        else:
            self.answers.append("done")

    def changed(self, leader: str, kind: str, name: str, old: str = "") -> None:
        """Ask for a change until it is done."""
        end = self.loop.now + PATIENCE_S
        while True:
            told = len(self.answers)
            self.change(leader, kind, name, old)
            self.until(lambda: len(self.answers) > told, f"an answer to {kind} {name}")  # noqa: B023  # called at once
            if self.answers[-1] == "done":
                return
            if self.loop.now > end:
                raise Violation("liveness", f"{kind} {name}: {self.answers[-1]}")
            self.run(0.05)

    def write(
        self, name: str, key: str = "x", value: bytes = b"y", cas: int | None = None
    ) -> Callable[[], bool]:
        """Write through a host; what is returned tells whether it was acknowledged. `results` gets what it came to."""
        host, checks = self.cluster.hosts[name], self.cluster.checks
        acknowledged: list[bool] = []

        async def put() -> None:
            assert host.registry is not None
            try:
                answer = await host.registry.write(KVSet(key, value, cas=cas))
            except RaftregError:
                return
            self.results.append(answer.value)
            checks.acked_index = max(checks.acked_index, answer.index)
            acknowledged.append(True)

        self.loop.soon(host.life, lambda: self.loop.spawn(put()))
        self.run(PACKET_S / 10)
        return lambda: bool(acknowledged)

    def read(self, name: str) -> None:
        """A default read through a host: it must cover what was acknowledged before."""
        host, checks = self.cluster.hosts[name], self.cluster.checks
        needed = checks.acked_index

        async def get() -> None:
            assert host.registry is not None
            try:
                await host.registry.read(KVGet("x"), ReadOptions())
            except RaftregError:
                return
            at = host.registry.state.index
            if at < needed:
                checks.violated("stale read", f"{name} answers at {at}; {needed} was acknowledged")

        self.loop.soon(host.life, lambda: self.loop.spawn(get()))
        self.run(PACKET_S / 10)

    def when_sent(self, kind: str, name: str, then: Callable[[], None], delay: float = 0.0) -> None:
        """Do something some time after a host next says something of a kind."""
        when = self.loop.at

        def soon() -> None:
            when(self.loop.now + delay, self.loop.world, then)

        self.network.when_sent.append((kind, name, soon))


VOTE_ASK = messages.VOTE_ASK


@contextmanager
def directed(
    profile: Profile, mutant: str | None = None, rules: frozenset[str] | None = None
) -> Iterator[Script]:
    """A cluster for a script. With a mutant, without one mend."""
    script = Script(profile, rules)
    patches = small_sizes()
    if mutant is not None:
        MUTANTS[mutant].apply(patches)
    with ExitStack() as stack:
        stack.enter_context(quietly())
        stack.enter_context(patches)
        stack.enter_context(watching(script.cluster.checks, script.cluster.monotonic))
        stack.enter_context(watching_members(script.cluster.member_checks))
        stack.enter_context(_told_to_campaign(script))
        try:
            yield script
        finally:
            script.loop.drop_everything()


def _told_to_campaign(script: Script) -> Patches:
    """Within: a host whose turn it is not waits on, unless its leader called it up."""
    tick: Any = Election.tick

    def told(election: Election) -> None:
        name = name_of(election.engine.member_id)
        if not election.engine.leading and election._called_up is None and name not in script.campaigners:
            election.deadline = election.engine.now() + 1.0
        tick(election)

    patches = Patches()
    patches.put(Election, "tick", told)
    return patches
