"""Elections of raftreg, fault by fault: time without a leader and time without writes."""

import asyncio
import signal
from typing import Any

from bench.harness.figures import DOWN, Figure
from bench.harness.outage import Outage, observe
from bench.harness.stats import curve, percentile
from bench.harness.targets import Target
from bench.workloads.base import Scope, Workload

FAULTS = {"kill": signal.SIGKILL, "stop": signal.SIGTERM, "pause": signal.SIGSTOP}


class Election(Workload):
    """kill -9, a clean stop, and a pause of the leader."""

    name = "election"
    is_long = True
    ours_only = True
    raftreg_only = True

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self._drawn: dict[str, dict[str, Any]] = {}

    def run(self, target: Target, seed: int) -> list[Figure]:
        """At least twenty of each in a full run."""
        figures = []
        for name, number in FAULTS.items():
            outages = [self._outage(target, name, number) for _ in range(self.scope.choose(3, 20))]
            for metric, seconds in (
                ("without a leader", [outage.without_leader_s for outage in outages]),
                ("without writes", [outage.without_writes_s for outage in outages]),
            ):
                points = tuple(curve(seconds))
                p50, longest = percentile(seconds, 0.5) * 1e3, max(seconds) * 1e3
                figures.append(self.figure(name, f"{metric} p50", "ms", DOWN, p50, points))
                figures.append(self.figure(name, f"{metric} max", "ms", DOWN, longest))
        return figures

    def _outage(self, target: Target, name: str, number: signal.Signals) -> Outage:
        outage = asyncio.run(
            observe(
                target,
                lambda leader: target.servers[leader].send(number),
                before_s=0.5,
                after_s=1.0,
                patience_s=20.0,
            )
        )
        server = target.servers[outage.former]
        if name == "pause":
            server.send(signal.SIGCONT)
        else:
            server.stop()
            server.start()
        target.wait_ready(*range(len(target.servers)))
        target.leader()
        self._drawn[name] = outage.timeline(f"raftreg: {name} of the leader")
        return outage

    def timelines(self) -> list[dict[str, Any]]:
        """The last of each kind."""
        return list(self._drawn.values())
