"""Which checks changed since one looked the last time, told by topics, without a scan of what did not change."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from raftreg.duties.deadlines import Key
from raftreg.model import Check
from raftreg.registry import EVERYTHING, Registry
from raftreg.state import Topic
from raftreg.state.changes import fold
from raftreg.state.queries import NodeChecks, Nodes


@dataclass(slots=True)
class Differences:
    """What is different: checks that are new or changed, keys of those that are gone, and the nodes concerned."""

    changed: list[Check] = field(default_factory=list)
    gone: list[Key] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)  # folded names


class ChecksSeen:
    """The checks with a probe, as they were last seen, by node."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._seen: dict[str, dict[str, Check]] = {}
        self._dirty: set[str] = set()
        self._all_dirty = True

    @property
    def pending(self) -> bool:
        """Whether anything of interest changed since the last look."""
        return self._all_dirty or bool(self._dirty)

    def note(self, node: str) -> None:
        """Look at the node of that folded name the next time."""
        self._dirty.add(node)

    def on_topics(self, topics: Sequence[Topic]) -> None:
        """Note what changed. Where nobody looks, on a follower, that must not add up: all is new there anyway."""
        for topic in topics:
            if self._all_dirty:
                return
            if topic[0] == "node":
                self._dirty.add(topic[1])
            elif topic == EVERYTHING:
                self._all_dirty = True

    def forget(self) -> None:
        """Take everything for new the next time."""
        self._seen.clear()
        self._dirty.clear()
        self._all_dirty = True

    def differences(self) -> Differences:
        """What is different from the last time."""
        nodes = set(self._seen) if self._all_dirty else self._dirty
        if self._all_dirty:
            nodes.update(fold(node.name) for node in self._registry.local(Nodes()).value)
        self._dirty = set()
        self._all_dirty = False
        found = Differences(nodes=sorted(nodes))
        for node in found.nodes:
            self._compare(node, found)
        return found

    def _compare(self, node: str, found: Differences) -> None:
        rows = self._registry.local(NodeChecks(node)).value
        now = {check.id: check for _, check in rows if check.probe is not None}
        before = self._seen.pop(node, {})
        if now:
            self._seen[node] = now
        found.gone.extend((node, check_id) for check_id in before if check_id not in now)
        # Records are replaced as a whole when they change, so that the same object is the same check.
        found.changed.extend(check for check in now.values() if before.get(check.id) is not check)
