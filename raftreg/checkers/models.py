"""What one key does when calls come one after the other: the sequential models of the linearizability checker."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple, Protocol

from raftreg.checkers.history import Operation


class Model(Protocol):
    """A deterministic object. States are hashable, and never None."""

    def informed(self, operations: Sequence[Operation]) -> "Model":
        """The model with what the whole history tells of states, which makes the search shorter."""
        ...

    def initial(self) -> Hashable:
        """The state before any call."""
        ...

    def step(self, state: Hashable, operation: Operation) -> Hashable | None:
        """The state after a call, None if the call cannot have had its result in `state`.

        A call of unknown outcome comes here only where it is taken to have had an effect.
        """
        ...

    def unseen(self, operations: Sequence[Operation]) -> list[Operation]:
        """Calls that nobody can have seen: without them, one or all, a linearizable history is still linearizable."""
        ...

    def looks(self, operation: Operation) -> bool:
        """Whether a call changes nothing, whatever the state; it may settle what is not known of the state."""
        ...

    def writes_differ(self, operations: Sequence[Operation]) -> bool:
        """Whether a value tells which call wrote it."""
        ...

    def group(self, state: Hashable) -> Hashable:
        """States of different groups never cover one another."""
        ...

    def covers(self, one: Hashable, other: Hashable) -> bool:
        """Whether from state `one` everything is possible that is possible from `other`, of the same group."""
        ...


class Cell(NamedTuple):
    """A key: whether it is there, what it holds, and `changed_at`, the index of its last change.

    `changed_at` where it is not known is above `floor` and not in `excluded`. An absent key has index 0.
    """

    present: bool
    value: Hashable
    changed_at: int | None
    floor: int
    excluded: frozenset[int]


ABSENT = Cell(False, None, 0, 0, frozenset())


class KeyModel:
    """A key with an index, as Consul's key-value store has it. Kinds, their arguments and results:

    read    None                    None if absent, else (value, index); the index None if it was not told
    write   value                   the index of the change, None if it was not told
    cas     (expected index, value) (whether it was done, the index of the change or None); 0 expects absence
    delete  None                    anything

    Writing the value that is there changes nothing, the index neither.
    """

    def __init__(self, index_of: dict[object, int] | None = None) -> None:
        """`index_of`: the index at which a value was written, where some answer tells it."""
        self._index_of = index_of or {}
        self._owned = frozenset(self._index_of.values())

    def informed(self, operations: Sequence[Operation]) -> "KeyModel":
        """Values that are written once have one index: if any answer tells it, it is known from the beginning."""
        if not self.writes_differ(operations):
            return self
        index_of: dict[object, int] = {}
        for each in operations:
            if each.kind == "read" and isinstance(each.result, tuple) and each.result[1] is not None:
                index_of.setdefault(each.result[0], each.result[1])
        return KeyModel(index_of)

    def initial(self) -> Cell:
        """Absent."""
        return ABSENT

    def step(self, state: Hashable, operation: Operation) -> Cell | None:
        """See `Model.step`."""
        assert isinstance(state, Cell)
        match operation.kind:
            case "read":
                return _read(state, operation.result)
            case "write":
                told = operation.result if operation.known else None
                return self._write(state, operation.argument, told)
            case "cas":
                return self._cas(state, operation)
            case "delete":
                return ABSENT._replace(floor=_floor(state)) if state.present else state
        raise ValueError(f"a key knows no call of kind {operation.kind}")

    def _write(self, cell: Cell, value: object, index: object) -> Cell | None:
        """The cell after a write; `index` as it was told."""
        if cell.present and cell.value == value:
            return cell
        floor = _floor(cell)
        index = self._index_of.get(value) if index is None else index
        if not isinstance(index, int):
            return Cell(True, value, None, floor, self._owned)
        return Cell(True, value, index, floor, frozenset()) if index > floor else None

    def _cas(self, cell: Cell, operation: Operation) -> Cell | None:
        assert isinstance(operation.argument, tuple)
        expected, value = operation.argument
        if _done(operation):
            matched = _bind(cell, expected)
            told = operation.result[1] if operation.known and isinstance(operation.result, tuple) else None
            return None if matched is None else self._write(matched, value, told)
        if cell.changed_at is None:
            return cell if expected <= cell.floor else cell._replace(excluded=cell.excluded | {expected})
        return cell if cell.changed_at != expected else None

    def unseen(self, operations: Sequence[Operation]) -> list[Operation]:
        """Reads, refused compare-and-sets, and writes of values that were never read if nothing asks for an index."""
        quiet = [each for each in operations if self.looks(each)]
        if any(each.kind == "cas" for each in operations) or not self.writes_differ(operations):
            return quiet
        results = [each.result for each in operations if each.kind == "read"]
        read = {result[0] for result in results if isinstance(result, tuple)}
        return quiet + [each for each in operations if each.kind == "write" and each.argument not in read]

    def looks(self, operation: Operation) -> bool:
        """Reads and refused compare-and-sets."""
        return operation.kind == "read" or (operation.kind == "cas" and not _done(operation))

    def writes_differ(self, operations: Sequence[Operation]) -> bool:
        """Whether no value is written twice."""
        values = [
            each.argument[1] if each.kind == "cas" and isinstance(each.argument, tuple) else each.argument
            for each in operations
            if each.kind in ("write", "cas")
        ]
        return len(values) == len(set(values))

    def group(self, state: Hashable) -> Hashable:
        """What is there."""
        assert isinstance(state, Cell)
        return state.present, state.value

    def covers(self, one: Hashable, other: Hashable) -> bool:
        """Less is known of the index."""
        assert isinstance(one, Cell)
        assert isinstance(other, Cell)
        if one.changed_at is None and other.changed_at is not None:
            return _bind(one, other.changed_at) is not None
        known = one.changed_at == other.changed_at and _floor(one) <= _floor(other)
        return known and one.excluded <= other.excluded


def _floor(cell: Cell) -> int:
    return max(cell.floor, cell.changed_at or 0)


def _bind(cell: Cell, index: int) -> Cell | None:
    """The cell if its index is, or can be, this one."""
    if cell.changed_at is not None:
        return cell if cell.changed_at == index else None
    if index <= cell.floor or index in cell.excluded:
        return None
    return cell._replace(changed_at=index, excluded=frozenset())


def _read(cell: Cell, result: object) -> Cell | None:
    if not cell.present or not isinstance(result, tuple):
        return None if cell.present or result is not None else cell
    value, index = result
    if value != cell.value:
        return None
    return cell if index is None else _bind(cell, index)


def _done(operation: Operation) -> bool:
    """Whether a compare-and-set took place; one of unknown outcome is asked about only if it did."""
    return not operation.known or (isinstance(operation.result, tuple) and bool(operation.result[0]))
