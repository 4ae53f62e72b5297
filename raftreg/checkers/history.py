"""Records of what clients did and saw. All times are seconds on one clock that all clients share."""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of a client. A client has at most one known call under way at a time.

    `ok` is True when the call was answered, False when it definitely did not happen, None when nobody knows: such a
    call may take effect at any time after `invoked_s`, or never. `returned_s` is None when no answer came.
    What `argument` and `result` hold depends on `kind`; see the judge that reads them.
    """

    client: int
    kind: str
    key: str
    argument: object
    result: object
    invoked_s: float
    returned_s: float | None
    ok: bool | None

    @property
    def known(self) -> bool:
        """Whether it was answered."""
        return self.ok is True and self.returned_s is not None

    @property
    def ended_s(self) -> float:
        """When it had taken effect for certain; infinity for an unknown outcome."""
        return self.returned_s if self.ok is True and self.returned_s is not None else math.inf


@dataclass(frozen=True, slots=True)
class Sighting:
    """One answered read: what `node` said `key` holds, and the index that it gave with it."""

    node: str
    key: str
    index: int
    value: object
    invoked_s: float
    returned_s: float


@dataclass(frozen=True, slots=True)
class Change:
    """`node` applied a change at `at_s`: from `index` on `key` holds `value`."""

    node: str
    key: str
    index: int
    value: object
    at_s: float


@dataclass(frozen=True, slots=True)
class Watch:
    """One answered blocking query: `after` is the index that the client sent, `index` and `value` the answer.

    `wait_s` is how long the node was allowed to wait.
    """

    node: str
    key: str
    after: int
    wait_s: float
    index: int
    value: object
    invoked_s: float
    returned_s: float


def render(operations: Iterable[Operation]) -> str:
    """A history for people: one line per call, in the order of invocation."""
    lines = []
    for each in sorted(operations, key=lambda operation: operation.invoked_s):
        end = "?" if each.returned_s is None else f"{each.returned_s:.6f}"
        outcome = {True: f"-> {each.result!r}", False: "-> did not happen", None: "-> unknown"}[each.ok]
        lines.append(
            f"{each.invoked_s:.6f} .. {end}  client {each.client}  {each.kind} {each.key} {each.argument!r} {outcome}"
        )
    return "\n".join(lines)
