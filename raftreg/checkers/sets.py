"""Unique values in a growing list, such as the keys that clients create: none lost, none back, none twice.

Kinds: add (argument: the value), remove (argument: the value) and read (result: a sequence of values, as the state
machine keeps them). A value is added at most once in a history, under whatever outcome. Reads that may be stale do
not belong into the history.
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from raftreg.checkers.history import Operation


@dataclass(frozen=True, slots=True)
class SetFaults:
    """Values by what befell them, each in the order of its first fault."""

    lost: tuple[Hashable, ...] = ()  # acknowledged, or seen once, and gone without anybody removing it
    resurrected: tuple[
        Hashable, ...
    ] = ()  # seen though the removal was acknowledged, or the addition did not happen
    twice: tuple[Hashable, ...] = ()  # more than once in one answer
    unwritten: tuple[Hashable, ...] = ()  # nobody had tried to add them

    def __bool__(self) -> bool:
        return bool(self.lost or self.resurrected or self.twice or self.unwritten)


@dataclass(slots=True)
class _Life:
    """What is known of a value: from when it may and must be there, from when it may and must be gone."""

    may_be_s: float = math.inf
    must_be_s: float = math.inf
    may_go_s: float = math.inf
    must_go_s: float = math.inf


def check(operations: Iterable[Operation]) -> SetFaults:
    """What went wrong, key by key; SetFaults() is falsy."""
    history = list(operations)
    lost: dict[Hashable, None] = {}
    resurrected: dict[Hashable, None] = {}
    twice: dict[Hashable, None] = {}
    unwritten: dict[Hashable, None] = {}
    for key in dict.fromkeys(each.key for each in history):
        of_key = [each for each in history if each.key == key]
        lives = _lives(of_key)
        reads = sorted((each for each in of_key if each.kind == "read" and each.known), key=_ended)
        for read in reads:
            found = Counter(_values(read))
            twice.update(dict.fromkeys(value for value, count in found.items() if count > 1))
            for value in found:
                life = lives.setdefault(value, _Life())
                if life.must_go_s < read.invoked_s:
                    resurrected[value] = None
                elif life.may_be_s > read.ended_s:
                    tried = any(each.kind == "add" and each.argument == value for each in of_key)
                    (resurrected if tried else unwritten)[value] = None
                life.must_be_s = min(life.must_be_s, read.ended_s)
            for value, life in lives.items():
                if value not in found and life.must_be_s < read.invoked_s and life.may_go_s > read.ended_s:
                    lost[value] = None
    return SetFaults(tuple(lost), tuple(resurrected), tuple(twice), tuple(unwritten))


def _ended(operation: Operation) -> float:
    return operation.ended_s


def _values(read: Operation) -> list[Hashable]:
    assert isinstance(read.result, (list, tuple, set, frozenset)), "a read gives a sequence of values"
    return list(read.result)


def _lives(operations: Iterable[Operation]) -> dict[Hashable, _Life]:
    """When each value was added and removed, in the order of the history."""
    lives: dict[Hashable, _Life] = {}
    for each in operations:
        if each.kind not in ("add", "remove") or each.ok is False:
            continue
        assert isinstance(each.argument, Hashable)
        life = lives.setdefault(each.argument, _Life())
        if each.kind == "add":
            life.may_be_s, life.must_be_s = each.invoked_s, each.ended_s
        else:
            life.may_go_s = min(life.may_go_s, each.invoked_s)
            life.must_go_s = min(life.must_go_s, each.ended_s)
    return lives
