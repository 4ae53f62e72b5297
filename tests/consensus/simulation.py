"""A whole cluster in one thread, from one seed: real engines, fake clock, network and disks.

Faults: crashes that lose what was not synced, partitions, stalled links, late data of a former connection, slow disks,
pauses of one process. Checks while it runs: at most one leader a term; equal entries at equal index; read indexes cover
every acknowledged command. Checks at the end, after healing: nothing acknowledged is lost, nothing is applied twice,
all members are equal.
"""

import heapq
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pysyncobj.syncobj

from raftreg.consensus.engine import Engine, Timing, World
from raftreg.consensus.members import Members
from raftreg.consensus.snapshot import SnapshotStore
from raftreg.errors import NotLeader, Overloaded
from tests.consensus.worlds import ListMachine, MemoryLog


class SimClock:
    """The simulation's time and chance."""

    def __init__(self, seed: int) -> None:
        self.time = 100.0
        self.random = random.Random(seed)

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.time

    def uniform(self, low: float, high: float) -> float:
        return self.random.uniform(low, high)

    def token(self, size: int) -> bytes:
        return self.random.randbytes(size)

    def uuid(self) -> str:
        return "00000000-0000-4000-8000-000000000000"


class SimMachine(ListMachine):
    """Reports what it applies to the checkers."""

    def __init__(self, cluster: "Cluster", member: str) -> None:
        super().__init__()
        self.cluster, self.member = cluster, member

    def apply(self, index: int, data: bytes) -> object:
        self.cluster.check_applied(self.member, index, data)
        return super().apply(index, data)


class Member:
    """One process: it can crash, pause and start again with what its disk kept."""

    def __init__(self, cluster: "Cluster", member: str, directory: Path) -> None:
        self.cluster, self.id, self.directory = cluster, member, directory
        self.records: list[bytes] = []
        self.life = 0
        self.paused_until = 0.0
        self.ticking = self.syncing = False
        self.engine: Engine | None = None
        self.start()

    def start(self) -> None:
        cluster = self.cluster
        self.life += 1
        self.ticking = self.syncing = False
        self.log = MemoryLog(self.records)
        self.machine = SimMachine(cluster, self.id)
        world = World(
            outlet=lambda to, message: cluster.send(self.id, to, message),
            clock=cluster.clock,
            jobs=self._job,
            want_tick=self.want_tick,
            want_sync=self.want_sync,
            on_change=self._changed,
            rest=lambda: None,
        )
        store = SnapshotStore(self.directory, cluster.members.cluster_id)
        genesis = cluster.members.encode()
        self.engine = Engine(
            self.id, genesis, self.log, list(self.log.records), store, self.machine, world, Timing(), 40
        )
        self.want_sync()
        self._timer(self.life)

    def restart(self) -> None:
        """Start again, unless that has happened already."""
        if self.engine is None:
            self.start()

    def crash(self) -> None:
        """Any prefix of what was not synced may have reached the disk."""
        kept = self.cluster.clock.random.randint(self.log.synced, self.log.seq)
        self.records = self.log.records[:kept]
        self.engine = None
        for other in self.cluster.hosts:
            self.cluster.unlink(self.id, other)

    def _later(self, delay: float, work: Callable[[], None]) -> None:
        life, cluster = self.life, self.cluster

        def run() -> None:
            if self.engine is None or self.life != life:
                return
            if self.paused_until > cluster.clock.time:
                cluster.at(self.paused_until - cluster.clock.time + 1e-4, run)
            else:
                work()

        cluster.at(delay, run)

    def _job(self, work: Callable[[], object], done: Callable[[object], None]) -> None:
        self._later(self.cluster.clock.uniform(0.001, 0.2), lambda: done(work()))

    def _changed(self) -> None:
        if self.engine is not None and self.engine.leading:
            self.cluster.check_leader(self.id, self.engine.raftCurrentTerm)

    def want_tick(self) -> None:
        if not self.ticking:
            self.ticking = True
            self._later(0.0001, self.tick)

    def tick(self) -> None:
        self.ticking = False
        if self.engine is not None:
            self.engine.tick()

    def _timer(self, life: int) -> None:
        self.want_tick()
        self._later(0.01, lambda: self._timer(life))

    def want_sync(self) -> None:
        if self.syncing or self.log.synced == self.log.seq:
            return
        self.syncing = True
        chance = self.cluster.clock.random
        delay = chance.uniform(0.0002, 0.004) if chance.random() > 0.05 else chance.uniform(0.02, 0.3)
        target = self.log.seq
        self._later(delay, lambda: self._synced(target))

    def _synced(self, target: int) -> None:
        self.syncing = False
        self.log.synced = target
        if self.engine is not None:
            self.engine.synced(target)
            self.want_tick()
            self.want_sync()


class Cluster:
    """Members, network, clients and checkers of one run."""

    def __init__(self, seed: int, directory: Path, names: str = "abc") -> None:
        self.clock = SimClock(seed)
        self.members = Members("sim", frozenset(names))
        self.queue: list[tuple[float, int, Callable[[], None]]] = []
        self.order = 0
        self.links: dict[frozenset[str], int] = {}
        self.cut: set[frozenset[str]] = set()
        self.stalled: dict[tuple[str, str], float] = {}
        self.arrivals: dict[tuple[str, str, int], float] = {}
        self.epoch = 0
        self.applied: dict[int, bytes] = {}
        self.leaders: dict[int, str] = {}
        self.acked: dict[bytes, int] = {}
        self.commands = self.reads = 0
        self.breaking = self.loading = True
        self.hosts: dict[str, Member] = {}
        for name in names:
            place = directory / name
            place.mkdir()
            self.hosts[name] = Member(self, name, place)

    # -- time and network ------------------------------------------------------------------------------------------
    def at(self, delay: float, work: Callable[[], None]) -> None:
        self.order += 1
        heapq.heappush(self.queue, (self.clock.time + delay, self.order, work))

    def run(self, until: float) -> None:
        while self.queue and self.queue[0][0] <= until:
            when, _, work = heapq.heappop(self.queue)
            self.clock.time = max(self.clock.time, when)
            work()

    def send(self, source: str, target: str, message: list[Any]) -> bool:
        pair = frozenset((source, target))
        epoch = self.links.get(pair)
        if epoch is None:
            return False
        chance = self.clock.random
        delay = chance.uniform(0.0002, 0.003) if chance.random() < 0.98 else chance.uniform(0.003, 0.05)
        way = (source, target, epoch)
        when = max(
            self.clock.time + delay,
            self.stalled.get((source, target), 0.0),
            self.arrivals.get(way, 0.0) + 1e-7,
        )
        self.arrivals[way] = when
        life = self.hosts[target].life
        self.at(when - self.clock.time, lambda: self._deliver(source, target, epoch, message, life))
        return True

    def _deliver(self, source: str, target: str, epoch: int, message: list[Any], life: int) -> None:
        host = self.hosts[target]
        if host.engine is None or host.life != life or self.links.get(frozenset((source, target))) != epoch:
            return
        host._later(0.0, lambda: self._receive(host, source, message))

    def _receive(self, host: Member, source: str, message: list[Any]) -> None:
        if host.engine is not None:
            host.engine.receive(source, message)
            host.want_tick()

    def link_all(self) -> None:
        names = sorted(self.hosts)
        for position, one in enumerate(names):
            for other in names[position + 1 :]:
                self.link(one, other)
        self.at(0.1, self.link_all)

    def link(self, one: str, other: str) -> None:
        pair = frozenset((one, other))
        ends = self.hosts[one], self.hosts[other]
        if pair in self.links or pair in self.cut or any(end.engine is None for end in ends):
            return
        self.epoch += 1
        self.links[pair] = self.epoch
        for end, peer in ((ends[0], other), (ends[1], one)):
            if end.engine is not None:
                end.engine.guard.peer_up(peer)

    def unlink(self, one: str, other: str) -> None:
        if self.links.pop(frozenset((one, other)), None) is None:
            return
        for end, peer in ((one, other), (other, one)):
            engine = self.hosts[end].engine
            if engine is not None:
                engine.guard.peer_down(peer)

    # -- faults ----------------------------------------------------------------------------------------------------
    def fault(self) -> None:
        if not self.breaking:
            return
        chance = self.clock.random
        names = sorted(self.hosts)
        kind = chance.choice(["crash", "crash", "partition", "stall", "reset", "pause"])
        if kind == "crash":
            for name in chance.sample(names, 1 if chance.random() < 0.6 else chance.randint(1, len(names))):
                self._crash(name)
        elif kind == "partition":
            side = set(chance.sample(names, chance.randint(1, len(names) - 1)))
            pairs = {frozenset((one, other)) for one in side for other in names if other not in side}
            self.cut |= pairs
            for pair in sorted(map(sorted, pairs)):
                self.at(chance.uniform(0, 0.3), lambda pair=pair: self.unlink(*pair))  # type: ignore[misc]  # bound now
            self.at(chance.uniform(0.5, 4), lambda: self.cut.difference_update(pairs))
        elif kind == "stall":
            one, other = chance.sample(names, 2)
            self.stalled[(one, other)] = self.clock.time + chance.uniform(0.1, 2.0)
        elif kind == "reset":
            self.unlink(*chance.sample(names, 2))
        else:
            self.hosts[chance.choice(names)].paused_until = self.clock.time + chance.uniform(0.02, 1.5)
        self.at(chance.expovariate(1.2), self.fault)

    def _crash(self, name: str) -> None:
        host = self.hosts[name]
        if host.engine is not None:
            host.crash()
            self.at(self.clock.uniform(0.05, 2.0), host.restart)

    # -- clients ---------------------------------------------------------------------------------------------------
    def client(self) -> None:
        if not self.loading:
            return
        chance = self.clock.random
        host = self.hosts[chance.choice(sorted(self.hosts))]
        engine = host.engine
        if engine is not None and host.paused_until <= self.clock.time and engine.leading:
            for _ in range(1 if chance.random() < 0.7 else chance.randint(2, 20)):
                self._write(engine)
            self._read(engine, host, confirm=chance.random() < 0.5)
            host.want_tick()
        self.at(chance.expovariate(60), self.client)

    def _write(self, engine: Engine) -> None:
        self.commands += 1
        command, index = b"%d" % self.commands, engine.journal.last + 1

        def committed(_: object, known: bool) -> None:
            if known:
                self.acked[command] = index

        try:
            engine.propose(command, committed)
        except (NotLeader, Overloaded):
            return

    def _read(self, engine: Engine, host: Member, confirm: bool) -> None:
        needed = max(self.acked.values(), default=0)

        def answer(index: int | None) -> None:
            if index is not None:
                self.reads += 1
                assert index >= needed, f"stale read on {host.id}: index {index}, acknowledged {needed}"

        engine.reads.ask(answer, confirm)

    # -- checks ----------------------------------------------------------------------------------------------------
    def check_applied(self, member: str, index: int, data: bytes) -> None:
        known = self.applied.setdefault(index, data)
        assert known == data, f"{member} applies {data!r} at {index}, another member applied {known!r}"

    def check_leader(self, member: str, term: int) -> None:
        known = self.leaders.setdefault(term, member)
        assert known == member, f"two leaders in term {term}: {known} and {member}"

    def heal(self) -> None:
        self.breaking = False
        self.cut.clear()
        self.stalled.clear()
        for host in self.hosts.values():
            host.paused_until = 0.0
            host.restart()

    def check_end(self) -> None:
        states = [host.machine.applied for host in self.hosts.values()]
        assert all(state == states[0] for state in states), "members differ after healing"
        assert len(states[0]) == len(set(states[0])), "a command was applied twice"
        lost = set(self.acked) - set(states[0])
        assert not lost, f"acknowledged commands are lost: {sorted(lost)[:5]}"


def simulate(seed: int, directory: Path, seconds: float = 20.0, names: str = "abc") -> Cluster:
    """Run one seed: faults for `seconds`, then heal, wait, and check. Replaces pysyncobj's clock by the cluster's."""
    cluster = Cluster(seed, directory, names)
    pysyncobj.syncobj.monotonicTime = cluster.clock.now
    cluster.link_all()
    cluster.at(1.0, cluster.client)
    cluster.at(1.5, cluster.fault)
    end = cluster.clock.time + seconds
    cluster.run(end)
    cluster.heal()
    cluster.run(end + 6.0)
    cluster.loading = False
    cluster.run(end + 8.0)
    cluster.check_end()
    return cluster
