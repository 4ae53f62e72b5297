"""Faults: the same seed makes the same ones, all are undone, and what cannot be done is said."""

import asyncio
from collections.abc import Iterable

from raftreg.addresses import Address
from raftreg.chance import Chance
from raftreg.clock import SystemClock
from raftreg.verify.caller import World
from raftreg.verify.faults import KINDS, Stage
from raftreg.verify.monitor import Monitor
from raftreg.verify.nemesis import Nemesis
from raftreg.verify.options import FAULTS
from raftreg.verify.record import FaultEvent, NodeSample, Record
from raftreg.verify.remote import Remote
from raftreg.verify.target import CUT, FILL, KILL, MEMBERS, PAUSE, SLOW, STOP, CannotAct
from raftreg.verify.wires import Pair


class Actor(Remote):
    """A target that notes what is done to it. `broken`: an action that fails."""

    def __init__(self, broken: str = "") -> None:
        super().__init__({f"n{number}": Address("127.0.0.1", number) for number in range(1, 4)})
        self.broken, self.done = broken, list[str]()

    @property
    def abilities(self) -> frozenset[str]:
        """Everything."""
        return frozenset({KILL, STOP, PAUSE, CUT, SLOW, FILL, MEMBERS})

    async def act(self, action: str, node: str) -> None:
        """Note it, or fail."""
        if action == self.broken:
            raise CannotAct(f"{action} is broken")
        self.done.append(f"{action} {node}")

    async def cut(self, pairs: Iterable[Pair], *, silently: bool) -> None:
        """Note it."""
        self.done.append("cut")

    async def slow(self, pairs: Iterable[Pair], delay_s: float) -> None:
        """Note it."""
        self.done.append("slow")

    async def heal(self) -> None:
        """Note it."""
        self.done.append("heal")


def faults_of(target: Remote, seed: int, kinds: tuple[str, ...], seconds: float = 0.6) -> list[FaultEvent]:
    """The faults of a short run whose leader is always n1."""

    async def run() -> list[FaultEvent]:
        record = Record()
        world = World(target.nodes, SystemClock(), record, 1.0, "p")
        monitor = Monitor(world, target)
        monitor.note(NodeSample("n1", 0.0, "leader", 1))
        nemesis = Nemesis(Stage(world, target, monitor), Chance(seed), kinds, seconds / 10, lambda text: None)
        running = asyncio.create_task(nemesis.run())
        await asyncio.sleep(seconds)
        nemesis.end()
        await running
        return record.faults

    return asyncio.run(run())


def test_a_seed_makes_the_same_faults_again() -> None:
    """Kinds, victims and words; another seed makes others."""
    first, again = (faults_of(Actor(), 7, tuple(FAULTS)) for _ in range(2))
    count = min(len(first), len(again), 6)
    assert count >= 3
    assert [fault.text for fault in first[:count]] == [fault.text for fault in again[:count]]
    other = faults_of(Actor(), 8, tuple(FAULTS))
    assert [fault.text for fault in first[:count]] != [fault.text for fault in other[:count]]


def test_everything_that_is_done_is_undone() -> None:
    """Also what lasts when the run ends: starts equal kills and stops, and so on."""
    target = Actor()
    faults = faults_of(target, 3, tuple(FAULTS))
    assert all(fault.until_s is not None and not fault.problem for fault in faults)
    done = [text.split(" ")[0] for text in target.done]
    emptied = sum(done.count(action) for action in ("wipe", "remove", "replace"))  # Started anew at once.
    assert done.count("kill") + done.count("stop") + emptied == done.count("start")
    assert emptied + done.count("add") == done.count("mend") > 0
    assert done.count("pause") == done.count("resume")
    assert done.count("fill") == done.count("room")
    assert done[-1] in ("heal", "mend")


def test_a_fault_that_cannot_be_done_is_noted_and_not_tried_again() -> None:
    """The others go on."""
    faults = faults_of(Actor("kill"), 5, ("kill", "pause"))
    (failed,) = [fault for fault in faults if fault.kind == "kill"]
    assert "kill is broken" == failed.problem
    assert [fault.kind for fault in faults].count("pause") > 1


def test_what_the_target_cannot_do_is_left_out() -> None:
    """Pids are only paused; every fault that can be asked for has a kind."""
    assert set(FAULTS) == set(KINDS)
    target = Remote({"n1": Address("127.0.0.1", 1)}, "pids", {"n1": "1"})
    record = Record()
    world = World(target.nodes, SystemClock(), record, 1.0, "p")
    nemesis = Nemesis(
        Stage(world, target, Monitor(world, target)), Chance(1), tuple(FAULTS), 1.0, lambda text: None
    )
    assert set(FAULTS) - {"pause"} == set(nemesis.left_out)
