"""What every workload is, and the questions that several ask in the same way."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import replace

from raftreg.checkers import linearizability, sets
from raftreg.checkers.history import Operation
from raftreg.checkers.shrinking import shrink, value_of
from raftreg.verify.caller import Caller, World
from raftreg.verify.verdict import Verdict, empty, failed, passed

FRESH_MODES = ("default", "consistent")


class Workload(ABC):
    """One kind of load. `share`: how many of the clients it gets, in proportion."""

    name = ""
    share = 1

    def __init__(self, world: World) -> None:
        self.world = world
        self.missing = ""  # why this server cannot be asked to do it

    async def prepare(self, caller: Caller) -> None:
        """Make what is needed before the first step. Sets `missing` if the server lacks it."""
        del caller

    @abstractmethod
    async def step(self, caller: Caller) -> None:
        """One or a few calls of one client."""

    async def finish(self, caller: Caller) -> None:
        """Ask for what must be there, when the cluster is well again."""
        del caller

    async def clean(self, caller: Caller) -> None:
        """Remove what the removal of all keys under the prefix does not."""
        del caller

    def copies(self) -> list[str]:
        """Paths, beside the keys of the run, whose answers are to be the same from every node's own copy."""
        return []

    @abstractmethod
    def verdicts(self) -> list[Verdict]:
        """What the history says."""


def parameters(mode: str, *others: str) -> str:
    """The query of a read in this mode."""
    chosen = [*others, *([mode] if mode != "default" else [])]
    return "?" + "&".join(chosen) if chosen else ""


def linear_verdict(check: str, operations: Sequence[Operation]) -> Verdict:
    """Whether calls on registers look as if each had happened at one moment."""
    reads = sum(1 for each in operations if each.kind == "read" and each.known)
    changes = [each for each in operations if each.kind != "read" and each.ok is not False]
    if not reads or not any(each.known for each in changes):
        return empty(check, f"{reads:,} reads and {len(changes):,} writes were answered: too few to compare")
    try:
        violation = linearizability.check(operations)
    except linearizability.Undecided as error:
        return empty(check, f"given up: {error}")
    if violation is not None:
        proof = _proof(violation.operations, [each for each in operations if each.key == violation.key])
        text = f"{violation.key}: no order of these {len(proof)} calls explains their answers"
        return failed(check, text, proof)
    unknown = sum(1 for each in changes if each.ok is None)
    keys = len({each.key for each in operations})
    return passed(
        check, f"{len(changes):,} writes ({unknown:,} of unknown outcome), {reads:,} reads, {keys:,} keys"
    )


def _proof(faulty: Sequence[Operation], of_key: Sequence[Operation]) -> list[Operation]:
    """The shortest proof that was found, with the writes that were refused and whose values it shows all the same."""
    proof = shrink(faulty, of_key)
    shown = {each.result[0] for each in proof if each.kind == "read" and isinstance(each.result, tuple)}
    refused = [
        each for each in of_key if each.ok is False and each.kind != "read" and value_of(each) in shown
    ]
    # The answer that nothing explains is the last one that came.
    return [*refused, *sorted(proof, key=lambda each: each.ended_s if each.known else 0.0)]


def set_verdict(check: str, operations: Sequence[Operation], what: str) -> Verdict:
    """Whether unique values were lost, came back, came twice or from nowhere."""
    reads = sum(1 for each in operations if each.kind == "read" and each.known)
    adds = [each for each in operations if each.kind == "add" and each.ok is not False]
    removals = [each for each in operations if each.kind == "remove" and each.ok is not False]
    if not reads or not any(each.known for each in adds):
        return empty(check, f"{reads:,} reads and {len(adds):,} additions were answered: too few to compare")
    faults = sets.check(operations)
    for kind, values in (
        ("lost", faults.lost),
        ("back after its removal, or though it was refused", faults.resurrected),
        ("there twice", faults.twice),
        ("there though nobody added it", faults.unwritten),
    ):
        if values:
            text = f"{len(values)} {what}: {values[0]} is {kind}"
            return failed(check, text, _about(values[0], operations))
    unknown = sum(1 for each in [*adds, *removals] if each.ok is None)
    return passed(
        check,
        f"{len(adds):,} added and {len(removals):,} removed ({unknown:,} of unknown outcome), {reads:,} reads",
    )


def _about(value: Hashable, operations: Sequence[Operation]) -> list[Operation]:
    """The changes of one value, the first read that showed it, and the first one that is wrong about it."""
    changes = [each for each in operations if each.kind != "read" and each.argument == value]
    keys = {each.key for each in changes}
    reads = [_shown(each, value) for each in operations if each.kind == "read" and each.known]
    reads = sorted((each for each in reads if each.key in keys or each.result), key=lambda each: each.ended_s)
    first = next((each for each in reads if each.result), None)
    for read in reads:
        so_far = [*changes, *([first] if first not in (None, read) else []), read]
        if sets.check(so_far):
            small = [*changes, read]
            return small if sets.check(small) else so_far
    return changes


def _shown(read: Operation, value: Hashable) -> Operation:
    """A read reduced to what it says of one value."""
    assert isinstance(read.result, tuple | list | frozenset)
    return replace(read, result=(value,) * list(read.result).count(value))
