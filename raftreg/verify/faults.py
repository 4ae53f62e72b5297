"""The faults: each is done to some nodes, lasts, and is undone. What is chosen comes from the seed alone.

Only who the leader is at that moment comes from the cluster.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from raftreg.chance import Stream
from raftreg.verify.caller import World
from raftreg.verify.monitor import Monitor
from raftreg.verify.options import FAULTS
from raftreg.verify.shapes import ONE_WAY, PARTITIONS, ShapeMaker
from raftreg.verify.target import (
    ADD,
    CUT,
    FILL,
    KILL,
    MEMBERS,
    MEND,
    PAUSE,
    REMOVE,
    REPLACE,
    SLOW,
    STOP,
    UNDONE_BY,
    WIPE,
    CannotAct,
    Target,
)

SLOW_S = (0.005, 0.06)


@dataclass(slots=True)
class Stage:
    """What faults are done to. `undo`: what is left to be undone of the current one, by node."""

    world: World
    target: Target
    monitor: Monitor
    undo: list[tuple[str, str]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """All nodes."""
        return list(self.world.nodes)

    def victim(self, chance: Stream) -> str:
        """The leader, as often as not; else any node."""
        wants_leader, other = chance.random() < 0.5, chance.choice(self.names)
        return (self.monitor.leader or other) if wants_leader else other

    def victims(self, chance: Stream) -> list[str]:
        """The victim, and with it others that the cluster can do without."""
        victim, count = self.victim(chance), chance.randint(1, max(1, (len(self.names) - 1) // 2))
        others = chance.sample([node for node in self.names if node != victim], count - 1)
        return sorted([victim, *others])

    async def act(self, action: str, node: str) -> None:
        """Do something to a node that `heal` undoes."""
        self.undo.append((UNDONE_BY[action], node))
        if action in (KILL, STOP):
            self.world.ended(node)
        await self.target.act(action, node)
        if action in (WIPE, REMOVE, REPLACE):
            self.world.ended(node)  # What answered until now knew all; what starts now knows nothing.
            await self.target.act("start", node)

    async def heal(self) -> None:
        """Undo everything, and start what ended by itself. CannotAct if some of it failed, after all was tried."""
        left, self.undo = self.undo, []
        problems = []
        for action, node in left:
            if action == MEND:
                continue  # It needs a cluster that is whole.
            try:
                await self.target.act(action, node)
            except CannotAct as error:
                problems.append(str(error))
        try:
            await self.target.heal()
            for action, node in left:
                if action == MEND:
                    await self.target.act(action, node)
            if {KILL, STOP} & self.target.abilities and self.world.record.deaths:
                for node in self.names:
                    await self.target.act("start", node)
        except CannotAct as error:
            problems.append(str(error))
        if problems:
            raise CannotAct("; ".join(problems))


Begin = Callable[[Stage, Stream], Awaitable[tuple[str, tuple[str, ...]]]]
"""Does a fault; what it was in words, and to which nodes."""


def _on_victims(action: str, words: str) -> Begin:
    async def begin(stage: Stage, chance: Stream) -> tuple[str, tuple[str, ...]]:
        nodes = stage.victims(chance)
        for node in nodes:
            await stage.act(action, node)
        return f"{words} {' '.join(nodes)}", tuple(nodes)

    return begin


def _cut(shapes: tuple[ShapeMaker, ...], words: str, *, silently: bool | None = None) -> Begin:
    async def begin(stage: Stage, chance: Stream) -> tuple[str, tuple[str, ...]]:
        shape, quiet = chance.choice(shapes), chance.random() < 0.5
        victim = stage.victim(chance)
        text, pairs = shape(stage.names, victim, chance)
        is_quiet = quiet if silently is None else silently
        await stage.target.cut(pairs, silently=is_quiet)
        how = " (connections stay)" if is_quiet and silently is None else ""
        return f"{words} {text}{how}", tuple(sorted({node for pair in pairs for node in pair}))

    return begin


async def _slow(stage: Stage, chance: Stream) -> tuple[str, tuple[str, ...]]:
    """Every piece of data from and to a node takes longer."""
    delay_s, victim = chance.uniform(*SLOW_S), stage.victim(chance)
    pairs = [pair for node in stage.names if node != victim for pair in ((victim, node), (node, victim))]
    await stage.target.slow(pairs, delay_s)
    return f"links of {victim} slow by {delay_s * 1000:.0f} ms", (victim,)


def _on_one(action: str, words: str) -> Begin:
    async def begin(stage: Stage, chance: Stream) -> tuple[str, tuple[str, ...]]:
        node = stage.victim(chance)
        await stage.act(action, node)
        return words.format(node), (node,)

    return begin


async def _restart_all(stage: Stage, chance: Stream) -> tuple[str, tuple[str, ...]]:
    """kill -9 of everything at about the same time; back at once."""
    nodes = chance.sample(stage.names, len(stage.names))
    for node in nodes:
        await stage.act(KILL, node)
    return "kill -9 of all nodes", tuple(sorted(nodes))


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind. `needs` is an ability of the target."""

    name: str
    needs: str
    begin: Begin
    is_of_network: bool = False


KINDS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("kill", KILL, _on_victims(KILL, "kill -9")),
        Fault("stop", STOP, _on_victims(STOP, "SIGTERM")),
        Fault("pause", PAUSE, _on_victims(PAUSE, "pause")),
        Fault("partition", CUT, _cut(PARTITIONS, "partition"), True),
        Fault("one-way", CUT, _cut(ONE_WAY, "one-way:", silently=True), True),
        Fault("slow", SLOW, _slow, True),
        Fault("restart-all", KILL, _restart_all),
        Fault("wipe", MEMBERS, _on_one(WIPE, "lost disk of {}")),
        Fault("remove", MEMBERS, _on_one(REMOVE, "removal of {}")),
        Fault("add", MEMBERS, _on_one(ADD, "one member more")),
        Fault("replace", MEMBERS, _on_one(REPLACE, "replacement of {}")),
        Fault("disk-full", FILL, _on_victims(FILL, "disk full:")),
    )
}
assert set(KINDS) == set(FAULTS)
