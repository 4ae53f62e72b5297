"""What one node says never steps back: neither the index of a key, nor the value that goes with it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from raftreg.checkers.history import Sighting


@dataclass(frozen=True, slots=True)
class StepBack:
    """`later` contradicts `earlier`: `why` says how."""

    earlier: Sighting
    later: Sighting
    why: str

    def __str__(self) -> str:
        return f"{self.later.key} on {self.later.node}: {self.why}\n  {self.earlier}\n  {self.later}"


def check(sightings: Iterable[Sighting]) -> list[StepBack]:
    """All faults.

    A read that was invoked after another one of the same node and key was answered has an index at least as high.
    Equal indexes of a key have equal values, on all nodes.
    """
    by_place: defaultdict[tuple[str, str], list[Sighting]] = defaultdict(list)
    meaning: dict[tuple[str, int], Sighting] = {}
    faults = []
    for sighting in sorted(sightings, key=lambda each: each.invoked_s):
        by_place[sighting.node, sighting.key].append(sighting)
        first = meaning.setdefault((sighting.key, sighting.index), sighting)
        if first.value != sighting.value:
            faults.append(StepBack(first, sighting, f"another value at the same index {sighting.index}"))
    for place in by_place.values():
        faults += _index_steps(place)
    return faults


def _index_steps(sightings: list[Sighting]) -> list[StepBack]:
    """`sightings` are those of one node and key in the order of invocation."""
    faults = []
    by_end = sorted(sightings, key=lambda each: each.returned_s)
    highest: Sighting | None = None  # among those answered before the one that is looked at was invoked
    position = 0
    for sighting in sightings:
        while by_end[position].returned_s < sighting.invoked_s:
            ended = by_end[position]
            highest = ended if highest is None or ended.index > highest.index else highest
            position += 1
        if highest is not None and highest.index > sighting.index:
            why = f"index {sighting.index} after {highest.index}"
            faults.append(StepBack(highest, sighting, why))
    return faults
