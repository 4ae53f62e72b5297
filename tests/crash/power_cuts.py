"""What a file system may leave behind when the power fails after the n-th operation.

Durable is what was synced. Of the operations since the last sync of a file or directory any subset may have got
through, also a later one without an earlier one, and of a write any subset of its sectors; a file that grew may be
long and hold zeros. Directories and files do not wait for one another.
"""

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.crash.memory_disk import ROOT, Image, Op

SECTOR = 512
EXHAUSTIVE = 64  # up to so many states of one crash point all are tried
SAMPLED = 32  # else so many, the two ends among them


class Settling:
    """The durable part of a disk, and what waits for a sync, moved forward one operation at a time."""

    def __init__(
        self, image: Image | None = None, exhaustive: int = EXHAUSTIVE, sampled: int = SAMPLED
    ) -> None:
        self.exhaustive, self.sampled = exhaustive, sampled
        self.incomplete = 0  # crash points of which only a sample was given
        self.durable = image.copy() if image else Image(entries={ROOT: {}})
        self.pending: dict[int | Path, list[Op]] = {}

    def then(self, op: Op) -> None:
        """One operation more."""
        if op.kind != "sync":
            self.pending.setdefault(op.place, []).append(op)
            return
        for done in self.pending.pop(op.place, []):
            self.durable.apply(done)

    def states(self, chance: random.Random) -> Iterator[Image]:
        """The disks that may be found when the power fails now; all if they are few, else the ends and a sample."""
        choices = [_outcomes(op) for ops in self.pending.values() for op in ops]
        count = math.prod(map(len, choices))
        if count <= self.exhaustive:
            yield from (self._with(picked) for picked in itertools.product(*choices))
            return
        self.incomplete += 1
        yield self._with([outcomes[0] for outcomes in choices])
        yield self._with([outcomes[-1] for outcomes in choices])
        for _ in range(self.sampled - 2):
            yield self._with([chance.choice(outcomes) for outcomes in choices])

    def _with(self, picked: Sequence[tuple[Op, ...]]) -> Image:
        image = self.durable.copy()
        for part in picked:
            for op in part:
                image.apply(op)
        return image.reachable(ROOT)


def _outcomes(op: Op) -> list[tuple[Op, ...]]:
    """What may become of one operation, from nothing to all of it."""
    if op.kind != "write":
        return [(), (op,)]
    parts = _sectors(op)
    if len(parts) == 1:
        return [(), (_zeros(op),), (op,)]
    if len(parts) <= 4:
        chosen = [pick for size in range(len(parts)) for pick in itertools.combinations(parts, size)]
    else:
        chosen = [tuple(parts[:size]) for size in range(len(parts))]
        chosen += [(*parts[:hole], *parts[hole + 1 :]) for hole in range(len(parts))]
    return [*chosen, (_zeros(op), *parts[1:]), (op,)]


def _sectors(op: Op) -> list[Op]:
    """A write in parts that do not cross a sector's end."""
    parts, position = [], 0
    while position < len(op.data):
        size = SECTOR - (op.offset + position) % SECTOR
        parts.append(Op("write", op.place, op.offset + position, op.data[position : position + size]))
        position += size
    return parts


def _zeros(op: Op) -> Op:
    """The file grew, but what was written into the new part did not get there."""
    return Op("grow", op.place, op.offset + len(op.data))
