"""Unique values: lost, back again, twice, from nowhere."""

import pytest

from raftreg.checkers.sets import SetFaults, check
from tests.checkers.histories import op

ADD = op(1, "add", (0, 1), "a")
LOST_ADD = op(1, "add", (0, None), "a")
NO_ADD = op(1, "add", (0, 1), "a", ok=False)
REMOVE = op(1, "remove", (2, 3), "a")


@pytest.mark.parametrize(
    ("history", "faults"),
    [
        ([ADD, op(2, "read", (2, 3), None, ["a"])], SetFaults()),
        ([ADD, op(2, "read", (0.5, 3), None, [])], SetFaults()),
        ([ADD, op(2, "read", (2, 3), None, [])], SetFaults(lost=("a",))),
        ([LOST_ADD, op(2, "read", (2, 3), None, [])], SetFaults()),
        (
            [LOST_ADD, op(2, "read", (2, 3), None, ["a"]), op(2, "read", (4, 5), None, [])],
            SetFaults(lost=("a",)),
        ),
        ([NO_ADD, op(2, "read", (2, 3), None, [])], SetFaults()),
        ([NO_ADD, op(2, "read", (2, 3), None, ["a"])], SetFaults(resurrected=("a",))),
        ([ADD, REMOVE, op(2, "read", (2, 4), None, [])], SetFaults()),
        ([ADD, REMOVE, op(2, "read", (4, 5), None, ["a"])], SetFaults(resurrected=("a",))),
        ([ADD, op(2, "read", (2, 3), None, ["a", "a"])], SetFaults(twice=("a",))),
        ([op(2, "read", (2, 3), None, ["a"])], SetFaults(unwritten=("a",))),
        ([op(1, "add", (4, 5), "a"), op(2, "read", (2, 3), None, ["a"])], SetFaults(resurrected=("a",))),
    ],
)
def test_each_fault_is_told_apart(history: list[object], faults: SetFaults) -> None:
    """A correct history has none, and every other one has exactly its own."""
    assert faults == check(history)  # type: ignore[arg-type]  # pytest's table is not typed
    assert bool(faults) == (faults != SetFaults())
