"""Reads in all modes, of one key and of services with 1 to 500 instances, at the leader and at a follower."""

from bench.harness import grpc, load
from bench.harness.client import BlockingClient
from bench.harness.dialects import CONSISTENT, DEFAULT, STALE, Call, padded
from bench.harness.figures import Figure
from bench.harness.targets import Target
from bench.workloads.base import Scope, Workload, places

MODES = (DEFAULT, CONSISTENT, STALE)


class Reads(Workload):
    """64 clients."""

    name = "reads"

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self.instances: tuple[int, ...] = scope.choose((3, 50), (1, 3, 50, 500))

    def prepare(self, target: Target) -> None:
        """A thousand keys, and a service of each size."""
        address, dialect = target.addresses[target.leader()], target.dialect
        load.fill(address, (dialect.put().filled(number) for number in range(1000)))
        for instances in self.instances:
            call = dialect.register(_service(instances))
            load.fill(address, (call.filled(number) for number in range(instances)))
        if self._does_grpc(target):
            grpc.puts(address, clients=1, seconds=1.0)

    def run(self, target: Target, seed: int) -> list[Figure]:
        """Throughput of each."""
        figures = []
        for place, number in places(target):
            for case, call in self._cases(target):
                found = load.closed_loop(
                    target.addresses[number], call, clients=64, seconds=self.scope.choose(1.0, 5.0)
                )
                figures += self.loop_figures(f"{case}, {place}", found)
            if self._does_grpc(target):
                figures += self._grpc(target, place, target.addresses[number])
        return figures

    def _does_grpc(self, target: Target) -> bool:
        if target.over_grpc and self.scope.quick:
            self.left_out.append(f"reads at {target.over_grpc}: only in a full run")
            return False
        return self.speaks_grpc(target)

    def _grpc(self, target: Target, place: str, address: tuple[str, int]) -> list[Figure]:
        figures = []
        for mode in (DEFAULT, STALE):
            messages = [(f"key, {mode}", grpc.get(stale=mode == STALE))]
            for instances in self.instances:
                prefix = padded(f"service/{_service(instances)}/").encode()
                message = grpc.find(prefix, stale=mode == STALE, answer_bytes=instances * 64)
                messages.append((f"{instances} instances, {mode}", message))
            for case, message in messages:
                found = grpc.closed_loop(address, message, clients=64, seconds=self.scope.choose(1.0, 5.0))
                figures += self.loop_figures(f"{case}, {place}", found, target.over_grpc)
        return figures

    def _cases(self, target: Target) -> list[tuple[str, Call]]:
        cases = []
        for mode in MODES:
            cases.append((f"key, {mode}", target.dialect.get(mode)))
            for instances in self.instances:
                if mode == DEFAULT or not self.scope.quick:
                    call = target.dialect.find(_service(instances), mode)
                    cases.append((f"{instances} instances, {mode}", call))
        return [(case, call) for case, call in cases if call is not None]

    def verify(self, target: Target) -> list[str]:
        """Each node names all instances."""
        wrong = []
        for instances in self.instances:
            call = target.dialect.find(_service(instances), DEFAULT)
            assert call is not None
            for address in target.addresses:
                with BlockingClient(address) as client:
                    found = target.dialect.count(client.send(call)[1])
                if found != instances:
                    wrong.append(f"{target.name}: {found} instances where {instances} are registered")
        return wrong


def _service(instances: int) -> str:
    return f"bench-of-{instances}"
