"""What a cluster costs: at rest, per operation, and as its data grows."""

import time
from functools import partial

from bench.harness import grpc, load, machine
from bench.harness.dialects import DEFAULT
from bench.harness.figures import DOWN, Figure
from bench.harness.targets import Target
from bench.workloads import data
from bench.workloads.base import Scope, Workload


class Resources(Workload):
    """CPU seconds are of all nodes together, memory is that of the largest node."""

    name = "resources"
    is_long = True
    ours_only = True

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self._grown: set[str] = set()

    def run(self, target: Target, seed: int) -> list[Figure]:
        """At rest first, while there is nothing in it."""
        figures = []
        if target.name not in self._grown:
            figures += self._idle(target)
        figures += self._per_operation(target)
        if target.name not in self._grown:
            self._grown.add(target.name)
            figures += self._growth(target)
        return figures

    def _idle(self, target: Target) -> list[Figure]:
        time.sleep(1.0)
        seconds = self.scope.choose(5.0, 30.0)
        before = machine.cpu_s(target.pids())
        time.sleep(seconds)
        used = (machine.cpu_s(target.pids()) - before) / seconds
        memory = max(map(machine.resident_mib, target.pids()))
        return [
            self.figure("at rest", "CPU of all nodes", "% of a core", DOWN, used * 100),
            self.figure("at rest", "memory of a node", "MiB", DOWN, memory),
        ]

    def _per_operation(self, target: Target) -> list[Figure]:
        figures = []
        get = target.dialect.get(DEFAULT)
        assert get is not None
        for case, call in (("KV PUT, 64 clients", target.dialect.put()), ("KV GET, 64 clients", get)):
            address = target.addresses[target.leader()]
            before = machine.cpu_s(target.pids())
            found = load.closed_loop(address, call, clients=64, seconds=self.scope.choose(2.0, 8.0))
            used = machine.cpu_s(target.pids()) - before
            per_10k = used / found.requests * 10_000
            figures.append(self.figure(case, "CPU per 10,000", "s", DOWN, per_10k))
        if self.speaks_grpc(target):
            figures += self._per_grpc_operation(target)
        return figures

    def _per_grpc_operation(self, target: Target) -> list[Figure]:
        figures = []
        address, seconds = target.addresses[target.leader()], self.scope.choose(2.0, 8.0)
        for case, measure in (
            ("KV PUT, 64 clients", partial(grpc.puts, address)),
            ("KV GET, 64 clients", partial(grpc.closed_loop, address, grpc.get(stale=False))),
        ):
            before = machine.cpu_s(target.pids())
            found = measure(clients=64, seconds=seconds)
            per_10k = (machine.cpu_s(target.pids()) - before) / found.requests * 10_000
            figures.append(self.figure(case, "CPU per 10,000", "s", DOWN, per_10k, target=target.over_grpc))
        return figures

    def _growth(self, target: Target) -> list[Figure]:
        figures = []
        for keys in self.scope.choose((1_000, 10_000), (1_000, 10_000, 100_000)):
            data.fill(target, keys, keys // 10)
            case = f"{keys:,} keys, {keys // 10:,} services"
            memory = max(map(machine.resident_mib, target.pids()))
            disk = max(machine.disk_mib(server.folder) for server in target.servers)
            figures.append(self.figure(case, "memory of a node", "MiB", DOWN, memory))
            figures.append(self.figure(case, "disk of a node", "MiB", DOWN, disk))
        return figures
