"""Indexes never step back on one node, and an index means one value."""

from raftreg.checkers.history import Sighting
from raftreg.checkers.monotonic import check


def seen(index: int, value: object, span: tuple[float, float], node: str = "n1") -> Sighting:
    """An answered read of one key."""
    return Sighting(node, "k", index, value, *span)


def test_growing_and_overlapping_reads_are_fine() -> None:
    """Reads at the same time may be answered in any order, and nodes may lag behind one another."""
    history = [seen(1, "a", (0, 1)), seen(5, "b", (2, 6)), seen(3, "c", (3, 4)), seen(5, "b", (7, 8))]
    assert [] == check([*history, seen(1, "a", (9, 10), "n2")])


def test_a_step_back_is_told_with_both_reads() -> None:
    """The highest index answered before is what the later read must reach."""
    history = [seen(1, "a", (0, 1)), seen(5, "b", (2, 3)), seen(3, "c", (4, 5)), seen(6, "d", (6, 7))]
    (fault,) = check(history)
    assert (5, 3, "index 3 after 5") == (fault.earlier.index, fault.later.index, fault.why)
    assert str(fault).startswith("k on n1: index 3 after 5\n")


def test_one_index_has_one_value_everywhere() -> None:
    """Two nodes that say different things at one index have different histories."""
    (fault,) = check([seen(4, "a", (0, 1)), seen(4, "b", (0, 1), "n2")])
    assert "another value at the same index 4" == fault.why
