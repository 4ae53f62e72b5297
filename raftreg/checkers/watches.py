"""Blocking queries: no change is missed, nobody is woken for nothing."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from raftreg.checkers.history import Change, Watch

PATIENCE_S = 0.5


@dataclass(frozen=True, slots=True)
class WatchFault:
    """`kind` is missed, late, needless or wrong; `change` is the one that the watch should have told, if any."""

    kind: str
    watch: Watch
    change: Change | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.watch}" + (f"\n  {self.change}" if self.change else "")


def check(
    watches: Iterable[Watch], changes: Iterable[Change], patience_s: float = PATIENCE_S
) -> list[WatchFault]:
    """All faults, in the order of the watches. `changes` are all that each node applied, in its order.

    missed    answered without news though a change was there, `patience_s` before the answer or earlier
    late      answered with news, but more than `patience_s` after the node had some
    needless  answered before the time was up, with nothing newer than what the client had
    wrong     the value is not the one at the answer's index, or the index is that of no change
    """
    applied: defaultdict[tuple[str, str], list[Change]] = defaultdict(list)
    for change in changes:
        applied[change.node, change.key].append(change)
    faults = []
    for watch in watches:
        fault = _judge(watch, applied[watch.node, watch.key], patience_s)
        if fault is not None:
            faults.append(fault)
    return faults


def _judge(watch: Watch, changes: list[Change], patience_s: float) -> WatchFault | None:
    """The first fault of one watch. `changes` have growing indexes and times."""
    next_one = bisect_right(changes, watch.after, key=lambda change: change.index)
    news = changes[next_one] if next_one < len(changes) else None
    if watch.index <= watch.after:
        if news is not None and news.at_s + patience_s < watch.returned_s:
            return WatchFault("missed", watch, news)
        if watch.returned_s < watch.invoked_s + watch.wait_s:
            return WatchFault("needless", watch)
        return None
    current = bisect_right(changes, watch.index, key=lambda change: change.index) - 1
    told = changes[current] if current >= 0 else None
    if news is None or told is None or told.index <= watch.after:
        return WatchFault("needless", watch)
    if told.value != watch.value or told.at_s > watch.returned_s:
        return WatchFault("wrong", watch, told)
    if watch.returned_s > max(news.at_s, watch.invoked_s) + patience_s:
        return WatchFault("late", watch, news)
    return None
