"""Clusters whose members come and go: directed schedules, seeds that once broke something, and the operator's part."""

import pytest

from raftreg.sim.mutants import MUTANTS
from raftreg.sim.profiles import GROUPS, of
from raftreg.sim.run import run
from raftreg.sim.schedules import SCHEDULES, run_schedule
from tests.sim.test_sim import command


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_known_way_to_go_wrong_does_no_harm(name: str) -> None:
    """The schedule runs to its end, and nothing is violated."""
    assert run_schedule(name).failure is None


def test_each_schedule_shows_why_a_rule_is_there() -> None:
    """Some rule, taken away, makes it go wrong: it is not harmless in itself."""
    aimed = {mutant.profile: name for name, mutant in MUTANTS.items() if mutant.profile in SCHEDULES}
    broken = {name for name, mutant in aimed.items() if run_schedule(name, mutant).failure is not None}
    assert set(SCHEDULES) == broken


@pytest.mark.parametrize("profile", GROUPS["members"])
def test_members_do_come_and_go(profile: str) -> None:
    """Each profile holds, commits member sets, and its operator is told that changes are done."""
    outcome = run(3, of(profile), 10.0)
    assert outcome.failure is None
    assert outcome.changes > 0
    assert any(answer.endswith(" done") for answer, _ in outcome.told)


@pytest.mark.parametrize(
    ("profile", "seed"), [("members-one", 213), ("members-few", 1013), ("members-former", 1038)]
)
def test_longer_runs_hold(profile: str, seed: int) -> None:
    """Seeds that found something when the schedules `way-by-a-stranger`, `known-to-one` and `expected-by-nobody` were
    not there yet."""
    assert run(seed, of(profile), 25.0).failure is None


def test_a_group_of_profiles_runs_by_its_name() -> None:
    """Each seed takes the next profile of it; the sum says how many changes there were."""
    told = command("--profile", "members", "--seeds", "2", "--seconds", "6")
    assert (0, "") == (told.returncode, told.stderr)
    assert "changes of members" in told.stdout


def test_a_schedule_runs_by_its_name() -> None:
    """With the mutant that it is for, it shows the story and exits with 1."""
    told = command("--profile", "flaw-of-2015", "--mutant", "change-before-first-commit")
    assert 1 == told.returncode
    assert "leader completeness" in told.stdout
