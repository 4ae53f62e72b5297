"""Many names that go at once: the same as one after the other."""

from hypothesis import given
from hypothesis import strategies as st

from raftreg.state.ordered import OrderedKeys
from raftreg.state.tombstones import Tombstones

names = st.binary(max_size=2)
PREFIXES = (b"", b"\x00", b"a", b"\xff", b"\xff\xff")


@given(st.integers(0, 6), st.lists(names, unique=True, max_size=6), st.lists(names, unique=True, max_size=10))
def test_names_that_go_at_once_are_noted_like_one_after_the_other(
    size_max: int, before: list[bytes], after: list[bytes]
) -> None:
    """Rows, their order, the floor, and what is found below prefixes."""
    one_by_one, at_once = Tombstones(size_max), Tombstones(size_max)
    gone = [name for name in after if name not in before]
    for both in (one_by_one, at_once):
        for index, name in enumerate(before, 5):
            both.bury(name, index)
    for name in gone:
        one_by_one.bury(name, 99)
    at_once.bury_all(gone, 99)
    assert (one_by_one.rows(), one_by_one.floor) == (at_once.rows(), at_once.floor)
    found = [[each.newest_under(prefix) for prefix in PREFIXES] for each in (one_by_one, at_once)]
    assert found[0] == found[1]
    for both in (one_by_one, at_once):  # What is found by order goes with the names.
        for name, _ in both.rows():
            both.forget(name)
    assert 0 == at_once.newest_under(b"")


@given(st.sets(names), st.sets(names), st.sampled_from(PREFIXES))
def test_keys_are_added_and_removed_together(before: set[bytes], more: set[bytes], prefix: bytes) -> None:
    """As a set of byte strings would have them."""
    keys = OrderedKeys(before)
    keys.add_all(more - before)
    assert sorted(before | more) == keys.all()
    keys.remove_under(prefix)
    assert sorted(name for name in before | more if not name.startswith(prefix)) == keys.all()
