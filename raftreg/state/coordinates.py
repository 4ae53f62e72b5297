"""Where nodes are in the network, as they told."""

from collections.abc import Container, Iterable

from raftreg.cluster_commands import CoordinatesUpdate
from raftreg.model import Coordinate
from raftreg.state.changes import COORDINATES, Changes, fold

Place = tuple[str, str]  # folded node name, segment


class Coordinates:
    """One coordinate per node and segment. `changed` numbers the last change of any."""

    def __init__(self, changed: int = 1, rows: Iterable[Coordinate] = ()) -> None:
        self.changed = changed
        self._rows: dict[Place, Coordinate] = {(fold(row.node), row.segment): row for row in rows}

    def update(self, changes: Changes, command: CoordinatesUpdate, nodes: Container[str]) -> int:
        """Set the coordinates of those nodes that are there; how many."""
        known = [row for row in command.coordinates if fold(row.node) in nodes]
        for row in known:
            self._rows[(fold(row.node), row.segment)] = row
        if known:
            self._touch(changes)
        return len(known)

    def forget(self, changes: Changes, node: str) -> None:
        """The node is gone."""
        name = fold(node)
        gone = [place for place in self._rows if place[0] == name]
        for place in gone:
            del self._rows[place]
        if gone:
            self._touch(changes)

    def _touch(self, changes: Changes) -> None:
        self.changed = changes.index
        changes.touch(COORDINATES)

    def of(self, node: str) -> list[Coordinate]:
        """The coordinates of a node, by segment."""
        name = fold(node)
        return [self._rows[place] for place in sorted(self._rows) if place[0] == name]

    def rows(self) -> list[Coordinate]:
        """All coordinates, by node and segment, as a list of its own."""
        return [self._rows[place] for place in sorted(self._rows)]
