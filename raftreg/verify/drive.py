"""One run, from the first node that starts to the last answer: load, faults, recovery, last reads, comparison."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from raftreg.chance import Chance, Stream
from raftreg.clock import Clock
from raftreg.verify.caller import Caller, World
from raftreg.verify.convergence import compare
from raftreg.verify.exchange import Connection, NotSent, Unanswered
from raftreg.verify.faults import Stage
from raftreg.verify.monitor import Monitor
from raftreg.verify.nemesis import Nemesis
from raftreg.verify.options import Options
from raftreg.verify.readiness import PATIENT_S, POLL_S, product_of, serves, wait_until_served
from raftreg.verify.record import Record
from raftreg.verify.target import Target
from raftreg.verify.workloads import BY_NAME, Workload

RECOVERY_TIMEOUT_S = 60.0
PROGRESS_S = 0.5
DIGEST = "/v1/raftreg/status?digest"
NAME_OF_RUNS = "raftreg-verify"


@dataclass(slots=True)
class Run:
    """What is left of a run. `recovered_s`: from the end of the load until every node served; None if they did not.

    `absent`: nodes that were not there when it began, with the reason; they took no part.
    """

    options: Options
    record: Record
    workloads: list[Workload]
    nodes: tuple[str, ...]
    product: str = ""
    recovered_s: float | None = None
    left_out: tuple[str, ...] = field(default=())  # kinds of faults that were asked for and cannot be done
    absent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is. `stage` is in words; `share` from 0 to 1 while the load runs, else None."""

    stage: str
    share: float | None = None
    calls: int = 0
    unknown: int = 0
    leader: str | None = None
    fault: str = ""


Tell = Callable[[Progress], None]


async def drive(options: Options, target: Target, clock: Clock, tell: Tell) -> Run:
    """All of it; the target is closed at the end, whatever happens. CannotVerify if there is nothing to verify."""
    try:
        tell(Progress("starting" if not options.urls else "looking at the cluster"))
        await target.open()
        record = Record()
        prefix = f"{NAME_OF_RUNS}/{clock.uuid()[:8]}"
        world = World(target.nodes, clock, record, options.timeout_s, prefix)
        absent = await wait_until_served(world, target, may_be_absent=bool(options.urls))
        world.nodes = {node: address for node, address in world.nodes.items() if node not in absent}
        product = await product_of(world)
        workloads = [BY_NAME[name](world) for name in options.workloads]
        run = Run(options, record, workloads, tuple(world.nodes), product, absent=absent)
        await _Driver(run, target, world, tell).run()
        return run
    finally:
        await target.close()


class _Driver:
    """The steps of one run on a cluster that serves."""

    def __init__(self, run: Run, target: Target, world: World, tell: Tell) -> None:
        self._run, self._target, self._world, self._tell = run, target, world, tell
        self._options, self._clock, self._record = run.options, world.clock, run.record
        self._chance = Chance(run.options.seed)
        self._monitor = Monitor(world, target)
        self._is_over = False
        self._fault = ""

    async def run(self) -> None:
        async with aclosing(_Patient(self._world, self._chance.stream("patient"))) as patient:
            for workload in self._run.workloads:
                await workload.prepare(patient.caller)
            await self._monitor.look()
            monitoring = asyncio.create_task(self._monitor.run())
            try:
                await self._load(monitoring)
                await self._recover()
            finally:
                monitoring.cancel()
                with suppress(asyncio.CancelledError):
                    await monitoring
            self._tell(Progress("last reads", calls=len(self._record.calls)))
            for workload in self._ready():
                await workload.finish(patient.caller)
            self._tell(Progress("comparing the nodes", calls=len(self._record.calls)))
            copies = [path for workload in self._ready() for path in workload.copies()]
            if self._world.is_raftreg and not self._options.urls:
                copies.append(DIGEST)  # In a cluster that others use too, it changes all the time.
            await compare(self._world, patient.caller, copies, self._options.settle_s)
            if self._options.urls and not self._options.keep:
                await self._clean(patient.caller)

    def _ready(self) -> list[Workload]:
        return [workload for workload in self._run.workloads if not workload.missing]

    async def _load(self, monitoring: "asyncio.Task[None]") -> None:
        """Clients and faults, for the time that was asked for."""
        stage = Stage(self._world, self._target, self._monitor)
        nemesis = Nemesis(stage, self._chance, self._options.faults, self._options.seconds, self._note)
        self._record.began_s = self._clock.now()
        clients = [
            asyncio.create_task(self._client(number, workload))
            for number, workload in enumerate(self._shares())
        ]
        disturbing = asyncio.create_task(nemesis.run())
        try:
            until = self._record.began_s + self._options.seconds
            while (now := self._clock.now()) < until:
                self._progress(1 - (until - now) / self._options.seconds)
                await asyncio.sleep(min(PROGRESS_S, until - now))
                for task in (*clients, disturbing, monitoring):
                    if task.done():
                        task.result()  # None of them ends early, but by an error.
            nemesis.end()
            await disturbing
            self._run.left_out = nemesis.left_out
            self._is_over = True
            # Nobody is interrupted: a call that is not in the history could not be explained.
            await asyncio.gather(*clients)
            self._record.ended_s = self._clock.now()
        finally:
            for task in (*clients, disturbing):
                task.cancel()
            await asyncio.gather(*clients, disturbing, return_exceptions=True)

    def _shares(self) -> list[Workload]:
        """A workload for each client, in proportion to their shares, at least two each."""
        ready = self._ready()
        total = sum(workload.share for workload in ready)
        wanted = [(w, max(2, round(self._options.clients * w.share / total))) for w in ready]
        return [workload for workload, count in wanted for _ in range(count)]

    async def _client(self, number: int, workload: Workload) -> None:
        chance = self._chance.stream("client", number)
        period_s = max(1, self._options.clients) / self._options.rate if self._options.rate else 0.0
        caller = Caller(self._world, workload.name, chance, period_s)
        try:
            while not self._is_over:
                await workload.step(caller)
        finally:
            caller.close()

    async def _recover(self) -> None:
        """Everything is undone; wait until every node serves a write and a consistent read."""
        self._tell(Progress("waiting until every node serves", calls=len(self._record.calls)))
        began = self._clock.now()
        waiting = [self._recovered(node) for node in self._world.nodes]
        with suppress(TimeoutError):
            async with asyncio.timeout(RECOVERY_TIMEOUT_S):
                await asyncio.gather(*waiting)
                self._run.recovered_s = self._clock.now() - began

    async def _recovered(self, node: str) -> None:
        connection = Connection(self._world.nodes[node], PATIENT_S)
        path = f"/v1/kv/{self._world.prefix}/recovered/{node}"
        try:
            while True:
                with suppress(NotSent, Unanswered):
                    answer = await connection.request("PUT", path, b"1")
                    if answer.status == 200 and await serves(connection):
                        return
                await asyncio.sleep(POLL_S)
        finally:
            connection.close()

    async def _clean(self, caller: Caller) -> None:
        """Remove what the run wrote into a cluster that stays."""
        self._tell(Progress("cleaning up", calls=len(self._record.calls)))
        for workload in self._ready():
            await workload.clean(caller)
        await caller.write("DELETE", f"/v1/kv/{self._world.prefix}/?recurse")

    def _note(self, fault: str) -> None:
        self._fault = fault

    def _progress(self, share: float) -> None:
        record = self._record
        self._tell(
            Progress("running", share, len(record.calls), record.unknown, self._monitor.leader, self._fault)
        )


class _Patient:
    """A client that waits longer, for a cluster that is well."""

    def __init__(self, world: World, chance: Stream) -> None:
        patient = World(
            world.nodes,
            world.clock,
            Record(),
            PATIENT_S,
            world.prefix,
            world.is_raftreg,
            world.lives,
            world.numbers,
        )
        self.caller = Caller(patient, "last reads", chance)

    async def aclose(self) -> None:
        """Drop its connections."""
        self.caller.close()
