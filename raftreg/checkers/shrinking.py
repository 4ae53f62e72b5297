"""A violation of linearizability made small enough to be looked at, and still a proof.

Calls are taken away together with all that leans on them: with a write go the reads of its value and the
compare-and-sets that expected its index. What such a removal leaves of a linearizable history is linearizable: in the
order that explains it, each call that stays still comes right behind the write that it leans on. So what is left of a
faulty history, if it is faulty, shows the fault by itself. Values have to be written once; histories with deletions
stay as they are.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from raftreg.checkers.history import Operation
from raftreg.checkers.linearizability import STEPS_MAX, Undecided, linearizable
from raftreg.checkers.models import KeyModel

WRITES = ("write", "cas")


def shrink(faulty: Sequence[Operation], known: Iterable[Operation] = ()) -> list[Operation]:
    """Calls on one key that are not linearizable, in the order of their invocation, without what that does not need.

    `known`: all calls on the key; their answers tell more of who wrote which index.
    """
    kept = sorted(faulty, key=lambda each: (each.invoked_s, each.ended_s))
    model = KeyModel()
    if any(each.kind == "delete" for each in kept) or not model.writes_differ(kept):
        return kept
    leaning = Leaning([*known, *kept])
    size = len(kept) // 2
    while size:
        start = 0
        while start < len(kept):
            gone = leaning.closure(kept[start : start + size], kept)
            others = [each for each in kept if id(each) not in gone]
            if others and _is_faulty(others, model):
                kept = others
            else:
                start += size
        size //= 2
    return kept


def _is_faulty(operations: Sequence[Operation], model: KeyModel) -> bool:
    try:
        return not linearizable(operations, model, STEPS_MAX)
    except Undecided:
        return False


def value_of(operation: Operation) -> object:
    """The value that a write or a compare-and-set writes."""
    return operation.argument[1] if isinstance(operation.argument, tuple) else operation.argument


class Leaning:
    """Who leans on whom."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        every = list(operations)
        self._index_of: dict[object, int] = {}
        for each in every:
            result = each.result
            if each.kind == "read" and isinstance(result, tuple) and isinstance(result[1], int):
                self._index_of.setdefault(result[0], result[1])
            elif each.kind == "write" and each.known and isinstance(result, int):
                self._index_of[value_of(each)] = result
            elif (
                each.kind == "cas" and each.known and isinstance(result, tuple) and isinstance(result[1], int)
            ):
                self._index_of[value_of(each)] = result[1]
        self._written = set(self._index_of.values())

    def closure(self, removed: Iterable[Operation], among: Sequence[Operation]) -> set[int]:
        """The ids of the calls that go with some: themselves, and what leans on them."""
        readers: defaultdict[object, list[Operation]] = defaultdict(list)
        expecting: defaultdict[int, list[Operation]] = defaultdict(list)
        refused, of_nobody = (
            [],
            [],
        )  # compare-and-sets: refused ones, and those whose index nobody is known to have written
        for each in among:
            if each.kind == "read" and isinstance(each.result, tuple):
                readers[each.result[0]].append(each)
            elif each.kind == "cas" and isinstance(each.argument, tuple):
                if _is_refused(each):
                    refused.append(each)
                elif each.argument[0] and each.argument[0] not in self._written:
                    of_nobody.append(each)
                else:
                    expecting[each.argument[0]].append(each)
        gone: set[int] = set()
        waiting = list(removed)
        while waiting:
            each = waiting.pop()
            if id(each) in gone:
                continue
            gone.add(id(each))
            if each.kind in WRITES and not _is_refused(each):
                value = value_of(each)
                index = self._index_of.get(value)
                waiting += readers[value] + refused
                waiting += of_nobody if index is None else expecting[index]
        return gone


def _is_refused(operation: Operation) -> bool:
    """Whether a compare-and-set answered that it did nothing."""
    result = operation.result
    return operation.kind == "cas" and operation.known and isinstance(result, tuple) and not result[0]
