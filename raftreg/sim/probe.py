"""Where the checks look at a node from: its state machine, and the moment in which it becomes leader."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from raftreg.commands import Result
from raftreg.consensus import seams
from raftreg.consensus.engine import Engine
from raftreg.consensus.journal import Journal
from raftreg.consensus.node import RaftNode
from raftreg.registry import Replica
from raftreg.sim.patches import Patches
from raftreg.state import State, Topic

if TYPE_CHECKING:
    from raftreg.sim.checks import Checks
    from raftreg.sim.host import Host

_CANDIDATE, _LEADER = 1, 2  # pysyncobj's numbers for the role


class WatchedReplica(Replica):
    """Tells the checks what it applies and loads."""

    def __init__(self, state: State, checks: "Checks", host: "Host") -> None:
        super().__init__(state)
        self.checks, self.host = checks, host
        self.node: RaftNode | None = None
        self.life = host.life
        self.on_topics(self._changed)

    def apply(self, index: int, data: bytes) -> list[Result]:
        """See StateMachine."""
        before = self.state.index
        results = super().apply(index, data)
        self.checks.applied(self, index, data, before)
        return results

    def freeze(self) -> Callable[[], Iterator[bytes]]:
        """See StateMachine."""
        self.checks.cluster.copied(self.host.name)
        return super().freeze()

    def load(self, data: bytes) -> None:
        """See StateMachine."""
        before = self.state.index
        super().load(data)
        self.checks.loaded(self, before)

    def _changed(self, topics: Sequence[Topic]) -> None:
        self.checks.changed(self, topics)


@contextmanager
def watching(checks: "Checks", monotonic: Callable[[], float]) -> Iterator[None]:
    """Within: elections are told to the checks, and pysyncobj reads the clock of the host that runs."""
    original: Any = Engine._role_changed
    truncate: Any = Journal.deleteEntriesFrom

    def delete_from(journal: Journal, position: int) -> None:
        if position < len(journal.entries):
            checks.truncates(journal, journal.entries[position][1])
        truncate(journal, position)

    def role_changed(engine: Engine, old: int, new: int) -> None:
        engine.role_number = new
        if new == _LEADER:
            checks.elected(engine)
        elif new == _CANDIDATE:
            checks.campaigns(engine)
        original(engine, old, new)

    former = seams.use_clock(monotonic)
    patches = Patches()
    patches.put(Engine, "_role_changed", role_changed)
    patches.put(Journal, "deleteEntriesFrom", delete_from)
    try:
        with patches:
            yield
    finally:
        seams.use_clock(former)
