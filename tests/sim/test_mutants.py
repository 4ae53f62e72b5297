"""A test of the simulation: each mend of the consensus adapter, taken away, is found within a few seeds."""

import os
import subprocess
import sys

import pytest

from raftreg.sim.mutants import MUTANTS

SEEDS = 60
# Late rejections only cost time: `long-tail` finds a member that is kept out for ever, after a minute of looking.
SLOW = frozenset({"rejection-filter"})


@pytest.mark.parametrize("name", sorted(set(MUTANTS) - SLOW))
def test_the_missing_mend_is_found(name: str) -> None:
    """The command exits with 1 and names what was violated; sets are ordered alike in every run of it."""
    bounds = ["--seeds", str(SEEDS), "--seconds", "20", "--no-shrink"]
    line = [sys.executable, "-m", "raftreg.sim", "--mutant", name, *bounds]
    told = subprocess.run(
        line, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONHASHSEED": "0"}
    )
    assert 1 == told.returncode, told.stdout
    assert "schedule:" in told.stdout
