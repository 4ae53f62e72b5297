"""`raftreg verify`: its verdict beside the figures, so that no speed is shown without it."""

import json
import subprocess
import sys

from bench.harness.figures import UP, Figure
from bench.harness.targets import Target
from bench.workloads.base import Scope, Workload


class Consistency(Workload):
    """A cluster of its own with all faults."""

    name = "consistency"
    is_long = True
    ours_only = True
    raftreg_only = True

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self._failed: list[str] = []

    def run(self, target: Target, seed: int) -> list[Figure]:
        """How many checks passed, failed, and found no evidence."""
        seconds = self.scope.choose(10, 60)
        command = [
            sys.executable,
            "-m",
            "raftreg",
            "verify",
            "--seconds",
            str(seconds),
            "--seed",
            str(seed),
            "--json",
            "--no-report",
        ]
        verdict = json.loads(_said(command))
        outcomes = [check["outcome"] for check in verdict["checks"]]
        self._failed += [
            f"verify: {check['check']} failed" for check in verdict["checks"] if check["outcome"] == "FAIL"
        ]
        return [
            self.figure("raftreg verify", outcome, "checks", UP, float(outcomes.count(outcome)))
            for outcome in ("PASS", "FAIL", "EMPTY")
        ]

    def verify(self, target: Target) -> list[str]:
        """What it found."""
        return self._failed


def _said(command: list[str]) -> str:
    """What it prints; when this is interrupted it is told so, because it has a cluster of its own to end."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            return process.communicate()[0]
        except BaseException:
            process.terminate()
            raise
