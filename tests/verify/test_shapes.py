"""Partitions cut what their words say, in both directions or one."""

import pytest

from raftreg.chance import Chance
from raftreg.verify.shapes import (
    ONE_WAY,
    PARTITIONS,
    ShapeMaker,
    bridge,
    deaf,
    dumb,
    halves,
    isolated,
    ring,
    shattered,
)

THREE, FIVE = ["n1", "n2", "n3"], ["n1", "n2", "n3", "n4", "n5"]


def cut(shape: ShapeMaker, nodes: list[str], seed: int = 1) -> tuple[str, set[tuple[str, str]]]:
    """A shape around n2."""
    text, pairs = shape(nodes, "n2", Chance(seed).stream())
    assert len(pairs) == len(set(pairs))
    return text, set(pairs)


@pytest.mark.parametrize("nodes", [THREE, FIVE], ids=["3", "5"])
@pytest.mark.parametrize("shape", PARTITIONS)
def test_a_partition_cuts_both_directions(shape: ShapeMaker, nodes: list[str]) -> None:
    """Something is cut, between different nodes, and nobody hears whom it cannot reach."""
    for seed in range(10):
        _, pairs = cut(shape, nodes, seed)
        assert pairs
        assert all(a != b and (b, a) in pairs and {a, b} <= set(nodes) for a, b in pairs)


def test_each_shape_is_what_its_name_says() -> None:
    """Counted in directions of five nodes."""
    assert ("n2 | n1 n3 n4 n5", 8) == (cut(isolated, FIVE)[0], len(cut(isolated, FIVE)[1]))
    assert 12 == len(cut(halves, FIVE)[1])
    assert 8 == len(cut(bridge, FIVE)[1])
    assert not any("n2" in pair for pair in cut(bridge, FIVE)[1])
    assert 10 == len(cut(ring, FIVE)[1])
    assert 2 == len(cut(ring, THREE)[1])
    assert 20 == len(cut(shattered, FIVE)[1])


def test_one_way_cuts_leave_the_way_back() -> None:
    """Deaf: nothing gets there; dumb: nothing gets out."""
    assert {("n1", "n2"), ("n3", "n2")} == cut(deaf, THREE)[1]
    assert {("n2", "n1"), ("n2", "n3")} == cut(dumb, THREE)[1]
    assert (deaf, dumb) == ONE_WAY
