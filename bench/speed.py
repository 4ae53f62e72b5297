"""How fast a cluster of three nodes is on this machine: latency, throughput, failover, memory, idle CPU.

    python -m bench.speed                all of it, about two minutes
    python -m bench.speed --kills 20 --only latency --only failover

The figures are printed and judged by nobody: they depend on the machine, its disk and what else runs. Clients and nodes
share the machine. fsync is on, as always.
"""

import argparse
import asyncio
import itertools
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.http1 import Connection
from tests.e2e.cluster import Cluster, Node

VALUE = b"x" * 64
PUTS = 2000
CLIENTS = 64
LOAD_S = 5.0
IDLE_S = 10.0
WRITE_EVERY_S = 0.005
AROUND_KILL_S = 1.5  # how long writes go on before and after a kill
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


def percentile(values: list[float], share: float) -> float:
    """The value below which that share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def show(what: str, figures: str) -> None:
    """One line of the report."""
    print(f"{what:<44} {figures}", flush=True)


async def timed(count: int, act: Callable[[int], Awaitable[object]]) -> list[float]:
    """Seconds that each of `count` calls took, one after the other; the first tenth warms up and is not counted."""
    seconds = []
    for number in range(count):
        began = time.perf_counter()
        await act(number)
        seconds.append(time.perf_counter() - began)
    return seconds[count // 10 :]


async def latency(cluster: Cluster) -> None:
    """One client, one PUT after the other."""
    for label, node in (("leader", cluster.leader()), ("follower", cluster.followers()[0])):
        async with Connection(node.http) as connection:
            seconds = await timed(PUTS, lambda n, c=connection: c.put(f"/v1/kv/seq/{n}", VALUE))  # type: ignore[misc]
        show(
            f"sequential PUT, {label}",
            f"p50 {ms(percentile(seconds, 0.5))}   p99 {ms(percentile(seconds, 0.99))}",
        )


async def throughput(cluster: Cluster) -> None:
    """Many clients with one request in flight each."""
    leader, follower = cluster.leader(), cluster.followers()[0]
    await asyncio.to_thread(leader.put, "/v1/kv/read", VALUE)
    for label, node in (("leader", leader), ("follower", follower)):
        rate = await closed_loop(node, lambda c, n: c.put(f"/v1/kv/load/{n % 1000}", VALUE + b"%d" % n))
        show(f"PUT, {CLIENTS} clients, {label}", f"{rate:,.0f} /s")
    for label, node, mode in (
        ("leader, default", leader, ""),
        ("follower, default", follower, ""),
        ("follower, consistent", follower, "?consistent"),
        ("follower, stale", follower, "?stale"),
    ):
        rate = await closed_loop(node, lambda c, n, path=f"/v1/kv/read{mode}": c.get(path))  # type: ignore[misc]
        show(f"GET, {CLIENTS} clients, {label}", f"{rate:,.0f} /s")


async def closed_loop(node: Node, act: Callable[[Connection, int], Awaitable[object]]) -> float:
    """Requests per second with CLIENTS connections for LOAD_S seconds."""
    numbers = itertools.count()
    done = 0
    began = time.perf_counter()

    async def client() -> None:
        nonlocal done
        async with Connection(node.http) as connection:
            while time.perf_counter() - began < LOAD_S:
                await act(connection, next(numbers))
                done += 1

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return done / (time.perf_counter() - began)


async def failover(cluster: Cluster, kills: int) -> None:
    """kill -9 of the leader under writes that start every 5 ms, at each node in turn, not waiting for each other."""
    gaps = []
    for _ in range(kills):
        leader = await asyncio.to_thread(cluster.leader)
        gaps.append(await gap_around_kill(cluster, leader))
        await asyncio.to_thread(cluster.start, leader.name)
    text = " ".join(f"{gap * 1000:.0f}" for gap in gaps)
    show(
        f"longest gap between acknowledged writes, {kills} kills",
        f"p50 {ms(statistics.median(gaps))}   max {ms(max(gaps))}   all, in ms: {text}",
    )


async def gap_around_kill(cluster: Cluster, leader: Node) -> float:
    """The longest time without an acknowledged write around one kill."""
    acknowledged: list[float] = []
    nodes = itertools.cycle(list(cluster.nodes.values()))
    writes: set[asyncio.Task[None]] = set()
    began = time.perf_counter()
    is_killed = False
    for number in itertools.count():
        due = began + number * WRITE_EVERY_S
        if due - began > 2 * AROUND_KILL_S:
            break
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        if not is_killed and due - began >= AROUND_KILL_S:
            is_killed = True
            leader.kill()
        write = asyncio.create_task(write_once(next(nodes), number, acknowledged))
        writes.add(write)
        write.add_done_callback(writes.discard)
    for write in list(writes):
        write.cancel()
    await asyncio.gather(*writes, return_exceptions=True)
    return max(after - before for before, after in itertools.pairwise(acknowledged))


async def write_once(node: Node, number: int, acknowledged: list[float]) -> None:
    """One write on a connection of its own; what the killed node does not answer is no acknowledgement."""
    try:
        async with Connection(node.http) as connection:
            if await connection.put(f"/v1/kv/gap/{number}", VALUE) == 200:
                acknowledged.append(time.perf_counter())
    except (OSError, EOFError):
        return


async def idle(cluster: Cluster) -> None:
    """Memory and CPU of nodes that nobody asks."""
    sizes = [resident_mib(node) for node in cluster.running()]
    before, began = sum(cpu_s(node) for node in cluster.running()), time.perf_counter()
    await asyncio.sleep(IDLE_S)
    used = sum(cpu_s(node) for node in cluster.running()) - before
    show("RSS of an idle node", "  ".join(f"{size:.1f}" for size in sizes) + " MiB")
    show("CPU of three idle nodes", f"{used / (time.perf_counter() - began):.1%} of one core")


def resident_mib(node: Node) -> float:
    """Resident memory of the process (Linux)."""
    assert node.process is not None
    return int(Path(f"/proc/{node.process.pid}/statm").read_text().split()[1]) * PAGE / (1 << 20)


def cpu_s(node: Node) -> float:
    """CPU seconds that the process has used (Linux)."""
    assert node.process is not None
    fields = Path(f"/proc/{node.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def ms(seconds: float) -> str:
    """Milliseconds as text."""
    return f"{seconds * 1000:.2f} ms"


async def measure(cluster: Cluster, parts: list[str], kills: int) -> None:
    """Run the parts in order."""
    if "idle" in parts:
        await idle(cluster)
    if "latency" in parts:
        await latency(cluster)
    if "throughput" in parts:
        await throughput(cluster)
    if "failover" in parts:
        await failover(cluster, kills)


def main() -> None:
    """The command line."""
    every = ["idle", "latency", "throughput", "failover"]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", action="append", choices=every, help="a part; may be repeated; all by default"
    )
    parser.add_argument("--kills", type=int, default=10, help="how often the leader is killed (10)")
    parser.add_argument(
        "--data", type=Path, help="where the nodes keep their data; a temporary directory by default"
    )
    options = parser.parse_args()
    show("machine", f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(dir=options.data) as folder, Cluster(Path(folder)) as cluster:
        cluster.start()
        asyncio.run(measure(cluster, options.only or every, options.kills))


if __name__ == "__main__":
    main()
