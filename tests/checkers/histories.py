"""Short ways to write histories down."""

import itertools
from collections.abc import Hashable, Sequence

from raftreg.checkers.history import Operation
from raftreg.checkers.models import Model


def op(
    client: int,
    kind: str,
    span: tuple[float, float | None],
    argument: object = None,
    result: object = None,
    ok: bool | None = True,
    key: str = "k",
) -> Operation:
    """One call; without an end its outcome is unknown."""
    return Operation(
        client, kind, key, argument, result, span[0], span[1], None if span[1] is None and ok else ok
    )


def brute_force(operations: Sequence[Operation], model: Model) -> bool:
    """Linearizability by its definition: try every order of every choice of the unknown calls."""
    happened = [each for each in operations if each.ok is not False]
    known = [each for each in happened if each.known]
    unknown = [each for each in happened if not each.known]
    for count in range(len(unknown) + 1):
        for chosen in itertools.combinations(unknown, count):
            for order in itertools.permutations([*known, *chosen]):
                if _allowed(order) and _runs(order, model):
                    return True
    return False


def _allowed(order: Sequence[Operation]) -> bool:
    """Whether no call stands behind one that began after its end."""
    for position, earlier in enumerate(order):
        for later in order[position + 1 :]:
            if later.ended_s < earlier.invoked_s:
                return False
            if later.client == earlier.client and later.ended_s <= earlier.invoked_s:
                return False
    return True


def _runs(order: Sequence[Operation], model: Model) -> bool:
    state: Hashable | None = model.initial()
    for operation in order:
        if operation.kind == "read" and not operation.known:
            continue
        state = model.step(state, operation)
        if state is None:
            return False
    return True
