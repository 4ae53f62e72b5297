"""A long run under churn, with samples of memory, disk, file descriptors and latency: are the lines flat?

    python -m bench.soak                               an hour
    python -m bench.soak --minutes 5 --csv soak.csv    the samples go to a file too

Services with TTL checks come and go at a steady rate, keys are written and read, clients wait in blocking queries,
snapshots are frequent, and a node is killed or stopped every so often, the leader every second time. At the end each
line is drawn, with the means of its first and last quarter. Exit code 1 if the last write is not on every node, or
the nodes differ.
"""

import argparse
import asyncio
import csv
import itertools
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from bench.speed import percentile
from tests.e2e.cluster import Cluster, Node, wait_until
from tests.e2e.witness import equal_digests

LIVE_SERVICES = 500
KEYS = 500
WAITING_CLIENTS = 30
SAMPLE_S = 2.0
TIMEOUT_S = 5.0
BARS = "▁▂▃▄▅▆▇█"


@dataclass(slots=True)
class Run:
    """One run: what is asked of the nodes, and what was seen."""

    cluster: Cluster
    until: float
    rate: float  # registrations per second
    latencies: list[float] = field(default_factory=list)  # seconds, since the last sample
    counts: Counter[str] = field(default_factory=Counter)
    samples: list[dict[str, float]] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self.until

    async def request(
        self, session: aiohttp.ClientSession, number: int, method: str, path: str, body: bytes | None = None
    ) -> None:
        """One request to some node, and to the next if that one is gone."""
        nodes = list(self.cluster.nodes.values())
        began = time.perf_counter()
        for turn in range(len(nodes)):
            url = f"http://127.0.0.1:{nodes[(number + turn) % len(nodes)].http}{path}"
            try:
                async with session.request(method, url, data=body) as answer:
                    await answer.read()
                    self.counts[f"{method} {answer.status}"] += 1
                    self.latencies.append(time.perf_counter() - began)
                    return
            except (aiohttp.ClientError, TimeoutError) as error:
                self.counts[type(error).__name__] += 1
        self.counts["nobody answered"] += 1

    async def register(self, session: aiohttp.ClientSession) -> None:
        """Services come, and the oldest go, at a steady rate."""
        began = time.monotonic()
        for number in itertools.count():
            if self.is_over:
                return
            await asyncio.sleep(max(0.0, began + number / self.rate - time.monotonic()))
            service = {
                "ID": f"s-{number}",
                "Name": f"service-{number % 20}",
                "Address": f"10.0.{number // 250 % 250}.{number % 250}",
                "Port": 80,
                "Check": {"TTL": "30s", "Status": "passing", "DeregisterCriticalServiceAfter": "1m"},
            }
            await self.request(
                session, number, "PUT", "/v1/agent/service/register", json.dumps(service).encode()
            )
            gone = number - LIVE_SERVICES
            if gone >= 0 and gone % 10:  # Each tenth is left to its TTL.
                await self.request(session, number, "PUT", f"/v1/agent/service/deregister/s-{gone}")

    async def use_keys(self, session: aiohttp.ClientSession) -> None:
        """Keys are written, read and deleted."""
        for number in itertools.count():
            if self.is_over:
                return
            key = f"/v1/kv/soak/{number * 7919 % KEYS}"
            await self.request(session, number, "PUT", key, b"x" * (number % 2000))
            await self.request(session, number, "GET", key)
            if number % 50 == 0:
                await self.request(session, number, "DELETE", key)
            await asyncio.sleep(0.02)

    async def wait_for_changes(self, session: aiohttp.ClientSession, number: int) -> None:
        """A client in a blocking query, again and again; now and then it goes away and comes back."""
        index = "0"
        nodes = list(self.cluster.nodes.values())
        for turn in itertools.count(number):
            if self.is_over:
                return
            node = nodes[turn % len(nodes)]
            path = f"/v1/health/service/service-{number % 20}?index={index}&wait=2s"
            try:
                async with session.get(f"http://127.0.0.1:{node.http}{path}") as answer:
                    await answer.read()
                    index = answer.headers.get("X-Consul-Index", "0")
                    self.counts[f"blocking {answer.status}"] += 1
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(0.1)

    async def sample(self) -> None:
        """Measure every node every so often."""
        began = time.monotonic()
        while not self.is_over:
            await asyncio.sleep(SAMPLE_S)
            latencies, self.latencies = self.latencies or [0.0], []
            row = {"seconds": time.monotonic() - began, "requests_per_s": len(latencies) / SAMPLE_S}
            row |= {"p50_ms": percentile(latencies, 0.5) * 1000, "p99_ms": percentile(latencies, 0.99) * 1000}
            for node in self.cluster.running():
                row |= measured(node)
            self.samples.append(row)

    async def disturb(self, every_s: float) -> None:
        """Kill a node, or stop it, and start it again."""
        for turn in itertools.count():
            rest_s = min(every_s, self.until - time.monotonic() - 10.0)
            if rest_s < every_s:
                return
            await asyncio.sleep(rest_s)
            await asyncio.to_thread(disturb_one, self.cluster, turn)
            self.counts["kill" if turn % 4 else "stop"] += 1


def disturb_one(cluster: Cluster, turn: int) -> None:
    """One kill; each fourth time a clean stop. It is the leader's turn every second time."""
    node = cluster.followers()[0] if turn % 2 else cluster.leader()
    if turn % 4:
        node.kill()
    else:
        node.signal(signal.SIGTERM)
        node.wait()
    cluster.start(node.name)


def measured(node: Node) -> dict[str, float]:
    """Memory, disk and descriptors of a node; nothing if it ends right now."""
    try:
        sizes = [path.stat().st_size for path in node.data.rglob("*") if path.is_file()]
        files = [path for path in (node.data / "log").iterdir() if path.suffix == ".wal"]
        return {
            f"{node.name}_rss_mib": node.resident_mib(),
            f"{node.name}_disk_mib": sum(sizes) / (1 << 20),
            f"{node.name}_segments": len(files),
            f"{node.name}_fds": node.open_files(),
        }
    except (OSError, AssertionError):
        return {}


def draw(values: list[float], width: int = 60) -> str:
    """A line of bars, from the least to the greatest value."""
    shown = [values[at * len(values) // width] for at in range(min(width, len(values)))]
    least, most = min(shown), max(shown)
    return "".join(BARS[int((value - least) / ((most - least) or 1) * (len(BARS) - 1))] for value in shown)


def report(run: Run) -> None:
    """Each series drawn, with the means of its first quarter (after warming up) and its last."""
    names = sorted({name for row in run.samples for name in row} - {"seconds"})
    print(f"{'':18} {'first':>9} {'last':>9} {'most':>9}")
    for name in names:
        values = [row[name] for row in run.samples if name in row]
        quarter = max(1, len(values) // 4)
        first, last = values[:quarter], values[-quarter:]
        means = sum(first) / len(first), sum(last) / len(last)
        print(f"{name:18} {means[0]:9.1f} {means[1]:9.1f} {max(values):9.1f}  {draw(values)}")
    print(dict(sorted(run.counts.items())))


async def soak(run: Run, every_s: float) -> None:
    """Everything at once until the time is up."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(run.register(session))
        group.create_task(run.use_keys(session))
        group.create_task(run.sample())
        group.create_task(run.disturb(every_s))
        for number in range(WAITING_CLIENTS):
            group.create_task(run.wait_for_changes(session, number))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--rate", type=float, default=100.0, help="registrations per second (100)")
    parser.add_argument("--disturb-every", type=float, default=30.0, help="seconds between kills (30)")
    parser.add_argument("--snapshot-entries", default="2000", help="setting of the nodes (2000)")
    parser.add_argument("--csv", type=Path, help="a file for the samples")
    parser.add_argument("--data", type=Path, help="where the nodes keep their data; a temporary directory")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=options.data) as folder,
        Cluster(Path(folder), snapshot_entries=options.snapshot_entries) as cluster,
    ):
        cluster.start()
        run = Run(cluster, time.monotonic() + options.minutes * 60, options.rate)
        asyncio.run(soak(run, options.disturb_every))
        report(run)
        if options.csv:
            write_csv(options.csv, run)
        index = cluster.leader().put("/v1/kv/soak/last", b"1").headers["x-consul-index"]
        path = f"/v1/kv/soak/last?stale&min-index={index}"
        held = [node.get(path).status for node in cluster.running()]
        same = wait_until("equal digests", lambda: equal_digests(cluster))
        print(f"the last write is on {held.count(200)} of {len(held)} nodes, digests equal: {same}")
    return 0 if held == [200] * len(held) else 1


def write_csv(path: Path, run: Run) -> None:
    """All samples, a row each."""
    names = ["seconds", *sorted({name for row in run.samples for name in row} - {"seconds"})]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows({name: round(value, 3) for name, value in row.items()} for row in run.samples)


if __name__ == "__main__":
    sys.exit(main())
