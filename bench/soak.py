"""A long run under churn, with samples of memory, disk, file descriptors and latency: are the lines flat?

    python -m bench.soak --plot soak.png               an hour
    python -m bench.soak --minutes 5 --csv soak.csv    the samples go to a file too
    python -m bench.soak --judge soak.csv              is what was measured before flat?

Services with TTL checks come and go at a steady rate; keys are written and read; sessions take a lock, renew, and give
it back, are destroyed, or are left to expire; clients wait in blocking queries and go away; snapshots are frequent; and
a node is killed or stopped every so often, the leader every second time. At the end each series is drawn. Exit code 1
if the last write is not on every node, the nodes differ, a node ended by itself or with a wrong exit code, nobody
answered a request, too many answers were 5xx, or memory, disk, descriptors or latency are not flat (`bench/series.py`);
what there are too few samples of is named, and not judged. A picture needs matplotlib: `pip install .[bench]`.
"""

import argparse
import asyncio
import itertools
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from bench import series
from bench.harness.stats import percentile
from bench.stopping import stoppable
from tests.e2e.cluster import Cluster, Node, wait_until
from tests.e2e.witness import equal_digests

LIVE_SERVICES = 500
KEYS = 500
REGISTRARS = 10  # divides LIVE_SERVICES: who registered a service takes it away
LOCKERS = 10
SESSION_TTL = "10s"  # the least there is; the deadline is twice that
WAITING_CLIENTS = 30
SAMPLE_S = 2.0
TIMEOUT_S = 5.0


@dataclass(slots=True)
class Run:
    """One run: what is asked of the nodes, and what was seen."""

    cluster: Cluster
    until: float
    rate: float  # registrations per second
    value_bytes: int  # of keys, at most
    latencies: list[float] = field(default_factory=list)  # seconds, since the last sample
    counts: Counter[str] = field(default_factory=Counter)
    since: Counter[str] = field(default_factory=Counter)  # answers and errors since the last sample
    wrong: list[str] = field(default_factory=list)  # what nodes did that they should not
    samples: list[series.Row] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)  # seconds since the start, what was done
    began: float = field(default_factory=time.monotonic)

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self.until

    def count(self, what: str, status: int) -> None:
        """An answer."""
        self.counts[f"{what} {status}"] += 1
        self.since["answers"] += 1
        self.since["errors"] += status >= 500

    async def request(
        self, session: aiohttp.ClientSession, number: int, method: str, path: str, body: bytes | None = None
    ) -> bytes:
        """One request to some node, and to the next if that one is gone; the body of a good answer, else nothing."""
        nodes = list(self.cluster.nodes.values())
        began = time.perf_counter()
        for turn in range(len(nodes)):
            url = f"http://127.0.0.1:{nodes[(number + turn) % len(nodes)].http}{path}"
            try:
                async with session.request(method, url, data=body) as answer:
                    answered = await answer.read()
                    self.count(method, answer.status)
                    self.latencies.append(time.perf_counter() - began)
                    return answered if answer.status == 200 else b""
            except (aiohttp.ClientError, TimeoutError) as error:
                self.counts[type(error).__name__] += 1
        self.counts["nobody answered"] += 1
        return b""

    async def register(self, session: aiohttp.ClientSession, registrar: int) -> None:
        """Services come, and the oldest go, at a steady rate; one of several that share the numbers."""
        began = time.monotonic()
        for number in itertools.count(registrar, REGISTRARS):
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
            if gone >= 0 and gone % 9:  # Some are left to their TTL.
                await self.request(session, number, "PUT", f"/v1/agent/service/deregister/s-{gone}")

    async def use_keys(self, session: aiohttp.ClientSession) -> None:
        """Keys are written, read and deleted."""
        for number in itertools.count():
            if self.is_over:
                return
            key = f"/v1/kv/soak/{number * 7919 % KEYS}"
            await self.request(session, number, "PUT", key, b"x" * (number * 37 % self.value_bytes))
            await self.request(session, number, "GET", key)
            if number % 50 == 0:
                await self.request(session, number, "DELETE", key)
            await asyncio.sleep(0.02)

    async def hold_locks(self, session: aiohttp.ClientSession, locker: int) -> None:
        """Sessions come, take the lock of a key, renew, and go: given back, destroyed, or left to expire."""
        for number in itertools.count(locker):
            if self.is_over:
                return
            wish = json.dumps({"Name": f"locker-{locker}", "TTL": SESSION_TTL, "LockDelay": "0s"}).encode()
            created = await self.request(session, number, "PUT", "/v1/session/create", wish)
            if not created:
                await asyncio.sleep(0.5)
                continue
            held = json.loads(created)["ID"]
            lock = f"/v1/kv/soak/lock/{locker}"
            took = await self.request(session, number, "PUT", f"{lock}?acquire={held}", b"mine")
            self.counts["locks taken" if took.strip() == b"true" else "locks not taken"] += 1
            for turn in range(3):
                await asyncio.sleep(0.3)
                await self.request(session, number + turn, "PUT", f"/v1/session/renew/{held}")
            if number % 3 == 0:
                await self.request(session, number, "PUT", f"{lock}?release={held}", b"free")
            if number % 9:
                await self.request(session, number, "PUT", f"/v1/session/destroy/{held}")

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
                    self.count("blocking", answer.status)
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(0.1)

    async def sample(self) -> None:
        """Measure every node every so often."""
        while not self.is_over:
            await asyncio.sleep(SAMPLE_S)
            latencies, self.latencies = self.latencies, []
            since, self.since = self.since, Counter()
            row = {"seconds": time.monotonic() - self.began, "requests_per_s": len(latencies) / SAMPLE_S}
            row |= {f"{what}_per_s": since[what] / SAMPLE_S for what in ("answers", "errors")}
            if latencies:
                shares = {"p50_ms": 0.5, "p99_ms": 0.99}
                row |= {name: percentile(latencies, share) * 1000 for name, share in shares.items()}
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
            what = "kill" if turn % 4 else "stop"
            self.events.append((time.monotonic() - self.began, what))
            try:
                await asyncio.to_thread(disturb_one, self.cluster, turn, self.wrong)
            except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
                self.wrong.append(f"{what}: {type(error).__name__} {error}")
            self.counts[what] += 1


def disturb_one(cluster: Cluster, turn: int, wrong: list[str]) -> None:
    """One kill; each fourth time a clean stop. It is the leader's turn every second time.

    `wrong` gets what nodes did that they should not; one that ended by itself is started again.
    """
    wrong += ended(cluster)
    gone = [node.name for node in cluster.nodes.values() if node.process is None]
    if gone:
        cluster.start(*gone)
    node = cluster.followers()[0] if turn % 2 else cluster.leader()
    number, expected = (signal.SIGKILL, -signal.SIGKILL) if turn % 4 else (signal.SIGTERM, 0)
    node.signal(number)
    code = node.wait()
    if code != expected:
        wrong.append(f"{node.name} ended with {code} on {number.name}, not with {expected}")
    cluster.start(node.name)


def ended(cluster: Cluster) -> list[str]:
    """Nodes that ended by themselves since they were started, a line each."""
    return [
        f"{node.name} ended by itself with {node.wait()}"
        for node in cluster.running()
        if node.process is not None and node.process.poll() is not None
    ]


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


async def soak(run: Run, every_s: float) -> None:
    """Everything at once until the time is up."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session,
        asyncio.TaskGroup() as group,
    ):
        for number in range(REGISTRARS):
            group.create_task(run.register(session, number))
        group.create_task(run.use_keys(session))
        group.create_task(run.sample())
        group.create_task(run.disturb(every_s))
        for number in range(LOCKERS):
            group.create_task(run.hold_locks(session, number))
        for number in range(WAITING_CLIENTS):
            group.create_task(run.wait_for_changes(session, number))


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--rate", type=float, default=100.0, help="registrations per second (100)")
    parser.add_argument("--value-bytes", type=int, default=2000, help="greatest value of a key (2000)")
    parser.add_argument("--disturb-every", type=float, default=30.0, help="seconds between kills (30)")
    parser.add_argument("--snapshot-entries", default="2000", help="setting of the nodes (2000)")
    parser.add_argument("--csv", type=Path, help="a file for the samples")
    parser.add_argument("--judge", type=Path, metavar="CSV", help="judge the samples of such a file, and end")
    parser.add_argument("--plot", type=Path, help="a file for a picture, .png or .svg")
    parser.add_argument("--data", type=Path, help="where the nodes keep their data; a temporary directory")
    options = parser.parse_args(arguments)
    if options.plot and not series.can_plot():
        parser.error("--plot needs matplotlib: pip install .[bench]")
    if options.judge and not options.judge.is_file():
        parser.error(f"--judge: {options.judge} is no file")
    return options


def judge(run: Run) -> list[str]:
    """What is wrong at the end, a line each."""
    wrong = run.wrong + ended(run.cluster)
    try:
        wrong += compared(run.cluster)
    except (AssertionError, OSError) as error:
        wrong.append(f"{type(error).__name__} {error}")
    if run.counts["nobody answered"]:
        wrong.append(f"{run.counts['nobody answered']} requests were answered by nobody")
    return wrong + series.grown(run.samples)


def compared(cluster: Cluster) -> list[str]:
    """What the nodes hold: whether the last write is on each, and all is the same."""
    index = cluster.leader().put("/v1/kv/soak/last", b"1").headers["x-consul-index"]
    path = f"/v1/kv/soak/last?stale&min-index={index}"
    held = [node.name for node in cluster.running() if node.get(path).status == 200]
    wrong = [] if len(held) == len(cluster.nodes) else [f"the last write is only on {held}"]
    try:
        wait_until("equal digests", lambda: equal_digests(cluster))
    except AssertionError as error:
        wrong.append(f"the nodes differ: {error}")
    return wrong


def measure(options: argparse.Namespace) -> int:
    """A run; the exit code."""
    with (
        tempfile.TemporaryDirectory(dir=options.data) as folder,
        Cluster(Path(folder), snapshot_entries=options.snapshot_entries) as cluster,
    ):
        cluster.start()
        run = Run(cluster, time.monotonic() + options.minutes * 60, options.rate, options.value_bytes)
        asyncio.run(soak(run, options.disturb_every))
        series.show(run.samples)
        print(dict(sorted(run.counts.items())))
        if options.csv:
            series.write_csv(options.csv, run.samples)
        if options.plot:
            title = f"{options.minutes:g} minutes, {options.rate:g} registrations/s, {len(run.events)} disturbances"
            series.plot(options.plot, run.samples, run.events, title)
        wrong = judge(run)
    print(series.verdict(wrong, run.samples, "the last write is on every node, the nodes are equal"))
    return 1 if wrong else 0


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 if something is wrong at the end."""
    options = options_of(arguments)
    if not options.judge:
        return measure(options)
    rows = series.read_csv(options.judge)
    series.show(rows)
    wrong = series.grown(rows)
    print(series.verdict(wrong, rows))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(stoppable(main))
