"""An instance dies: from the sending of that news until no node names it any more."""

import asyncio
import itertools
import time

from bench.harness.client import Connection
from bench.harness.dialects import STALE, Call, Dialect
from bench.harness.figures import DOWN, Figure
from bench.harness.stats import curve, percentile
from bench.harness.targets import Target
from bench.workloads.base import Workload

GONE_TIMEOUT_S = 20.0
_services = itertools.count(1)


class Propagation(Workload):
    """One of three instances is withdrawn at the leader; every node is asked for a stale answer, again and again."""

    name = "propagation"

    def run(self, target: Target, seed: int) -> list[Figure]:
        """The time until the last node names two."""
        leader = target.addresses[target.leader()]
        took = [
            asyncio.run(_gone(target.dialect, leader, target.addresses, f"bench-dying-{next(_services)}"))
            for _ in range(self.scope.choose(10, 40))
        ]
        case, points = "withdrawn at the leader", tuple(curve(took))
        return [
            self.figure(case, "p50", "ms", DOWN, percentile(took, 0.5) * 1e3, points),
            self.figure(case, "max", "ms", DOWN, max(took) * 1e3),
        ]


async def _gone(
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


async def _until(dialect: Dialect, address: tuple[str, int], find: Call, instances: int) -> float:
    """When an answer with that many instances was there."""
    async with asyncio.timeout(GONE_TIMEOUT_S), Connection(address) as connection:
        while True:
            _, _, body = await connection.send(find)
            if dialect.count(body) == instances:
                return time.perf_counter()
            await asyncio.sleep(0.001)
