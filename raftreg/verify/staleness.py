"""How old the answers of ?stale reads are: a measurement, which no promise bounds."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raftreg.checkers.history import Operation


@dataclass(frozen=True, slots=True)
class Staleness:
    """Ages in seconds, in order: 0 for an answer to which nothing newer had been acknowledged."""

    ages_s: tuple[float, ...] = ()

    def quantile(self, share: float) -> float:
        """The age that this share of the answers did not exceed; 0 without answers."""
        if not self.ages_s:
            return 0.0
        return self.ages_s[min(len(self.ages_s) - 1, int(share * len(self.ages_s)))]

    def __str__(self) -> str:
        if not self.ages_s:
            return "no ?stale read was answered"
        fresh = sum(1 for age in self.ages_s if age == 0) / len(self.ages_s)
        marks = ", ".join(
            f"p{share:g} {self.quantile(share / 100) * 1000:.1f} ms" for share in (50, 90, 99, 99.9)
        )
        most = self.ages_s[-1] * 1000
        return f"{len(self.ages_s):,} reads, {fresh:.1%} up to date, age {marks}, most {most:.1f} ms"


def measure(changes: Sequence[Operation], reads: Mapping[str, Sequence[Operation]]) -> Staleness:
    """The age of each answer in `reads["stale"]`: for how long something newer had been acknowledged.

    Which write came when is known from the index that any read showed with its value. Reads whose result is None show
    what was there before the first write.
    """
    index_of: dict[object, int] = {}
    for each in (read for mode in reads.values() for read in mode):
        if isinstance(each.result, tuple):
            index_of[each.key, each.result[0]] = each.result[1]
    acknowledged: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for change in changes:
        index = index_of.get((change.key, _value(change)))
        if change.known and index is not None:
            acknowledged[change.key].append((index, change.ended_s))
    newer = {key: _earliest_from(sorted(pairs)) for key, pairs in acknowledged.items()}
    ages = []
    for read in reads.get("stale", ()):
        indexes, since = newer.get(read.key, ([], []))
        position = bisect_right(indexes, read.result[1] if isinstance(read.result, tuple) else 0)
        ages.append(max(0.0, read.invoked_s - since[position]) if position < len(since) else 0.0)
    return Staleness(tuple(sorted(ages)))


def _value(change: Operation) -> object:
    return change.argument[1] if isinstance(change.argument, tuple) else change.argument


def _earliest_from(pairs: list[tuple[int, float]]) -> tuple[list[int], list[float]]:
    """Indexes in order, and for each when it or a later one was first acknowledged."""
    since = [moment for _, moment in pairs]
    for position in range(len(since) - 2, -1, -1):
        since[position] = min(since[position], since[position + 1])
    return [index for index, _ in pairs], since
