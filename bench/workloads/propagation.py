"""An instance dies: from that moment, or from the sending of the news, until no node names it any more."""

import asyncio
import itertools
import time

from bench.harness.client import Connection
from bench.harness.dialects import STALE, Call, Dialect
from bench.harness.figures import DOWN, Figure
from bench.harness.stats import curve, percentile
from bench.harness.targets import Target
from bench.workloads.base import Workload

GONE_TIMEOUT_S = 30.0
PROBED_EVERY = "1s"
_numbers = itertools.count(1)


class Propagation(Workload):
    """Every node is asked for a stale answer, again and again; what counts is the last one that names it.

    Withdrawn: one of three instances is deregistered at the leader. Dead: nothing listens any more where the instance
    did; a TCP probe each second, through a follower, finds out.
    """

    name = "propagation"
    is_long = True

    def run(self, target: Target, seed: int) -> list[Figure]:
        """The time until the last node leaves it out."""
        leader = target.addresses[target.leader()]
        took = [
            asyncio.run(_withdrawn(target.dialect, leader, target.addresses, f"bench-dying-{next(_numbers)}"))
            for _ in range(self.scope.choose(10, 40))
        ]
        figures = self._figures("withdrawn at the leader", took)
        if target.dialect.probed("", 0, PROBED_EVERY) is None:
            self.left_out.append(f"propagation / dead at {target.name}: it has no health checks")
            return figures
        registrar = target.addresses[target.follower()]
        took = asyncio.run(_dead(target, registrar, self.scope.choose(5, 20)))
        return figures + self._figures(f"dead, probed every {PROBED_EVERY}", took)

    def _figures(self, case: str, took: list[float]) -> list[Figure]:
        return [
            self.figure(case, "p50", "ms", DOWN, percentile(took, 0.5) * 1e3, tuple(curve(took))),
            self.figure(case, "max", "ms", DOWN, max(took) * 1e3),
        ]


async def _withdrawn(
    dialect: Dialect, leader: tuple[str, int], addresses: list[tuple[str, int]], service: str
) -> float:
    call, find = dialect.register(service), dialect.find(service, STALE)
    assert find is not None
    async with Connection(leader) as writing:
        for number in range(3):
            await writing.send(call.filled(number))
        await asyncio.gather(*(_until(dialect, address, find, 3) for address in addresses))
        began = time.perf_counter()
        watching = [asyncio.create_task(_until(dialect, address, find, 2)) for address in addresses]
        await writing.send(dialect.withdraw(service, 1))
        return max(await asyncio.gather(*watching)) - began


async def _dead(target: Target, registrar: tuple[str, int], count: int) -> list[float]:
    """Some instances, one after the other, each of a service of its own."""
    took = []
    async with Connection(registrar) as writing:
        for number in range(count):
            service = f"bench-dead-{next(_numbers)}"
            find = target.dialect.find(service, STALE)
            assert find is not None
            server = await asyncio.start_server(_hang_up, "127.0.0.1", 0)
            call = target.dialect.probed(service, server.sockets[0].getsockname()[1], PROBED_EVERY)
            assert call is not None
            status, _, body = await writing.send(call)
            if status != 200:
                raise OSError(f"{call.path}: {status} {body[:200]!r}")
            await asyncio.gather(*(_until(target.dialect, address, find, 1) for address in target.addresses))
            # At another moment between two probes each time.
            await asyncio.sleep(number / count)
            server.close()
            began = time.perf_counter()
            seen = await asyncio.gather(
                *(_until(target.dialect, address, find, 0, every_s=0.01) for address in target.addresses)
            )
            took.append(max(seen) - began)
            await writing.send(Call("PUT", f"/v1/agent/service/deregister/{service}"))
    return took


async def _hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _until(
    dialect: Dialect, address: tuple[str, int], find: Call, instances: int, *, every_s: float = 0.001
) -> float:
    """When an answer with that many instances was there."""
    async with asyncio.timeout(GONE_TIMEOUT_S), Connection(address) as connection:
        while True:
            _, _, body = await connection.send(find)
            if dialect.count(body) == instances:
                return time.perf_counter()
            await asyncio.sleep(every_s)
