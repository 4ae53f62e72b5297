"""Small proofs: what is left is faulty, and nothing becomes faulty by what is taken away."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftreg.checkers.history import Operation
from raftreg.checkers.linearizability import check
from raftreg.checkers.models import KeyModel
from raftreg.checkers.shrinking import Leaning, shrink
from tests.checkers.histories import brute_force, op
from tests.checkers.test_linearizability import BAD, random_run

UNIQUE = {
    name: history
    for name, history in BAD.items()
    if KeyModel().writes_differ(history) and all(each.kind != "delete" for each in history)
}


@pytest.mark.parametrize("name", UNIQUE)
def test_known_bad_histories_stay_bad(name: str) -> None:
    """By the definition, not only by the search."""
    violation = check(UNIQUE[name])
    assert violation is not None
    assert not brute_force(shrink(violation.operations, UNIQUE[name]), KeyModel())


@pytest.mark.parametrize("seed", range(4))
def test_one_wrong_answer_among_hundreds_is_shown_by_a_few_calls(seed: int) -> None:
    """The shortest proof of a stale read: the write that it shows, a later one, and the read."""
    history = random_run(seed, 600, spoil=True)
    violation = check(history)
    assert violation is not None
    small = shrink(violation.operations, history)
    assert check(small) is not None
    assert len(small) <= 8, len(small)


def test_a_history_with_deletions_stays_as_it_is() -> None:
    """An absence leans on a deletion that no value names."""
    history = [op(1, "write", (0, 1), "a", 5), op(1, "delete", (2, 3)), op(1, "read", (4, 5), None, ("a", 5))]
    assert history == shrink(history)


@given(st.integers(0, 10_000), st.data())
@settings(max_examples=150, deadline=None)
def test_no_fault_comes_about_by_taking_away(seed: int, data: st.DataObject) -> None:
    """Any calls of a correct history, taken away with all that leans on them, leave a correct history."""
    history = [each for each in random_run(seed, 24) if each.ok is not False]
    leaning = Leaning(history)
    removed: list[Operation] = data.draw(st.lists(st.sampled_from(history), max_size=8))
    gone = leaning.closure(removed, history)
    assert check([each for each in history if id(each) not in gone]) is None
