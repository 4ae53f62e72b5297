"""The simulation: fixed seeds of every profile hold, a seed replays exactly, and the command line tells what broke."""

import os
import subprocess
import sys

import pytest

from raftreg.sim.cluster import Cluster
from raftreg.sim.directed import DirectedHarm
from raftreg.sim.mutants import MUTANTS
from raftreg.sim.profiles import PROFILES, of
from raftreg.sim.run import Outcome, run
from raftreg.sim.shrink import shrink

SEEDS = (1,)
SECONDS = 8.0
FRESH_S = 60 if os.environ.get("CI") else 3


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """`python -m raftreg.sim` with these arguments."""
    line = [sys.executable, "-m", "raftreg.sim", *arguments]
    return subprocess.run(
        line, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONHASHSEED": "7"}
    )


@pytest.mark.parametrize("profile", PROFILES)
def test_the_cluster_keeps_its_promises(profile: str) -> None:
    """Nothing is violated in fixed seeds of each profile, and the clients did get something done."""
    outcomes = [run(seed, of(profile), SECONDS) for seed in SEEDS]
    assert [None] * len(SEEDS) == [outcome.failure for outcome in outcomes]
    assert all(outcome.acknowledged > 0 and outcome.reads > 0 for outcome in outcomes)


def test_a_trap_does_not_outlive_the_faults() -> None:
    """A host that was to end with its next acknowledged write does not do so after healing, when it got none before."""
    cluster = Cluster(1, of("crash"))
    harm = DirectedHarm(cluster)
    cluster.trapped = "n1"
    harm.heal()
    assert cluster.trapped is None


@pytest.mark.parametrize("profile", ["mixed", "five", "tails"])
def test_a_seed_replays_exactly(profile: str) -> None:
    """The same seed twice gives the same trace, another seed another one."""
    first, second, other = run(3, of(profile), 8.0), run(3, of(profile), 8.0), run(4, of(profile), 8.0)
    assert first == second
    assert first.digest != other.digest


def test_fresh_seeds_hold() -> None:
    """Seeds that nobody tried before, for as long as there is time; the first one is told with what broke."""
    seed = int.from_bytes(os.urandom(4))
    told = command("--seed", str(seed), "--seeds", "1000000", "--within", str(FRESH_S), "--no-shrink")
    print(f"fresh seeds from {seed}: {told.stdout.splitlines()[0] if told.stdout else told.stderr}")
    assert 0 == told.returncode, told.stdout + told.stderr


def test_the_command_line_exits_with_0_when_all_is_well() -> None:
    """It says how fast it was and how much was acknowledged; a fresh process replays a seed exactly."""
    first, second = (command("--profile", "crash", "--seed", "5", "--seconds", "5") for _ in range(2))
    assert (0, "") == (first.returncode, first.stderr)
    assert "acknowledged operations" in first.stdout
    assert first.stdout.splitlines()[0] == second.stdout.splitlines()[0]


def test_several_processes_do_what_one_does() -> None:
    """The sum over the seeds is the same, whatever ran them."""
    several, one = (
        command("--seeds", "4", "--seconds", "3", "--jobs", jobs).stdout.splitlines() for jobs in ("2", "1")
    )
    assert several[0] == one[0]
    assert several[0].startswith("4 seeds, ")


def test_failing_seeds_are_listed_when_the_rest_is_run_all_the_same() -> None:
    """--keep-going counts the violations and names each failing seed with the command that shows it again."""
    told = command(
        "--mutant", "nothing-synced", "--seeds", "2", "--seconds", "5", "--keep-going", "--no-shrink"
    )
    assert 1 == told.returncode
    assert "2 seeds, " in told.stdout
    assert "2 violations" in told.stdout
    assert 2 == told.stdout.count("python -m raftreg.sim --seed")


def test_the_command_line_exits_with_1_and_a_schedule_when_something_breaks() -> None:
    """A mend that is missing is found; the schedule is shrunk and the command to replay it is told."""
    told = command("--mutant", "request-ids-forgotten", "--seeds", "5", "--seconds", "10")
    assert 1 == told.returncode
    for part in ("shrunk from", "schedule:", "again: python -m raftreg.sim --seed"):
        assert part in told.stdout


def test_the_command_line_lists_every_mutant() -> None:
    """One line each, with its name first."""
    names = [line.split()[0] for line in command("--list-mutants").stdout.splitlines()]
    assert list(MUTANTS) == names


def test_a_failing_schedule_is_shrunk_to_what_matters() -> None:
    """The shorter schedule breaks the same rule, with no more faults than before."""
    failed = next(
        outcome
        for seed in range(5)
        if (outcome := run(seed, of("crash"), 12.0, mutant="request-ids-forgotten")).failure is not None
    )

    def again(faults: object) -> Outcome:
        return run(failed.seed, of("crash"), 12.0, mutant="request-ids-forgotten", faults=faults)  # type: ignore[arg-type]  # a list of faults

    short = shrink(failed, again, runs_max=20)
    assert failed.rule == short.rule
    assert len(short.faults) < len(failed.faults)
