"""From a write's sending at the leader to its being applied at each node, alone and under load, and by size.

A watcher on each node waits for the key, by stale blocking queries of Consul and raftreg, by a watch of etcd: what it
sees is that node's own copy.
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
from bench.harness.dialects import Dialect
from bench.harness.figures import DOWN, Figure
from bench.harness.stats import curve, percentile
from bench.harness.targets import Target
from bench.workloads.base import Workload

KEY = "bench-replicated"
SETTLE_S = 0.3
_values = itertools.count(1)


class Replication(Workload):
    """Commit (the answer to the client) and apply (each node's copy)."""

    name = "replication"
    is_long = True

    def run(self, target: Target, seed: int) -> list[Figure]:
        """At 1, 8, 64 and 512 clients with small values, then alone with large ones."""
        figures = []
        for clients in self.scope.choose((1, 64), (1, 8, 64, 512)):
            figures += self._measured(target, f"{clients} client{'s' if clients > 1 else ''}", 64, clients)
        for size in self.scope.choose((64 << 10,), (1 << 10, 16 << 10, 64 << 10, 256 << 10)):
            figures += self._measured(target, f"1 client, {size >> 10} KiB", size, 1)
        return figures

    def _measured(self, target: Target, case: str, size: int, clients: int) -> list[Figure]:
        count = self.scope.choose(30, 300)
        leader = target.leader()
        with _background(target, leader, clients - 1, seconds=60.0):
            commits, applies = asyncio.run(_replicated(target.dialect, target.addresses, leader, size, count))
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
    dialect: Dialect, addresses: list[tuple[str, int]], leader: int, size: int, count: int
) -> tuple[list[float], list[list[float]]]:
    """(seconds to the answer, seconds to the copy of each node)."""
    commits: list[float] = []
    applies: list[list[float]] = [[] for _ in addresses]
    async with contextlib.AsyncExitStack() as stack:
        writing = await stack.enter_async_context(Connection(addresses[leader]))
        watching = [await stack.enter_async_context(Connection(address)) for address in addresses]
        await writing.send(dialect.put_one(KEY, _value(size)))
        await asyncio.sleep(SETTLE_S)
        kind = _Polled if dialect.wait_for_key(KEY, 1).method == "GET" else _Streamed
        copies = [kind(dialect, connection) for connection in watching]
        for copy in copies:
            await copy.begin()
        for _ in range(count):
            waits = [asyncio.create_task(copy.changed()) for copy in copies]
            await asyncio.sleep(0.01)
            began = time.perf_counter()
            await writing.send(dialect.put_one(KEY, _value(size)))
            commits.append(time.perf_counter() - began)
            for number, wait in enumerate(waits):
                applies[number].append(await wait - began)
    return commits, applies


def _value(size: int) -> str:
    return f"{next(_values):09d}" + "x" * (size - 9)


class _Polled:
    """The copy of one node, by long polls."""

    def __init__(self, dialect: Dialect, connection: Connection) -> None:
        self._dialect, self._connection, self._index = dialect, connection, 0

    async def begin(self) -> None:
        """Learn what there is."""
        await self.changed()

    async def changed(self) -> float:
        """When the next change was seen."""
        _, head, _ = await self._connection.send(self._dialect.wait_for_key(KEY, self._index))
        seen = time.perf_counter()
        found = re.search(rb"x-consul-index: (\d+)", head)
        assert found is not None
        self._index = int(found[1])
        return seen


class _Streamed:
    """The copy of one node, by a stream of lines, of which the first says that the watch is made."""

    def __init__(self, dialect: Dialect, connection: Connection) -> None:
        self._dialect, self._connection = dialect, connection

    async def begin(self) -> None:
        """Make the watch."""
        await self._connection.stream(self._dialect.wait_for_key(KEY, 0))
        await self.changed()

    async def changed(self) -> float:
        """When the next change was seen. A long line comes in several parts."""
        while not (await self._connection.next_line()).endswith(b"\n"):
            pass
        return time.perf_counter()
