"""`python -m raftreg.sim`: simulate clusters, and say what broke."""

import gc
import os
import sys

import click

from raftreg.clock import SystemClock
from raftreg.sim.faults import Fault
from raftreg.sim.mutants import MUTANTS
from raftreg.sim.profiles import PROFILES, Profile, of
from raftreg.sim.run import Outcome, run
from raftreg.sim.shrink import shrink

ALL = "all"
STORY_LINES = 60


def _reexecute_with_fixed_hashes() -> None:
    """The order of a set of texts depends on this setting of the interpreter, and runs depend on that order."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "raftreg.sim", *sys.argv[1:]])


def _chosen(profile: str, seed: int, mutant: str | None) -> Profile:
    if profile != ALL:
        return of(profile)
    if mutant is not None:
        return of(MUTANTS[mutant].profile)
    return of(list(PROFILES)[seed % len(PROFILES)])


def _tell(outcome: Outcome, mutant: str | None, shrinking: bool) -> None:
    """What broke, the schedule, the story, and how to see it again."""
    click.echo(f"seed {outcome.seed}, profile {outcome.profile}: {outcome.failure}")
    best = outcome
    if shrinking:

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
    options = f" --mutant {mutant}" if mutant else ""
    again_text = f"--seed {outcome.seed} --seconds {outcome.asked_s:g} --profile {outcome.profile}{options}"
    click.echo(f"again: python -m raftreg.sim {again_text}")


def _list_mutants() -> None:
    for mutant in MUTANTS.values():
        click.echo(f"{mutant.name:<26} {mutant.profile:<12} {mutant.what}")


@click.command()
@click.option("--seed", default=0, show_default=True, help="The first seed.")
@click.option("--seeds", default=1, show_default=True, help="How many, one after the other.")
@click.option(
    "--seconds", default=30.0, show_default=True, help="Simulated seconds with faults, for each seed."
)
@click.option(
    "--profile", type=click.Choice([ALL, *PROFILES]), default=ALL, show_default=True, help="Mix of faults."
)
@click.option("--mutant", type=click.Choice(list(MUTANTS)), default=None, help="Take this mend away.")
@click.option("--list-mutants", is_flag=True, help="Show the mends that can be taken away.")
@click.option("--no-shrink", is_flag=True, help="Do not look for a shorter schedule.")
def main(
    seed: int,
    seeds: int,
    seconds: float,
    profile: str,
    mutant: str | None,
    list_mutants: bool,
    no_shrink: bool,
) -> None:
    """Simulate whole clusters. Exits with 1 at the first violation, and shows its schedule."""
    if list_mutants:
        _list_mutants()
        return
    clock = SystemClock()
    begun, simulated, acknowledged, reads, elections = clock.now(), 0.0, 0, 0, 0
    failed = None
    for number in range(seed, seed + seeds):
        outcome = run(number, _chosen(profile, number, mutant), seconds, mutant=mutant)
        gc.collect()
        simulated += outcome.seconds
        acknowledged += outcome.acknowledged
        reads += outcome.reads
        elections += outcome.elections
        if outcome.failure is not None:
            failed = outcome
            break
    took = clock.now() - begun
    if failed is not None:
        _tell(failed, mutant, not no_shrink)
    speed = f"{simulated:.0f} simulated seconds in {took:.1f} s: {simulated / took:.0f} per second"
    click.echo(
        f"{speed}; {acknowledged} acknowledged operations, {reads} checked reads, {elections} elections"
    )
    if failed is not None:
        sys.exit(1)


if __name__ == "__main__":
    _reexecute_with_fixed_hashes()
    main(prog_name="python -m raftreg.sim")
