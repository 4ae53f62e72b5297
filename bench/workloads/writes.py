"""KV PUTs: one client after the other, and many at once, at the leader and through a follower."""

import time

from bench.harness import grpc, load
from bench.harness.client import BlockingClient
from bench.harness.dialects import STALE
from bench.harness.figures import DOWN, Figure
from bench.harness.stats import curve, percentile
from bench.harness.targets import Target
from bench.workloads.base import Workload, places

CATCH_UP_S = 20.0


class Writes(Workload):
    """Values of 64 bytes over a thousand keys; other sizes in a full run."""

    name = "writes"

    def run(self, target: Target, seed: int) -> list[Figure]:
        """Sequential latency, then throughput."""
        figures = []
        for place, number in places(target):
            address = target.addresses[number]
            call = target.dialect.put()
            seconds = load.sequential(address, call, self.scope.choose(500, 2000))
            for share, label in ((0.5, "p50"), (0.99, "p99")):
                value = percentile(seconds, share) * 1e3
                points = tuple(curve(seconds)) if label == "p50" else ()
                figures.append(self.figure(f"1 client, {place}", label, "ms", DOWN, value, points))
            for clients in self.scope.choose((64,), (8, 64, 512)):
                case = f"{clients} clients, {place}"
                found = load.closed_loop(address, call, clients=clients, seconds=self.scope.choose(2.0, 8.0))
                figures += self.loop_figures(case, found)
            if self.speaks_grpc(target):
                figures += self._grpc(target, place, address)
        if not self.scope.quick:
            figures += self._sizes(target)
        return figures

    def _grpc(self, target: Target, place: str, address: tuple[str, int]) -> list[Figure]:
        alone = grpc.puts(address, clients=1, seconds=self.scope.choose(1.0, 4.0))
        case, over = f"1 client, {place}", target.over_grpc
        figures = [
            self.figure(case, "p50", "ms", DOWN, alone.at(0.5) * 1e3, alone.curve, over),
            self.figure(case, "p99", "ms", DOWN, alone.at(0.99) * 1e3, (), over),
        ]
        for clients in self.scope.choose((64,), (8, 64, 512)):
            found = grpc.puts(address, clients=clients, seconds=self.scope.choose(2.0, 8.0))
            figures += self.loop_figures(f"{clients} clients, {place}", found, over)
        return figures

    def _sizes(self, target: Target) -> list[Figure]:
        address = target.addresses[target.leader()]
        figures = []
        for size in (1 << 10, 16 << 10, 128 << 10):
            call = target.dialect.put(size, key=f"size{size}/")
            seconds = load.sequential(address, call, 200)
            case = f"1 client, leader, {size >> 10} KiB"
            figures.append(self.figure(case, "p50", "ms", DOWN, percentile(seconds, 0.5) * 1e3))
        return figures

    def verify(self, target: Target) -> list[str]:
        """Every node has the same value of a key once it has heard of it, which may take a moment after the load."""
        give_up = time.monotonic() + CATCH_UP_S
        while len(seen := _seen(target)) > 1 and time.monotonic() < give_up:
            time.sleep(0.2)
        return [] if len(seen) == 1 else [f"{target.name}: nodes differ in a key: {sorted(seen)!r:.200}"]


def _seen(target: Target) -> set[tuple[int, bytes]]:
    """What the nodes say of one key, each of its own copy."""
    call = target.dialect.get(STALE)
    assert call is not None
    seen = set()
    for address in target.addresses:
        with BlockingClient(address) as client:
            status, body = client.send(call.filled(7))
            seen.add((status, body if b'"kvs"' not in body else body.partition(b'"kvs"')[2]))
    return seen
