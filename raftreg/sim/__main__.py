"""`python -m raftreg.sim`: simulate clusters, and say what broke."""

import os
import sys

import click

from raftreg.clock import SystemClock
from raftreg.sim.checks import Violation
from raftreg.sim.faults import Fault
from raftreg.sim.mutants import MUTANTS
from raftreg.sim.profiles import GROUPS, PROFILES, of
from raftreg.sim.run import Outcome, run
from raftreg.sim.schedules import SCHEDULES
from raftreg.sim.shrink import shrink
from raftreg.sim.sweep import ALL, Plan, Sum, sweep

STORY_LINES = 60
PROGRESS_S = 60.0


def _reexecute_with_fixed_hashes() -> None:
    """The order of a set of texts depends on this setting of the interpreter, and runs depend on that order."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "raftreg.sim", *sys.argv[1:]])


def _cpu_s() -> float:
    """What this process and its children have used."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _tell(outcome: Outcome, mutant: str | None, shrinking: bool) -> None:
    """What broke, the schedule, the story, and how to see it again."""
    click.echo(f"seed {outcome.seed}, profile {outcome.profile}: {outcome.failure}")
    best = outcome
    if shrinking and outcome.faults:

        def again(faults: list[Fault]) -> Outcome:
            return run(outcome.seed, of(outcome.profile), outcome.asked_s, mutant=mutant, faults=faults)

        best = shrink(outcome, again)
        click.echo(f"shrunk from {len(outcome.faults)} to {len(best.faults)} faults: {best.failure}")
    click.echo("schedule:")
    for fault in best.faults:
        click.echo(f"  {fault}")
    click.echo("story (its end):")
    for line in best.story[-STORY_LINES:]:
        click.echo(f"  {line}")
    click.echo(f"again: {_again(outcome, mutant)}")


def _again(outcome: Outcome, mutant: str | None) -> str:
    options = f" --mutant {mutant}" if mutant else ""
    place = f"--seed {outcome.seed} --seconds {outcome.asked_s:g} --profile {outcome.profile}"
    return f"python -m raftreg.sim {place}{options}"


# What ends a run by the product's own judgement. Any other exception is no finding: the mutant does not fit the code.
ENDS = frozenset({"Damaged", "Fatal", "StartRefused", "SyncFailed"})


def _list_mutants() -> None:
    for mutant in MUTANTS.values():
        click.echo(f"{mutant.name:<28} {mutant.profile:<17} {mutant.what}")


def _is_finding(outcome: Outcome) -> bool:
    """Whether a rule was violated, or the product noticed itself that something is wrong."""
    return outcome.rule in ENDS or (outcome.failure or "").startswith(f"{Violation.__name__}:")


def _find_mutants(seeds: range, seconds: float) -> None:
    """Each mutant until it is found; exits with 1 if one is not."""
    missed = []
    for name in MUTANTS:
        begun, rule, tried = _cpu_s(), None, 0
        for outcome in sweep(Plan(ALL, seconds, name), seeds):
            tried, rule = tried + 1, outcome.rule
            if rule is not None:
                break
        found = f"{rule} (seed {seeds.start + tried - 1})" if rule is not None else "NOT FOUND"
        if rule is not None and not _is_finding(outcome):
            found, rule = f"BROKEN: the mutant does not fit the code any more, {outcome.failure}", None
        click.echo(f"{name:<28} {found}, {_cpu_s() - begun:.1f} s")
        if rule is None:
            missed.append(name)
    click.echo(f"{len(MUTANTS) - len(missed)} of {len(MUTANTS)} mutants found")
    if missed:
        sys.exit(1)


@click.command()
@click.option("--seed", default=0, show_default=True, help="The first seed.")
@click.option("--seeds", default=1, show_default=True, help="How many.")
@click.option(
    "--seconds", default=30.0, show_default=True, help="Simulated seconds with faults, for each seed."
)
@click.option(
    "--profile",
    type=click.Choice([*GROUPS, *PROFILES, *SCHEDULES]),
    default=ALL,
    show_default=True,
    help="Mix of faults, group of them, or schedule.",
)
@click.option("--jobs", default=1, show_default=True, help="Processes.")
@click.option("--keep-going", is_flag=True, help="Run all seeds, whatever fails.")
@click.option("--within", type=float, default=None, help="Begin no seed after so many real seconds.")
@click.option("--mutant", type=click.Choice(list(MUTANTS)), default=None, help="Take this mend away.")
@click.option("--every-mutant", is_flag=True, help="Take each mend away, until some seed finds it.")
@click.option("--list-mutants", is_flag=True, help="Show the mends that can be taken away.")
@click.option("--no-shrink", is_flag=True, help="Do not look for a shorter schedule.")
def main(
    seed: int,
    seeds: int,
    seconds: float,
    profile: str,
    jobs: int,
    keep_going: bool,
    within: float | None,
    mutant: str | None,
    every_mutant: bool,
    list_mutants: bool,
    no_shrink: bool,
) -> None:
    """Simulate whole clusters. Exits with 1 after a violation, and shows its schedule."""
    if list_mutants:
        _list_mutants()
        return
    numbers = range(seed, seed + seeds)
    if every_mutant:
        _find_mutants(numbers, seconds)
        return
    total = _run_all(Plan(profile, seconds, mutant), numbers, jobs, keep_going, within)
    if total.failed:
        _tell(total.failed[0], mutant, not no_shrink)
        for outcome in total.failed[1:]:
            click.echo(f"also: {outcome.failure}\n  {_again(outcome, mutant)}")
        sys.exit(1)


def _run_all(plan: Plan, seeds: range, jobs: int, keep_going: bool, within: float | None) -> Sum:
    """Run, and say from time to time how far it is; the sum in the end."""
    clock, cpu_begun, total = SystemClock(), _cpu_s(), Sum()
    begun = told = clock.now()
    for outcome in sweep(plan, seeds, jobs):
        total.add(outcome)
        if outcome.failure is not None and not keep_going:
            break
        now = clock.now()
        if now - told > PROGRESS_S:
            told = now
            click.echo(f"so far {total}; {len(total.failed)} violations")
        if within is not None and now - begun > within:
            break
    took, cpu = clock.now() - begun, _cpu_s() - cpu_begun
    speed = f"{total.simulated_s / took:.0f} simulated seconds per second"
    per_core = f"{total.simulated_s / cpu:.0f} per second of one core" if cpu else "no time at all"
    click.echo(f"{total}; {len(total.failed)} violations")
    click.echo(f"{total.simulated_s:.0f} simulated seconds in {took:.1f} s: {speed}, {per_core}")
    return total


if __name__ == "__main__":
    _reexecute_with_fixed_hashes()
    main(prog_name="python -m raftreg.sim")
