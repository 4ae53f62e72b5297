"""From the start of a node with data to its serving, and of a cluster that was killed at once to its next write."""

import time

from bench.harness.client import BlockingClient
from bench.harness.figures import DOWN, Figure
from bench.harness.targets import Target
from bench.workloads import data
from bench.workloads.base import Workload
from tests.e2e.cluster import wait_until


class Restart(Workload):
    """With 10,000 services and 100,000 keys; a tenth of that in a quick run."""

    name = "restart"
    is_long = True
    ours_only = True

    def prepare(self, target: Target) -> None:
        """Fill it."""
        data.fill(target, *self.scope.choose((10_000, 1_000), (100_000, 10_000)))

    def run(self, target: Target, seed: int) -> list[Figure]:
        """One follower, then all."""
        follower = target.follower()
        target.servers[follower].kill()
        began = time.perf_counter()
        target.restart(follower)
        one = time.perf_counter() - began
        for server in target.servers:
            server.kill()
        began = time.perf_counter()
        for server in target.servers:
            server.start()
        wait_until("a write", lambda: _can_write(target), 60.0)
        everybody = time.perf_counter() - began
        target.wait_ready(*range(len(target.servers)))
        return [
            self.figure("one node", "to serving", "s", DOWN, one),
            self.figure("all at once", "to a write", "s", DOWN, everybody),
        ]


def _can_write(target: Target) -> bool:
    for address in target.addresses:
        try:
            with BlockingClient(address, timeout_s=1.0) as client:
                if client.send(target.dialect.put().filled(1))[0] == 200:
                    return True
        except OSError:
            continue
    return False
