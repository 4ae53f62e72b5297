"""When the collector looks at everything."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from raftreg.garbage import FULL_EVERY_S, FULL_EVERY_S_LEADING, FullCollections


class Cycle:
    """Refers to itself, so that only the collector frees it."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()
    gc.enable()


@pytest.mark.parametrize(("leads", "every_s"), [(False, FULL_EVERY_S), (True, FULL_EVERY_S_LEADING)])
def test_a_full_collection_is_rare_and_rarer_on_the_leader(leads: bool, every_s: float) -> None:
    """What lived long and died in a cycle goes when it is time, not before."""
    time = [1000.0]
    collections = FullCollections(lambda: leads, lambda: time[0])
    cycle = Cycle()
    gc.collect()  # It is old now.
    died = weakref.ref(cycle)
    del cycle
    time[0] += every_s - 1
    assert (False, True) == (collections.look(), died() is not None)
    time[0] += 1
    assert (True, None) == (collections.look(), died())
    assert not collections.look()


def test_python_takes_no_full_collection_by_itself() -> None:
    """The young generations go on; the old one is left to us, and what the start made is not looked at again."""
    young, middle, _ = gc.get_threshold()
    collections = FullCollections(lambda: False, lambda: 0.0)
    assert (young, middle) == gc.get_threshold()[:2]
    assert gc.get_threshold()[2] > 1_000_000
    collections.settle()
    assert gc.get_freeze_count() > 1000


def test_the_collector_rests_while_a_node_starts() -> None:
    """What a start makes is not looked at: neither while modules and log are loaded, nor at their end."""
    collections = FullCollections(lambda: False, lambda: 0.0)
    gc.disable()
    looked = gc.get_stats()[2]["collections"]
    collections.settle()
    assert gc.isenabled()
    assert looked == gc.get_stats()[2]["collections"]
