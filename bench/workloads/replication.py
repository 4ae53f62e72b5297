"""From a write's sending at the leader to its being applied at each node, alone and under load, and by size.

A watcher on each node waits for the key with a stale blocking query, so that what it sees is that node's own copy.
"""

import asyncio
import contextlib
import itertools
import re
import threading
import time
from collections.abc import Iterator

from bench.harness import load
from bench.harness.client import Connection
from bench.harness.dialects import Call
from bench.harness.figures import DOWN, Figure
from bench.harness.stats import curve, percentile
from bench.harness.targets import Target
from bench.workloads.base import Workload

KEY = "/v1/kv/bench-replicated"
_values = itertools.count(1)


class Replication(Workload):
    """Commit (the answer to the client) and apply (each node's copy)."""

    name = "replication"
    is_long = True
    raftreg_only = True

    def run(self, target: Target, seed: int) -> list[Figure]:
        """At 1, 8, 64 and 512 clients with small values, then alone with large ones."""
        figures = []
        for clients in self.scope.choose((1, 64), (1, 8, 64, 512)):
            figures += self._measured(target, f"{clients} clients", 64, clients)
        for size in self.scope.choose((64 << 10,), (1 << 10, 16 << 10, 64 << 10, 256 << 10)):
            figures += self._measured(target, f"1 client, {size >> 10} KiB", size, 1)
        return figures

    def _measured(self, target: Target, case: str, size: int, clients: int) -> list[Figure]:
        count = self.scope.choose(60, 300)
        leader = target.leader()
        with _background(target, leader, clients - 1, seconds=60.0):
            commits, applies = asyncio.run(_replicated(target.addresses, leader, size, count))
        figures = [
            self.figure(
                case, "commit p50", "ms", DOWN, percentile(commits, 0.5) * 1e3, tuple(curve(commits))
            ),
            self.figure(case, "commit p99", "ms", DOWN, percentile(commits, 0.99) * 1e3),
        ]
        followers = 0
        for number, seconds in enumerate(applies):
            followers += number != leader
            who = "leader" if number == leader else f"follower {followers}"
            points = tuple(curve(seconds))
            figures.append(
                self.figure(case, f"apply p50, {who}", "ms", DOWN, percentile(seconds, 0.5) * 1e3, points)
            )
            figures.append(
                self.figure(case, f"apply p99, {who}", "ms", DOWN, percentile(seconds, 0.99) * 1e3)
            )
        return figures


@contextlib.contextmanager
def _background(target: Target, leader: int, clients: int, seconds: float) -> Iterator[None]:
    """Other clients that write all the while, at most for so long."""
    if not clients:
        yield
        return
    stop = threading.Event()

    def work() -> None:
        end = time.monotonic() + seconds
        while not stop.is_set() and time.monotonic() < end:
            load.closed_loop(target.addresses[leader], target.dialect.put(), clients=clients, seconds=1.0)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


async def _replicated(
    addresses: list[tuple[str, int]], leader: int, size: int, count: int
) -> tuple[list[float], list[list[float]]]:
    """(seconds to the answer, seconds to the copy of each node)."""
    commits: list[float] = []
    applies: list[list[float]] = [[] for _ in addresses]
    async with contextlib.AsyncExitStack() as stack:
        writing = await stack.enter_async_context(Connection(addresses[leader]))
        watching = [await stack.enter_async_context(Connection(address)) for address in addresses]
        await writing.send(Call("PUT", KEY, f"{next(_values):09d}"))
        indexes = [await _index(connection, 0) for connection in watching]
        for _ in range(count):
            waits = [
                asyncio.create_task(_timed(connection, index))
                for connection, index in zip(watching, indexes, strict=True)
            ]
            await asyncio.sleep(0.01)
            began = time.perf_counter()
            await writing.send(Call("PUT", KEY, f"{next(_values):09d}" + "x" * (size - 9)))
            commits.append(time.perf_counter() - began)
            indexes = []
            for number, wait in enumerate(waits):
                index, seen = await wait
                indexes.append(index)
                applies[number].append(seen - began)
    return commits, applies


async def _timed(connection: Connection, index: int) -> tuple[int, float]:
    return await _index(connection, index), time.perf_counter()


async def _index(connection: Connection, index: int) -> int:
    """The index of the key, once it is not `index` any more."""
    _, head, _ = await connection.send(Call("GET", f"{KEY}?stale&index={index}&wait=20s"))
    found = re.search(rb"x-consul-index: (\d+)", head)
    assert found is not None
    return int(found[1])
