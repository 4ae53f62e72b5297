"""Deadlines: many, put off often, each due once."""

from hypothesis import given
from hypothesis import strategies as st

from raftreg.duties.deadlines import Deadlines, Key

KEYS = st.sampled_from([("n", "a"), ("n", "b"), ("m", "a")])
STEPS = st.lists(
    st.tuples(st.just("set"), KEYS, st.integers(0, 20))
    | st.tuples(st.just("drop"), KEYS, st.just(0))
    | st.tuples(st.just("take"), KEYS, st.integers(0, 20)),
    max_size=40,
)


@given(STEPS)
def test_behaves_like_a_dictionary_that_is_scanned(steps: list[tuple[str, Key, int]]) -> None:
    """Whatever is set, put off, brought forward and dropped: exactly what is due is taken, and nothing is missed."""
    deadlines = Deadlines()
    expected: dict[Key, int] = {}
    for what, key, time in steps:
        if what == "set":
            deadlines.set(key, time)
            expected[key] = time
        elif what == "drop":
            deadlines.drop(key)
            expected.pop(key, None)
        else:
            due = {key for key, at in expected.items() if at <= time}
            assert due == set(deadlines.take_due(time))
            expected = {key: at for key, at in expected.items() if key not in due}
        assert len(expected) == len(deadlines)
        following = deadlines.next_due()
        assert not expected or (following is not None and following <= min(expected.values()))


def test_putting_off_does_not_grow() -> None:
    """A deadline that is put off a million times holds one entry."""
    deadlines = Deadlines()
    for time in range(100_000):
        deadlines.set(("n", "c"), time + 10)
        deadlines.set(("n", f"{time}"), time)
        deadlines.drop(("n", f"{time}"))
    assert len(deadlines._heap) < 200
    assert [("n", "c")] == deadlines.take_due(1_000_000)
