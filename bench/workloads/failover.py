"""The leader is killed with -9, or its host vanishes: the process is stopped, its connections stay.

Every target is measured as it is; nothing is said to it before the fault.
"""

import asyncio
import signal
from typing import Any

from bench.harness.figures import DOWN, Figure
from bench.harness.outage import observe
from bench.harness.stats import curve, percentile
from bench.harness.targets import Target
from bench.workloads.base import Scope, Workload


class Failover(Workload):
    """The longest gap between acknowledged writes."""

    name = "failover"
    is_long = True
    ours_only = True

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self._drawn: dict[str, dict[str, Any]] = {}

    def run(self, target: Target, seed: int) -> list[Figure]:
        """Kills, then vanished hosts. A target that takes seconds is hit less often in a quick run."""
        figures = []
        slow = target.name in ("consul", "etcd")
        for case, times in (
            ("kill -9", self.scope.choose(1 if slow else 6, 20)),
            ("host vanishes", self.scope.choose(1 if slow else 3, 10)),
        ):
            gaps = [self._gap(target, case) for _ in range(times)]
            figures.append(
                self.figure(case, "gap p50", "ms", DOWN, percentile(gaps, 0.5) * 1e3, tuple(curve(gaps)))
            )
            figures.append(self.figure(case, "gap max", "ms", DOWN, max(gaps) * 1e3))
        return figures

    def _gap(self, target: Target, case: str) -> float:
        kills = case == "kill -9"

        def fault(leader: int) -> None:
            server = target.servers[leader]
            server.send(signal.SIGKILL if kills else signal.SIGSTOP)

        outage = asyncio.run(observe(target, fault, before_s=0.5, after_s=1.0, patience_s=40.0))
        server = target.servers[outage.former]
        if kills:
            server.kill()
            server.start()
        else:
            server.send(signal.SIGCONT)
        target.wait_ready(*range(len(target.servers)))
        target.leader()
        self._drawn[f"{target.name}: {case}"] = outage.timeline(f"{target.name}: {case}")
        return outage.without_writes_s

    def report(self) -> list[dict[str, Any]]:
        """The last of each kind."""
        return list(self._drawn.values())
