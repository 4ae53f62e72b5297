"""A test of the simulation: each mend, taken away, is found within a few seeds; each rule finds something by itself."""

import os
import subprocess
import sys

import pytest

from raftreg.sim.mutants import MUTANTS
from raftreg.sim.profiles import of
from raftreg.sim.run import run
from raftreg.sim.schedules import SCHEDULES, run_schedule

SEEDS = 60
SECONDS = 20.0
# Rule -> the mutant, and the profile or schedule, that break it when no other rule counts, so that nothing ends the
# run before.
RULES = {
    "applied once": ("requests-applied-twice", "crash"),
    "blocking query": ("woken-for-nothing", "calm"),
    "commit durability": ("acks-not-held", "power"),
    "digests": ("request-ids-forgotten", "crash"),
    "durability": ("single-voter-undurable", "single"),
    "election safety": ("double-votes", "duplicates"),
    "indexes": ("restore-without-bump", "restores"),
    "kept on disk": ("segments-without-preamble", "power"),
    "lag": ("rejection-filter", "long-tail"),
    "elected by a majority": ("learner-votes-counted", "members-three"),
    "leader completeness": ("single-voter-undurable", "single"),
    "linearizability": ("reads-without-quorum", "partition"),
    "mutual exclusion": ("lock-for-everybody", "locks"),
    "needless campaign": ("no-pre-vote", "lasting"),
    "one at a time": ("voters-swapped", "members-three"),
    "one cluster": ("cluster-made-again", "members-one"),
    "overlapping majorities": ("voters-swapped", "swapped-at-once"),
    "overdue": ("waits-without-end", "calm"),
    "own writes": ("minimum-ignored", "partition"),
    "progress": ("hung-disk-leads-on", "hung"),
    "removed node commits": ("leader-writes-itself-out", "members-few"),
    "set of the log": ("set-not-taken-back", "members-three"),
    "stale blocking read": ("waits-without-making-sure", "partition"),
    "stale read": ("follower-answers-early", "narrow"),
    "state-machine safety": ("commit-cap", "tails"),
    "steps back": ("follower-answers-early", "crash"),
    "truncation": ("matching-tail-truncated", "narrow"),
}


def test_every_missing_mend_is_found() -> None:
    """One command tries them all and exits with 0; sets are ordered alike in every run of it."""
    bounds = ["--seeds", str(SEEDS), "--seconds", f"{SECONDS:g}"]
    told = subprocess.run(
        [sys.executable, "-m", "raftreg.sim", "--every-mutant", *bounds],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    assert (0, "") == (told.returncode, told.stderr), told.stdout
    assert set(MUTANTS) == {line.split()[0] for line in told.stdout.splitlines()[:-1]}


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_finds_something_by_itself(rule: str) -> None:
    """With all other rules left out, some mutant breaks this one: it is not there for show."""
    mutant, profile = RULES[rule]
    only = frozenset({rule})
    if profile in SCHEDULES:
        found = iter([run_schedule(profile, mutant, rules=only).rule])
    else:
        found = (run(seed, of(profile), 12.0, mutant=mutant, rules=only).rule for seed in range(SEEDS))
    assert rule in found
