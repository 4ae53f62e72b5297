"""Registrations of services that change with each: through the catalog, and through the agent of a node."""

from bench.harness import load
from bench.harness.figures import Figure
from bench.harness.targets import Target
from bench.workloads.base import Workload, places


class Registrations(Workload):
    """64 clients, a thousand instances. For etcd a registration is a put of the same bytes."""

    name = "registrations"

    def run(self, target: Target, seed: int) -> list[Figure]:
        """Throughput at the leader and through a follower."""
        dialect = target.dialect
        calls = {
            "catalog": dialect.register("bench-registered"),
            "agent": dialect.agent_register("bench-agent"),
        }
        figures = []
        for place, number in places(target):
            for door, call in calls.items():
                if call is None:
                    continue
                found = load.closed_loop(
                    target.addresses[number],
                    call,
                    clients=64,
                    seconds=self.scope.choose(1.0, 8.0),
                    keys=1000 if door == "catalog" else 100,
                )
                figures += self.loop_figures(f"{door}, {place}", found)
        return figures
