"""Locks: shared, taken, tokens that do not grow, writes without the lock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftreg.checkers.locks import Guarded, Hold, check
from tests.checkers.histories import op


def hold(
    session: str, asked: float, since: float, until: float, fence: int | None = None, *, taken: bool = False
) -> Hold:
    """One time of certainty."""
    acquired = op(1, "acquire", (asked, since), session, True, key="l")
    return Hold("l", session, acquired, until, fence, op(1, "release", (until, until + 1), session), taken)


def write(session: str, begin: float, end: float) -> Guarded:
    """One accepted write under the lock."""
    return Guarded("l", session, op(1, "guarded write", (begin, end), session))


@pytest.mark.parametrize(
    ("holds", "writes", "kinds"),
    [
        ([hold("a", 0, 1, 2, 1), hold("b", 2, 3, 4, 2)], [], []),
        ([hold("a", 0, 1, 3, 1), hold("a", 1, 2, 4, 1)], [], []),
        ([hold("a", 0, 1, 3, 1), hold("b", 1, 2, 4, 2)], [], ["shared"]),
        ([hold("a", 0, 1, 9, 1), hold("a", 1, 2, 3, 1), hold("b", 3, 4, 5, 2)], [], ["shared"]),
        ([hold("a", 0, 3, 2, 1), hold("b", 2, 3, 4, 2)], [], []),
        ([hold("a", 0, 1, 2, 2), hold("b", 2, 3, 4, 2)], [], ["fence"]),
        ([hold("a", 0, 1, 2, 3), hold("b", 2, 3, 4, 2)], [], ["fence"]),
        ([hold("a", 0, 1, 2, 3), hold("b", 0.5, 3, 4, 2)], [], []),
        ([hold("a", 0, 1, 2, taken=True)], [], ["taken"]),
        ([hold("a", 0, 1, 5)], [write("a", 2, 3), write("b", 4, 6), write("b", 0, 3)], []),
        ([hold("a", 0, 1, 5)], [write("b", 2, 3)], ["unguarded"]),
        ([hold("a", 0, 1, 9), hold("c", 9, 9.5, 9.6)], [write("b", 2, 3)], ["unguarded"]),
    ],
)
def test_each_fault_is_told_by_its_kind(holds: list[Hold], writes: list[Guarded], kinds: list[str]) -> None:
    """Only what is certain counts, and the calls that show a fault come with it."""
    faults = check(holds, writes)
    assert kinds == [fault.kind for fault in faults]
    assert all(fault.calls and str(fault) for fault in faults)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20), st.integers(0, 6)), max_size=8),
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20), st.integers(0, 3)), max_size=4),
)
def test_sweeping_agrees_with_comparing_everything(
    holds: list[tuple[str, int, int]], writes: list[tuple[str, int, int]]
) -> None:
    """There is a fault of a kind exactly if some pair has it."""
    held = [hold(session, since - 1, since, since + long) for session, since, long in holds]
    written = [write(session, begin, begin + long) for session, begin, long in writes]
    shared = any(
        one.session != other.session and max(one.since_s, other.since_s) < min(one.until_s, other.until_s)
        for one in held
        for other in held
    )
    unguarded = any(
        each.session != one.session and one.since_s < each.call.invoked_s and each.call.ended_s < one.until_s
        for each in written
        for one in held
    )
    kinds = {fault.kind for fault in check(held, written)}
    assert (shared, unguarded) == ("shared" in kinds, "unguarded" in kinds)
