"""The rules by which instances are chosen, for HTTP and DNS alike."""

import itertools

import pytest

from raftreg.clock import SystemClock
from raftreg.instances import fair_weights, shuffled, weight
from raftreg.model import Check, Service, Weights


@pytest.mark.parametrize("count", [None, 1, 2, 4])
def test_each_order_is_as_likely_as_any_other(count: int | None) -> None:
    """Of all or of some of the items; nothing is lost and nothing is doubled."""
    token = SystemClock().token
    orders = list(itertools.permutations("abcde", 5 if count is None else count))
    drawn = [tuple(shuffled("abcde", token, count)) for _ in range(40 * len(orders))]
    assert set(orders) == set(drawn)
    assert max(drawn.count(order) for order in orders[:20]) < 90


def test_few_items_are_no_problem() -> None:
    """None, or fewer than were asked for."""
    token = SystemClock().token
    assert [] == shuffled([], token)
    assert [] == shuffled([], token, 3)
    assert ["a"] == shuffled(["a"], token, 3)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [((), 7), (("passing",), 7), (("passing", "warning"), 2), (("warning", "critical"), 0), (("odd",), 1)],
)
def test_the_weight_follows_the_worst_check(statuses: tuple[str, ...], expected: int) -> None:
    """An unknown status weighs 1."""
    checks = [Check("n", str(number), "", status) for number, status in enumerate(statuses)]
    assert expected == weight(Service("n", "s", "s", weights=Weights(7, 2)), checks)


@pytest.mark.parametrize("given", [Weights(0, 3), Weights(-1, 1), Weights(1, -1), Weights(70_000, 1)])
def test_weights_that_are_none_count_as_one(given: Weights) -> None:
    """Whatever a registrar gave."""
    assert Weights(1, 1) == fair_weights(given)
