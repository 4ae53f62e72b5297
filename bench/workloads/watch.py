"""Watchers of one service: from the sending of a change until each of them has seen it.

Consul's way is the long poll, etcd's a stream. All watchers are of one client process on one node; the change is
written at the leader.
"""

import asyncio
import re
import time
from collections.abc import Callable

from bench.harness.client import Connection
from bench.harness.dialects import DEFAULT, STALE, Dialect
from bench.harness.figures import DOWN, Figure
from bench.harness.stats import curve, percentile
from bench.harness.targets import Target
from bench.workloads.base import Workload

SERVICE = "bench-watched"
SEEN_TIMEOUT_S = 20.0
SETTLE_S = 0.3


class Watch(Workload):
    """1 to 5,000 watchers."""

    name = "watch"
    is_long = True

    def run(self, target: Target, seed: int) -> list[Figure]:
        """At the leader in default mode, and stale at a follower."""
        figures = []
        if target.over_grpc:
            self.left_out.append(
                f"watch at {target.over_grpc}: no client here keeps up with a thousand streams of it"
            )
        elif target.dialect.wait_for(SERVICE, DEFAULT, 1).method == "GET":
            self.left_out.append(f"watch / stream at {target.name}: it has long polls only")
        leader = target.leader()
        follower = (leader + 1) % len(target.addresses)
        for watchers in self.scope.choose((1, 1000), (1, 100, 1000, 5000)):
            for label, number, mode in (("leader", leader, DEFAULT), ("stale follower", follower, STALE)):
                changes = self.scope.choose(30, 60) if watchers == 1 else self.scope.choose(3, 8)
                addresses = target.addresses[leader], target.addresses[number]
                took = asyncio.run(_watched(target.dialect, *addresses, mode, watchers, changes))
                case = f"{watchers} watchers, {label}"
                figures.append(
                    self.figure(case, "p50", "ms", DOWN, percentile(took, 0.5) * 1e3, tuple(curve(took)))
                )
                figures.append(self.figure(case, "p99", "ms", DOWN, percentile(took, 0.99) * 1e3))
        return figures


async def _watched(
    dialect: Dialect,
    writer: tuple[str, int],
    address: tuple[str, int],
    mode: str,
    watchers: int,
    changes: int,
) -> list[float]:
    """Seconds from the sending of a change to each watcher's having it."""
    seen = asyncio.Semaphore(0)
    took: list[float] = []
    sent = [0.0]
    call = dialect.register(SERVICE)

    def note() -> None:
        if not sent[0]:
            return  # The registration that there was before; a follower may be late with it.
        took.append(time.perf_counter() - sent[0])
        seen.release()

    async with Connection(writer) as writing, asyncio.TaskGroup() as tasks:
        await writing.send(call.filled(1_000_000))
        watch = _poll if dialect.wait_for(SERVICE, mode, 1).method == "GET" else _stream
        ready = asyncio.Semaphore(0)
        running = [tasks.create_task(watch(dialect, address, mode, ready, note)) for _ in range(watchers)]
        for _ in range(watchers):
            await ready.acquire()
        await asyncio.sleep(SETTLE_S)
        for number in range(changes):
            # Each watcher waits again before the next change.
            await asyncio.sleep(0.02 + watchers / 2000)
            sent[0] = time.perf_counter()
            await writing.send(call.filled(2_000_000 + 1000 * number))
            async with asyncio.timeout(SEEN_TIMEOUT_S):
                for _ in range(watchers):
                    await seen.acquire()
        for task in running:
            task.cancel()
    return took


async def _poll(
    dialect: Dialect, address: tuple[str, int], mode: str, ready: asyncio.Semaphore, note: Callable[[], None]
) -> None:
    """Long polls, one after the other."""
    async with Connection(address) as connection:
        index = 0
        while True:
            call = dialect.wait_for(SERVICE, mode, index)
            _, head, _ = await connection.send(call)
            found = re.search(rb"x-consul-index: (\d+)", head)
            assert found is not None
            if index == 0:
                ready.release()
            elif int(found[1]) != index:
                note()
            index = int(found[1])


async def _stream(
    dialect: Dialect, address: tuple[str, int], mode: str, ready: asyncio.Semaphore, note: Callable[[], None]
) -> None:
    """A stream of events; the first line says that the watch is made."""
    async with Connection(address) as connection:
        await connection.stream(dialect.wait_for(SERVICE, mode, 0))
        await connection.next_line()
        ready.release()
        while await connection.next_line():
            note()
