"""The checks that no mutant reaches before another one does, on logs that are made up."""

import pytest

from raftreg.consensus.journal import Journal
from raftreg.consensus.members import Members
from raftreg.sim.checks import differ_at


class Paper:
    """A log that is nowhere."""

    def __init__(self) -> None:
        self.seq = self.synced = 0

    def append(self, record: bytes, entry_index: int | None = None) -> int:
        """Number it."""
        self.seq += 1
        return self.seq

    def drop_through(self, entry_index: int) -> None:
        """Nothing to drop."""


def journal(*entries: tuple[bytes, int]) -> Journal:
    """A log with these entries, data and term, behind the genesis."""
    made = Journal(Paper(), [], Members.genesis(["a.1"]).encode(), None)
    for number, (data, term) in enumerate(entries):
        made.add(data, number + 2, term)
    return made


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([(b"x", 1), (b"y", 1)], [(b"x", 1), (b"y", 1)], None),
        ([(b"x", 1), (b"y", 1)], [(b"x", 1)], None),
        ([(b"x", 1), (b"y", 1)], [(b"x", 1), (b"z", 2)], None),
        ([(b"x", 1), (b"y", 2)], [(b"w", 1), (b"y", 2)], 2),
        ([(b"x", 1), (b"y", 1), (b"z", 3)], [(b"x", 1), (b"v", 2), (b"z", 3)], 3),
    ],
)
def test_logs_that_agree_at_a_place_agree_below_it(
    one: list[tuple[bytes, int]], other: list[tuple[bytes, int]], expected: int | None
) -> None:
    """The first difference is told if there is a place above it with the same term in both; else they may differ."""
    assert expected == differ_at(journal(*one), journal(*other))
    assert expected == differ_at(journal(*other), journal(*one))
