"""Due times, places for slow and quick checks, thresholds."""

import pytest

from raftreg.checks.schedule import Agenda, Slots, next_time
from raftreg.checks.thresholds import Thresholds
from raftreg.model import Probe, Status


def test_the_agenda_gives_what_is_due_in_its_order() -> None:
    """Nothing is due before its time; what is not wanted any more can be forgotten."""
    agenda: Agenda[str] = Agenda()
    for name, due in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
        agenda.add(name, due)
    assert (None, 1.0) == (agenda.take(0.9), agenda.next_due())
    assert ["a", "b", None] == [agenda.take(2.5) for _ in range(3)]
    agenda.purge(set())
    assert (0, None) == (len(agenda), agenda.next_due())


@pytest.mark.parametrize(
    ("now", "expected"), [(100.0, 110.0), (109.9, 110.0), (110.0, 120.0), (137.0, 140.0), (95.0, 110.0)]
)
def test_a_check_stays_in_step_with_its_interval(now: float, expected: float) -> None:
    """The next time is a whole number of intervals after the last, however long the probe took."""
    assert expected == next_time(100.0, 10.0, now)


def test_slow_checks_get_half_of_the_places() -> None:
    """However many slow ones wait, there is a place for a quick one; who leaves lets in who waits longest."""
    slots: Slots[str] = Slots(4)
    assert [True, True, False, False] == [slots.enter(f"slow{n}", slow=True) for n in range(4)]
    assert [True, True, False] == [slots.enter(f"quick{n}", slow=False) for n in range(3)]
    assert ("quick2", False) == slots.leave(slow=True)
    assert ("slow2", True) == slots.leave(slow=False)
    assert None is slots.leave(slow=False)
    assert ("slow3", True) == slots.leave(slow=True)


def counted(settled: bool, *statuses: Status) -> list[bool]:
    """Which of these results count, with 2 successes and 3 failures asked for."""
    probe = Probe("http", success_before_passing=2, failures_before_critical=3)
    thresholds = Thresholds(probe, settled=settled)
    return [thresholds.count(status) for status in statuses]


def test_results_count_after_as_many_in_a_row_as_asked_for() -> None:
    """The first result of a new check counts at once; then 3 failures, or 2 successes of which a warning is one."""
    assert [True, False, False, True] == counted(False, "passing", "critical", "critical", "critical")
    assert [True, False, True, True] == counted(False, "critical", "warning", "passing", "passing")
    assert [True, False, False, False, False] == counted(
        False, "passing", "critical", "passing", "critical", "critical"
    )


def test_a_check_whose_status_is_known_needs_as_many_from_the_first_on() -> None:
    """After a move one failure does not overturn what the node before had found out."""
    assert [False, False, True] == counted(True, "critical", "critical", "critical")
