"""Blocking queries: missed, late, needless and wrong answers."""

import pytest

from raftreg.checkers.history import Change, Watch
from raftreg.checkers.watches import check

CHANGES = [Change("n1", "k", 2, "a", 0.0), Change("n1", "k", 5, "b", 10.0), Change("n1", "k", 7, "c", 10.1)]


def watch(
    after: int, index: int, value: object, span: tuple[float, float], wait_s: float = 60.0, node: str = "n1"
) -> Watch:
    """An answered blocking query on the key."""
    return Watch(node, "k", after, wait_s, index, value, *span)


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        (watch(2, 5, "b", (5, 10.01)), []),
        (watch(2, 7, "c", (5, 10.2)), []),
        (watch(2, 7, "c", (20, 20.1)), []),
        (watch(0, 2, "a", (1, 1.1)), []),
        (watch(7, 7, "c", (20, 80)), []),
        (watch(2, 2, "a", (1, 9), 8.0), []),
        (watch(2, 2, "a", (5, 65)), ["missed"]),
        (watch(2, 7, "c", (5, 30)), ["late"]),
        (watch(7, 7, "c", (20, 30)), ["needless"]),
        (watch(7, 9, "c", (20, 30)), ["needless"]),
        (watch(2, 5, "c", (5, 10.01)), ["wrong"]),
        (watch(2, 7, "c", (5, 10.05)), ["wrong"]),
        (watch(0, 3, None, (5, 5.1), node="n2"), ["needless"]),
    ],
)
def test_each_answer_is_judged_by_what_the_node_had(answer: Watch, kinds: list[str]) -> None:
    """News at once, nothing without news, and the value of the index."""
    assert kinds == [fault.kind for fault in check([answer], CHANGES)]
