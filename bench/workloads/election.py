"""The leader is killed, stopped, paused and cut off: time without a leader and time without writes, fault by fault.

Cut off (`isolate`) means that no byte gets from or to it any more, while clients still reach it. This is done to a
second cluster of the same kind, whose nodes reach each other through proxies, so that nothing else is measured through
them.
"""

import asyncio
import math
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bench.harness.figures import DOWN, Figure
from bench.harness.outage import Outage, observe
from bench.harness.stats import curve, percentile
from bench.harness.targets import Target
from bench.workloads.base import Scope, Workload
from raftreg.verify.wires import Wires

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGTERM, "pause": signal.SIGSTOP}
ISOLATE = "isolate"


class Election(Workload):
    """kill -9, a clean stop, a pause, and the isolation of the leader."""

    name = "election"
    is_long = True
    ours_only = True

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self._drawn: dict[str, dict[str, Any]] = {}

    def unfit(self, target: Target) -> str:
        """Consul as shipped takes 15 to 20 s for each."""
        if self.scope.quick and target.name == "consul":
            return "only in a full run, because each of its elections takes 15 to 20 s"
        return super().unfit(target)

    def run(self, target: Target, seed: int) -> list[Figure]:
        """Twenty of each in a full run."""
        figures = []
        times = self.scope.choose(2 if target.name == "raftreg" else 1, 20)
        for name in SIGNALS:
            figures += self._figures(name, [self._outage(target, name) for _ in range(times)])
        with linked(target) as separate:
            if separate is not None:
                figures += self._figures(ISOLATE, [self._outage(separate, ISOLATE) for _ in range(times)])
            else:
                self.left_out.append(f"election / {ISOLATE} at {target.name}: {target.unlinked}")
        return figures

    def _figures(self, name: str, outages: list[Outage]) -> list[Figure]:
        figures = []
        if any(math.isinf(outage.without_leader_s) for outage in outages):
            raise OSError(f"{name} of the leader: writes went on, but no survivor named another leader")
        for metric, seconds in (
            ("without a leader", [outage.without_leader_s for outage in outages]),
            ("without writes", [outage.without_writes_s for outage in outages]),
        ):
            points = tuple(curve(seconds))
            p50, longest = percentile(seconds, 0.5) * 1e3, max(seconds) * 1e3
            figures.append(self.figure(name, f"{metric} p50", "ms", DOWN, p50, points))
            figures.append(self.figure(name, f"{metric} max", "ms", DOWN, longest))
        return figures

    def _outage(self, target: Target, name: str) -> Outage:
        begin, undo = _isolation(target) if name == ISOLATE else _signal(target, name)
        outage = asyncio.run(observe(target, begin, before_s=0.5, after_s=1.0, patience_s=40.0))
        undo(outage.former)
        target.wait_ready(*range(len(target.servers)))
        target.leader()
        title = f"{target.name}: {name} of the leader"
        self._drawn[title] = outage.timeline(title)
        return outage

    def report(self) -> list[dict[str, Any]]:
        """The last of each kind."""
        return list(self._drawn.values())


Act = Callable[[int], None]


def _signal(target: Target, name: str) -> tuple[Act, Act]:
    """What does a fault to a node, and what undoes it."""

    def undo(number: int) -> None:
        server = target.servers[number]
        if name == "pause":
            server.send(signal.SIGCONT)
        else:
            server.stop()
            server.start()

    return lambda number: target.servers[number].send(SIGNALS[name]), undo


def _isolation(target: Target) -> tuple[Act, Act]:
    links = target.links
    assert links is not None
    return links.isolate, lambda _: links.heal()


@contextmanager
def linked(target: Target) -> Iterator[Target | None]:
    """A second cluster whose links can be cut, while it is wanted; None where that cannot be had."""
    with Wires() as wires:
        separate = target.linked(wires)
        if separate is None:
            yield None
            return
        try:
            separate.start()
            yield separate
        finally:
            separate.stop()
