"""The linearizability checker: known histories, and every small one against the definition."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftreg.checkers.history import Operation
from raftreg.checkers.linearizability import Undecided, check, linearizable
from raftreg.checkers.models import KeyModel
from tests.checkers.histories import brute_force, op

GOOD = {
    "nothing": [],
    "absent": [op(1, "read", (0, 1))],
    "one after the other": [op(1, "write", (0, 1), "a", 5), op(2, "read", (2, 3), None, ("a", 5))],
    "overlap, old": [op(1, "write", (0, 4), "a", 5), op(2, "read", (1, 2))],
    "overlap, new": [op(1, "write", (0, 4), "a", 5), op(2, "read", (1, 2), None, ("a", 5))],
    "unknown write seen late": [
        op(1, "write", (0, None), "a"),
        op(2, "read", (1, 2)),
        op(2, "read", (3, 4), None, ("a", 7)),
    ],
    "unknown write never seen": [
        op(1, "write", (0, None), "a"),
        op(2, "read", (1, 2)),
        op(2, "read", (3, 4)),
    ],
    "read without an index": [op(1, "write", (0, 1), "a"), op(2, "read", (2, 3), None, ("a", None))],
    "cas on what was read": [
        op(1, "write", (0, 1), "a"),
        op(1, "read", (2, 3), None, ("a", 4)),
        op(1, "cas", (4, 5), (4, "b"), (True, 9)),
        op(2, "cas", (6, 7), (4, "c"), (False, None)),
        op(2, "read", (8, 9), None, ("b", 9)),
    ],
    "cas on absence": [
        op(1, "cas", (0, 1), (0, "a"), (True, 2)),
        op(1, "cas", (2, 3), (0, "b"), (False, None)),
    ],
    "unknown cas took place": [op(1, "cas", (0, None), (0, "a")), op(2, "read", (1, 2), None, ("a", 3))],
    "same value keeps its index": [
        op(1, "write", (0, 1), "a", 5),
        op(1, "write", (2, 3), "a", 6),
        op(1, "read", (4, 5), None, ("a", 5)),
    ],
    "deleted": [op(1, "write", (0, 1), "a", 5), op(1, "delete", (2, 3)), op(1, "read", (4, 5))],
    "what did not happen": [op(1, "write", (0, 1), "a", ok=False), op(1, "read", (2, 3))],
}
BAD = {
    "stale": [op(1, "write", (0, 1), "a", 5), op(2, "read", (2, 3))],
    "step back": [
        op(1, "write", (0, 9), "a", 5),
        op(2, "read", (1, 2), None, ("a", 5)),
        op(3, "read", (3, 4)),
    ],
    "from nowhere": [op(1, "read", (0, 1), None, ("a", 5))],
    "from the future": [op(1, "read", (0, 1), None, ("a", 5)), op(2, "write", (2, 3), "a", 5)],
    "other index": [op(1, "write", (0, 1), "a", 5), op(2, "read", (2, 3), None, ("a", 6))],
    "index back": [op(1, "write", (0, 1), "a", 5), op(2, "write", (2, 3), "b", 4)],
    "one value, two indexes": [
        op(1, "write", (0, 1), "a"),
        op(2, "read", (2, 3), None, ("a", 4)),
        op(2, "read", (4, 5), None, ("a", 6)),
    ],
    "two cas on one index": [
        op(1, "write", (0, 1), "a", 3),
        op(1, "cas", (2, 5), (3, "b"), (True, None)),
        op(2, "cas", (2, 5), (3, "c"), (True, None)),
    ],
    "cas refused for nothing": [
        op(1, "write", (0, 1), "a", 3),
        op(1, "cas", (2, 3), (3, "b"), (False, None)),
    ],
    "did not happen, but seen": [
        op(1, "write", (0, 1), "a", ok=False),
        op(1, "read", (2, 3), None, ("a", 5)),
    ],
    "unknown twice": [
        op(1, "write", (0, None), "a"),
        op(2, "read", (1, 2), None, ("a", 4)),
        op(3, "write", (3, 4), "b", 5),
        op(2, "read", (5, 6), None, ("a", 6)),
    ],
    "refused while under way": [
        op(1, "cas", (0, 2), (0, "a"), (False, None)),
        op(2, "read", (0, 1), None, ("a", None)),
    ],
    "same moment, one client": [op(1, "write", (0, 1), "a", 5), op(1, "read", (1, 2))],
}


@pytest.mark.parametrize("name", GOOD)
def test_good_histories_pass(name: str) -> None:
    """What a correct store may answer is no violation."""
    assert check(GOOD[name]) is None


@pytest.mark.parametrize("name", BAD)
def test_bad_histories_are_found(name: str) -> None:
    """What no correct store answers is found, and what is shown is bad by itself."""
    violation = check(BAD[name])
    assert violation is not None
    assert not brute_force(violation.operations, KeyModel())


def test_keys_are_judged_one_by_one() -> None:
    """The fault is told with its key, and calls on other keys are no part of it."""
    violation = check(
        [op(1, "write", (0, 1), "a", key="good"), op(1, "read", (0, 1), None, ("x", 1), key="bad")]
    )
    assert violation is not None
    assert ("bad", 1) == (violation.key, len(violation.operations))
    assert "bad is not linearizable:\n0.000000 .. 1.000000  client 1  read bad None" in str(violation)


def random_run(seed: int, count: int, spoil: bool = False) -> list[Operation]:
    """A history of a correct store: each call takes effect at a moment between its ends, or never.

    With `spoil` one read shows what was there long before.
    """
    chance = random.Random(seed)
    calls = []
    for client in range(6):
        moment = chance.random()
        for _ in range(count // 6):
            begin, effect = moment, moment + chance.random()
            moment = effect + chance.random()
            calls.append((effect, client, begin, moment))
    value, index, told, history, spoilt = None, 0, [0], [], False
    past: list[object] = []
    for number, (_, client, begin, end) in enumerate(sorted(calls)):
        kind = chance.choice(["read", "read", "write", "cas"])
        lost = chance.random() < 0.1
        if lost and chance.random() < 0.5 and kind == "write":
            history.append(op(client, kind, (begin, None), number))
            continue
        argument: object = None
        result: object = None
        if kind == "read":
            result = None if value is None else (value, index)
            past.append(result)
            if spoil and not spoilt and number > count // 2:
                result, spoilt, lost = past[len(past) // 2], True, False
            if not lost:
                told.append(index)
        elif kind == "write":
            argument, value, index = number, number, index + 2
        else:
            expected = chance.choice(told[-3:])
            argument, result = (expected, number), (expected == index, None)
            if expected == index:
                value, index = number, index + 2
        history.append(op(client, kind, (begin, None if lost else end), argument, result))
    return history


@pytest.mark.parametrize("seed", range(10))
def test_long_histories_of_a_correct_store_pass(seed: int) -> None:
    """Six clients on one key, with compare-and-set and lost answers, are no violation."""
    assert check(random_run(seed, 600)) is None


@pytest.mark.parametrize("seed", range(5))
def test_one_wrong_answer_in_a_long_history_is_found(seed: int) -> None:
    """The proof is a small part of the history."""
    violation = check(random_run(seed, 600, spoil=True))
    assert violation is not None
    assert len(violation.operations) < 400


def test_unseen_writes_of_unknown_outcome_cost_nothing() -> None:
    """Hundreds of lost answers do not make the search longer."""
    lost = [op(number, "write", (0, None), number) for number in range(400)]
    reads = [op(1000, "read", (number, number + 0.5), None, None) for number in range(400)]
    assert check(lost + reads, steps_max=1000) is None


def test_a_search_without_end_is_given_up() -> None:
    """No verdict is no pass."""
    history = [op(number, "write", (0, 9), number, None) for number in range(30)]
    history += [op(99, "cas", (10, 11), (0, 99), (True, None))]
    with pytest.raises(Undecided, match="31 calls"):
        linearizable(history, KeyModel(), steps_max=10_000)


@st.composite
def small_histories(draw: st.DrawFn) -> list[Operation]:
    """Up to six calls on one key with few values, indexes and moments, so that everything collides."""
    history = []
    for client in range(draw(st.integers(1, 3))):
        moment = draw(st.integers(0, 2))
        for _ in range(draw(st.integers(0, 2))):
            end = moment + draw(st.integers(1, 3))
            kind = draw(st.sampled_from(["read", "read", "write", "cas", "delete"]))
            value, index = draw(st.sampled_from("ab")), draw(st.integers(0, 3))
            argument = {"write": value, "cas": (index, value)}.get(kind)
            told = draw(st.none() | st.integers(1, 4))
            results: dict[str, object] = {
                "read": draw(st.none() | st.just((draw(st.sampled_from("ab")), told))),
                "write": told,
                "cas": (draw(st.booleans()), told),
            }
            ok = draw(st.sampled_from([True, True, True, None, False]))
            span = (moment, end if ok else None)
            history.append(op(client, kind, span, argument, results.get(kind), ok))
            moment = end + draw(st.integers(0, 1))
    return history


@given(small_histories())
@settings(max_examples=1000, deadline=None)
def test_the_search_agrees_with_the_definition(history: list[Operation]) -> None:
    """For every small history both say the same, and a counterexample is one by definition."""
    violation = check(history)
    assert brute_force(history, KeyModel()) == (violation is None)
    if violation is not None:
        assert not brute_force(violation.operations, KeyModel())
