"""One simulated machine: a disk and a clock that stay, and processes of raftreg that come and go on it."""

from pathlib import Path
from typing import TYPE_CHECKING

from raftreg.consensus.disk import SyncFailed
from raftreg.consensus.engine import Engine
from raftreg.consensus.journal import Journal
from raftreg.consensus.machinery import Machinery
from raftreg.consensus.node import RaftNode, RaftSettings
from raftreg.errors import StartRefused
from raftreg.registry import Registry
from raftreg.sim.clock import HostClock
from raftreg.sim.disk import SimDisk
from raftreg.sim.loop import Life
from raftreg.sim.media import Media
from raftreg.sim.overdue import TIMEOUT_S
from raftreg.sim.probe import WatchedReplica
from raftreg.sim.wires import SimWires
from raftreg.sim.writer import Pace, SimWriter
from raftreg.state import State

if TYPE_CHECKING:
    from raftreg.sim.cluster import Cluster

DATA = Path("/raftreg-simulated")
RESTART_S = 0.3


def address_of(name: str) -> tuple[str, int]:
    """Where the others reach a host."""
    return name, 1


class Host:
    """`node` and `registry` are those of the present life, None while there is none."""

    def __init__(self, cluster: "Cluster", name: str) -> None:
        self.cluster, self.name = cluster, name
        chance = cluster.chance.stream("host", name)
        drift = cluster.profile.drift
        self.clock = HostClock(cluster.loop, chance, 1.0 + chance.uniform(-drift, drift))
        self.pace = Pace(cluster.chance.stream("pace", name), cluster.profile.slow_syncs)
        self._disks = 0
        self.media = self._new_media()
        self.shelf: list[Media] = []
        self.life = Life(name, 0, self.clock.monotonic)
        self.life.alive = False
        self.node: RaftNode | None = None
        self.registry: Registry | None = None
        self.wires: SimWires | None = None
        self.stopping = False
        self.troubled_at = 0.0  # when it last started or ended

    def _new_media(self) -> Media:
        chance = self.cluster.chance.stream("disk", self.name, self._disks)
        self._disks += 1
        return Media(SimDisk(chance, preallocates=chance.random() < 0.5))

    @property
    def disk(self) -> SimDisk:
        """The disk that is in it."""
        return self.media.disk

    @property
    def engine(self) -> Engine | None:
        """The engine of the present life, None where there is none."""
        driver = self.node.driver if self.node is not None else None
        return None if driver is None else driver.engine

    @property
    def up(self) -> bool:
        """Whether a process runs."""
        return self.life.alive

    @property
    def journal(self) -> Journal | None:
        """The log of the present life, or of the last one as it was at its end; None where nothing is known."""
        engine = self.engine
        return engine.journal if engine is not None else self.media.journal

    def calm_since(self) -> float:
        """Since when nothing is wrong with it; later than now if something is."""
        if not self.life.alive or self.stopping or self.disk.full or self.disk.failing:
            return float("inf")
        if self.cluster.wiped == self.name:
            return float("inf")  # It is a stranger, which takes no part.
        return max(self.troubled_at, self.life.paused_until, self.pace.ends_at)

    def make_room(self) -> None:
        """There is room on the disk again."""
        if self.disk.full:
            self.disk.full = False
            self.troubled_at = self.cluster.loop.now

    def mend_disk(self) -> None:
        """There is room on the disk, and its syncs succeed."""
        self.make_room()
        if self.disk.failing:
            self.disk.failing = False
            self.troubled_at = self.cluster.loop.now

    def start(self) -> None:
        """Begin a life, unless there is one."""
        if self.life.alive:
            return
        cluster, loop = self.cluster, self.cluster.loop
        self.life = Life(self.name, self.life.number + 1, self.clock.monotonic)
        self.stopping = False
        self.troubled_at = loop.now
        if "old-copy" in cluster.profile.faults and not self.media.copied:
            self.media.keep_copy()
        cluster.log(self.name, f"starts (life {self.life.number})")
        loop.soon(self.life, self._start)

    def _start(self) -> None:
        cluster, profile, settings = self.cluster, self.cluster.profile, self._settings()
        life = self.life
        machinery = Machinery(
            self.disk,
            lambda _: SimWriter(cluster.loop, self.disk, self.pace),
            lambda delegate, clock, name, *_: self._wire(
                SimWires(cluster.network, life, delegate, clock, name)
            ),
            exclusive=False,
        )
        replica = WatchedReplica(State(results_max=profile.results_max), cluster.checks, self)
        node = RaftNode(settings, replica, self.clock, lambda error: self._ended(life, error), machinery)
        replica.node = node
        self.registry = Registry(
            node,
            replica,
            self.clock,
            node_name=self.name,
            datacenter="dc1",
            write_timeout_s=TIMEOUT_S,
            read_timeout_s=TIMEOUT_S,
        )
        self.node = node
        cluster.loop.spawn(self._run(node))

    def _settings(self) -> RaftSettings:
        """First members know each other; everybody else knows where they are.

        One that makes a cluster alone does so once: on another disk it is as everybody else.
        """
        profile, founders = self.cluster.profile, self.cluster.founders
        founds = self.name in founders and (len(founders) > 1 or self._disks == 1)
        hosts = self.cluster.names if self.name in founders and not founds else founders
        known = {name: address_of(name) for name in hosts if founds or name != self.name}
        return RaftSettings(
            self.name,
            DATA / self.name,
            address_of(self.name),
            known if founds else {},
            None,
            election_timeout_min_s=0.15 * profile.timing,
            election_timeout_max_s=0.30 * profile.timing,
            heartbeat_s=0.06 * profile.timing,
            snapshot_entries=profile.snapshot_entries,
            join=() if founds else tuple(known.values()),
        )

    def _wire(self, wires: SimWires) -> SimWires:
        self.wires = wires
        return wires

    async def _run(self, node: RaftNode) -> None:
        try:
            await node.start()
            self.cluster.introduce(self, node.status().id)
            self._check_promises()
        except (StartRefused, SyncFailed) as error:
            self._ended(self.life, error)

    def _check_promises(self) -> None:
        """What was durable at the end of the last life is there again: entries, and term and vote."""
        before, now = self.media.journal, self.journal
        if before is None or now is None or now is before or not before.entries or not now.entries:
            return
        for index in range(max(before.first, now.first), before.durable + 1):
            if before.term_at(index) != now.term_at(index):
                text = f"{self.name} had entry {index} of term {before.term_at(index)} on its disk, and starts without"
                self.cluster.checks.violated("kept on disk", text)
        vote = (before.getCurrentTerm(), before.getVotedForNodeId())
        found = (now.getCurrentTerm(), now.getVotedForNodeId())
        if before.log.synced == before.log.seq and vote != found:
            self.cluster.checks.violated("kept on disk", f"{self.name} voted {vote}, and starts with {found}")

    # -- ends ----------------------------------------------------------------------------------------------------------
    def _ended(self, life: Life, error: BaseException) -> None:
        """The process ends itself. That is right after an injected fault, or where the others refuse it."""
        if not life.alive:
            return
        self.cluster.log(self.name, f"ends itself: {error}")
        outdated = self.media.copied and isinstance(error, StartRefused)
        by_disk = (self.disk.failing or self.disk.full) and isinstance(error, OSError | StartRefused)
        if not (outdated or by_disk or isinstance(error, SyncFailed)):
            self.cluster.loop.fail(error)
            return
        broken = isinstance(error, SyncFailed) or self.disk.failing
        dice = self.cluster.chance.stream("broken", self.name, self.life.number)
        self.crash(power=broken and dice.random() < 0.5)
        if outdated:
            self.wipe()  # What its operator does with an old copy that the others refuse.
        self.cluster.loop.at(
            self.cluster.loop.now + RESTART_S, self.cluster.loop.world, self.cluster.revive, self.name
        )

    def crash(self, *, power: bool = False) -> None:
        """End the life at once."""
        if not self.life.alive:
            return
        self.cluster.log(self.name, "loses power" if power else "is killed")
        self.media.journal = self.journal
        self.media.acted += self.acts
        self.troubled_at = self.cluster.loop.now
        self.life.alive = False
        self.disk.crash(power)
        if self.wires is not None:
            self.wires.stopping = True
            self.cluster.network.down(self.wires, silent=power)
        self.node = self.registry = self.wires = None

    def stop_orderly(self) -> None:
        """As on SIGTERM; then start again."""
        if self.life.alive and self.node is not None:
            self.cluster.log(self.name, "is stopped")
            self.cluster.loop.soon(self.life, self._begin_stop)

    def _begin_stop(self) -> None:
        self.cluster.loop.spawn(self._stop())

    async def _stop(self) -> None:
        node, registry = self.node, self.registry
        if node is None or registry is None:
            return
        self.stopping = True
        await registry.stop()
        await node.stop()
        self.crash(power=False)
        self.cluster.loop.at(
            self.cluster.loop.now + RESTART_S, self.cluster.loop.world, self.cluster.revive, self.name
        )

    @property
    def acts(self) -> bool:
        """Whether the present life takes part as its member."""
        peers = self.node._peers if self.node is not None else None
        return peers is not None and peers.circle is not None and peers.circle.admission.acts

    def wipe(self) -> None:
        """Put an empty disk in; nobody runs."""
        self.put_in(self._new_media())

    def put_in(self, media: Media) -> None:
        """Put another disk in, the former one on the shelf; nobody runs."""
        self.shelf.append(self.media)
        self.media = media

    def pause(self, seconds: float, *, suspended: bool) -> None:
        """The process stands still. `suspended`: the machine does, and some of its clocks with it."""
        now = self.cluster.loop.now
        if self.life.alive and self.life.paused_until <= now:
            self.cluster.log(
                self.name, f"{'is suspended' if suspended else 'stands still'} for {seconds:.3f} s"
            )
            self.life.paused_until = now + seconds
            if suspended:
                self.clock.suspended_s += seconds
