"""Whether calls on keys look as if each had happened at one moment between its invocation and its answer."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from raftreg.checkers.history import Operation, render
from raftreg.checkers.models import KeyModel, Model
from raftreg.errors import RaftregError

STEPS_MAX = 5_000_000


class Undecided(RaftregError):
    """The search took too many steps: the history has too many calls at once, or of unknown outcome."""


@dataclass(frozen=True, slots=True)
class Violation:
    """`operations` cannot be put into any order: a small part of what happened to `key`, faulty by itself."""

    key: str
    operations: tuple[Operation, ...]

    def __str__(self) -> str:
        return f"{self.key} is not linearizable:\n{render(self.operations)}"


def check(
    operations: Iterable[Operation], model: Model | None = None, steps_max: int = STEPS_MAX
) -> Violation | None:
    """The first key whose calls are not linearizable, in the order of the keys' names, with a small proof.

    Raises Undecided after `steps_max` steps of the search on one key.
    """
    model = model or KeyModel()
    by_key: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        by_key[operation.key].append(operation)
    for key in sorted(by_key):
        relevant = _relevant(by_key[key])
        if not linearizable(relevant, model, steps_max):
            return Violation(key, tuple(_smaller(relevant, model, steps_max)))
    return None


def _relevant(operations: Iterable[Operation]) -> list[Operation]:
    """Without what did not happen, and without reads that nobody got the answer of."""
    kept = [each for each in operations if each.ok is not False and (each.known or each.kind != "read")]
    return sorted(kept, key=lambda operation: (operation.invoked_s, operation.ended_s))


def linearizable(operations: Sequence[Operation], model: Model, steps_max: int = STEPS_MAX) -> bool:
    """Whether the calls on one key, in the order of their invocation, are linearizable. Raises Undecided."""
    return _first_failure(operations, model, steps_max) is None


def _first_failure(operations: Sequence[Operation], model: Model, steps_max: int) -> Operation | None:
    """The call whose answer makes the history faulty: up to that moment it was linearizable."""
    return _Frontier(_without_unseen(operations, model), model.informed(operations), steps_max).failure()


def _without_unseen(operations: Sequence[Operation], model: Model) -> list[Operation]:
    """Calls of unknown outcome that nobody can have seen only make the search long."""
    needless = {id(operation) for operation in model.unseen(operations) if not operation.known}
    return [operation for operation in operations if id(operation) not in needless]


Way = tuple[int, Hashable]
"""Which of the open calls have taken effect (a bit each), and the state after them."""


class _Frontier:
    """All states that the key can be in, moved forward from answer to answer.

    A call takes effect when it is answered, or right before another one that is answered. What keeps the frontier
    small, and leaves out only ways that lead no further than one that is kept:
    * A read takes effect as soon as it can: it disturbs nobody.
    * A call of unknown outcome takes effect only right before one that cannot do without it.
    * Of two ways to one state the one that used fewer calls of unknown outcome is kept.
    The first two need values that tell who wrote them.
    """

    def __init__(self, operations: Sequence[Operation], model: Model, steps_max: int) -> None:
        self.operations, self.model, self.steps_left = operations, model, steps_max
        self.earlier = _earlier(operations)
        self.differ = model.writes_differ(operations)
        self.looks = [model.looks(operation) for operation in operations]
        self.unknown = sum(1 << number for number, each in enumerate(operations) if not each.known)
        self.open: list[int] = []
        self.answered = 0
        self.ways: set[Way] = {(0, model.initial())}

    def failure(self) -> Operation | None:
        """The first call whose answer no way explains."""
        events = []
        for number, operation in enumerate(self.operations):
            events.append((operation.invoked_s, 0, number))
            if operation.known:
                events.append((operation.ended_s, 1, number))
        for _, answer, number in sorted(events):
            if not answer:
                self.open.append(number)
                continue
            self.ways = self._best(self._finish(number))
            if not self.ways:
                return self.operations[number]
            self.open.remove(number)
            self.answered |= 1 << number
        return None

    def _finish(self, number: int) -> set[Way]:
        """The ways on which a call took effect, now or before; its bit is no longer needed."""
        done: set[Way] = set()
        reached: set[tuple[int, Hashable, Hashable]] = set()
        waiting: list[tuple[int, Hashable, Hashable]] = [(*way, None) for way in self.ways]
        while waiting:
            taken, state, without = self._look(*waiting.pop())
            if taken >> number & 1:
                done.add((taken ^ 1 << number, state))
                continue
            for each in self.open:
                after = self._after(each, taken, state, without)
                if after is not None:
                    place = (taken | 1 << each, after, None if self.operations[each].known else state)
                    if place not in reached:
                        reached.add(place)
                        waiting.append(place)
        return done

    def _look(self, taken: int, state: Hashable, without: Hashable) -> tuple[int, Hashable, Hashable]:
        """Take all reads that can be taken now. `without`: the state but for a call of unknown outcome just taken."""
        for each in self.open:
            if self.looks[each]:
                after = self._after(each, taken, state, without)
                settles = self.differ and self.operations[each].kind == "read"
                if after is not None and (after == state or settles):
                    taken, state, without = taken | 1 << each, after, None
        return taken, state, without

    def _after(self, number: int, taken: int, state: Hashable, without: Hashable) -> Hashable | None:
        """The state after an open call, None if it cannot take effect now, or need not."""
        if taken >> number & 1:
            return None
        self.steps_left -= 1
        if self.steps_left < 0:
            raise Undecided(f"{len(self.operations)} calls on one key: no verdict in the steps allowed")
        before, operation = self.earlier[number], self.operations[number]
        if before is not None and not (taken | self.answered) >> before & 1:
            return None
        if without is not None and self.differ:
            other = self.model.step(without, operation)
            if other is not None and (other == without or not self.looks[number] or operation.kind == "read"):
                return None
        after = self.model.step(state, operation)
        return None if after == state and not operation.known else after

    def _best(self, ways: set[Way]) -> set[Way]:
        """Without the ways that another one covers."""
        groups: defaultdict[tuple[int, Hashable], list[Way]] = defaultdict(list)
        for way in sorted(ways, key=lambda each: (each[0] & self.unknown).bit_count()):
            group = groups[way[0] & ~self.unknown, self.model.group(way[1])]
            if not any(self._covers(other, way) for other in group):
                group.append(way)
        return {way for group in groups.values() for way in group}

    def _covers(self, one: Way, other: Way) -> bool:
        fewer = one[0] & ~other[0] & self.unknown == 0
        return fewer and self.model.covers(one[1], other[1])


def _earlier(operations: Sequence[Operation]) -> list[int | None]:
    """For each call the one that its client had answered before, which matters where clocks are too coarse to tell."""
    last: dict[int, int] = {}
    earlier: list[int | None] = []
    for number, operation in enumerate(operations):
        before = last.get(operation.client)
        follows = before is not None and operations[before].ended_s <= operation.invoked_s
        earlier.append(before if follows else None)
        if operation.known:
            last[operation.client] = number
    return earlier


def _smaller(operations: list[Operation], model: Model, steps_max: int) -> list[Operation]:
    """A part that is not linearizable either: the shortest beginning, without what nobody can have seen.

    Only calls whose removal keeps linearizable histories linearizable go, so what is left is a proof.
    """
    failure = _first_failure(operations, model, steps_max)
    assert failure is not None
    # What calls that were still under way answered later may be a part of the proof.
    ends = sorted(each.ended_s for each in operations if each.known and each.ended_s >= failure.ended_s)
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high) // 2 if low else 0
        if linearizable(_until(operations, ends[middle]), model, steps_max):
            low = middle + 1
        else:
            high = middle
    kept = _until(operations, ends[high])
    size = len(kept)
    while size:
        size = min(size, len(kept))
        unseen = model.unseen(kept)
        for start in range(0, len(unseen), size):
            gone = set(map(id, unseen[start : start + size]))
            others = [other for other in kept if id(other) not in gone]
            if not linearizable(others, model, steps_max):
                kept = others
                break
        else:
            size //= 2
    return kept


def _until(operations: Sequence[Operation], end_s: float) -> list[Operation]:
    """The history as it stood at a moment: calls that were under way have an unknown outcome."""
    kept = []
    for each in operations:
        if each.invoked_s > end_s or (each.ended_s > end_s and each.kind == "read"):
            continue
        if each.ended_s > end_s:
            open_call = (each.client, each.kind, each.key, each.argument, None, each.invoked_s, None, None)
            each = Operation(*open_call)
        kept.append(each)
    return kept
