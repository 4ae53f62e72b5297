"""Many runs, in this process or in several, and what they came to together."""

import gc
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field, replace

from raftreg.sim.mutants import MUTANTS
from raftreg.sim.profiles import GROUPS, of
from raftreg.sim.run import Outcome, run
from raftreg.sim.schedules import SCHEDULES, run_schedule

ALL = "all"  # the group of all profiles
AHEAD = 4  # runs that wait for each process


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. `profile`: also a group, of which each seed takes the next one, or a schedule.

    With ALL a mutant takes its own.
    """

    profile: str
    seconds: float
    mutant: str | None = None

    def profile_of(self, seed: int) -> str:
        """The name of the profile, or of the schedule, for a seed."""
        if self.mutant is not None and self.profile == ALL:
            return MUTANTS[self.mutant].profile
        group = GROUPS.get(self.profile, (self.profile,))
        return group[seed % len(group)]

    def run(self, seed: int) -> Outcome:
        """One seed."""
        name = self.profile_of(seed)
        if name in SCHEDULES:
            outcome = run_schedule(name, self.mutant, seed)
        else:
            outcome = run(seed, of(name), self.seconds, mutant=self.mutant)
        gc.collect()
        return outcome


@dataclass(slots=True)
class Sum:
    """What the runs so far came to."""

    seeds: int = 0
    simulated_s: float = 0.0
    acknowledged: int = 0
    reads: int = 0
    elections: int = 0
    changes: int = 0
    disks: int = 0
    failed: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one more."""
        self.seeds += 1
        self.simulated_s += outcome.seconds
        self.acknowledged += outcome.acknowledged
        self.reads += outcome.reads
        self.elections += outcome.elections
        self.changes += outcome.changes
        self.disks += outcome.disks
        if outcome.failure is not None:
            self.failed.append(outcome)

    def __str__(self) -> str:
        counts = f"{self.acknowledged} acknowledged operations, {self.reads} checked reads, {self.elections} elections"
        if self.changes:
            counts += f", {self.changes} changes of members, {self.disks} other disks"
        return f"{self.seeds} seeds, {self.simulated_s / 3600:.2f} simulated hours; {counts}"


def sweep(plan: Plan, seeds: range, jobs: int = 1) -> Iterator[Outcome]:
    """The outcomes, in the order in which they come. `jobs` processes; with one it is this process."""
    gc.collect()
    gc.freeze()  # What is there before the first run is no garbage, and need not be looked at after each.
    if jobs == 1:
        yield from map(plan.run, seeds)
        return
    pool, ahead = ProcessPoolExecutor(jobs), set[Future[Outcome]]()
    try:
        for seed in seeds:
            ahead.add(pool.submit(_lean, plan, seed))
            if len(ahead) >= AHEAD * jobs:
                done, ahead = wait(ahead, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        yield from (future.result() for future in ahead)
    finally:
        pool.shutdown(cancel_futures=True)


def _lean(plan: Plan, seed: int) -> Outcome:
    """One seed in another process; what nobody asks for of a run that was right stays there."""
    outcome = plan.run(seed)
    return outcome if outcome.failure is not None else replace(outcome, faults=(), story=())
