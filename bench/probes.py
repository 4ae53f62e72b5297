"""Thousands of HTTP checks on one node: how late they are, what they cost, and whether black holes disturb them.

    python -m bench.probes                                 2,000 checks at 10 s, 50 of them into black holes
    python -m bench.probes --checks 5000 --seconds 120

One node on a disk probes; targets run in a process of their own. Lateness is told twice: by the node (from when a
probe was due to its start, from its own histogram), and by the targets (how much later than in step with its own
earliest probe each one comes in). How late a sleeping process wakes up meanwhile is told for comparison. A black hole
takes the connection and never answers. Exit code 1 if a check that should pass does not.
"""

import argparse
import asyncio
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.harness.machine import cpu_s
from bench.harness.stats import percentile
from bench.stopping import stoppable
from tests.e2e.cluster import Cluster, Node, wait_until

_BUCKET = re.compile(r'raftreg_check_lateness_seconds_bucket\{le="([^"]+)"\} (\S+)')
PIECE_S = 0.01
BLACK_HOLE_TIMEOUT = "10s"


ARRIVALS: defaultdict[str, list[float]] = defaultdict(list)  # by path, in the process of the targets


class Target(asyncio.Protocol):
    """Answers every request with 200, and notes when which path was asked for."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """A request comes in one piece."""
        ARRIVALS[data.split(b" ", 2)[1].decode()].append(time.monotonic())
        self.transport.write(  # type: ignore[attr-defined]
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
        )
        self.transport.close()


async def serve_targets() -> None:
    """In the process of the targets: say the port, answer until the input ends, say what came when."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Target, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()
    print(json.dumps(ARRIVALS))


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        yield listener.getsockname()[1]


def rest(seconds: float) -> list[float]:
    """Sleep in short pieces; how much too long each was, which tells what else this machine does meanwhile."""
    until = time.monotonic() + seconds
    overslept = []
    while (began := time.monotonic()) < until:
        time.sleep(PIECE_S)
        overslept.append(time.monotonic() - began - PIECE_S)
    return overslept


def register(node: Node, number: int, url: str, interval: str) -> None:
    """One service with one check."""
    check = {"HTTP": url, "Interval": interval, "Timeout": BLACK_HOLE_TIMEOUT}
    document = {"Name": f"bench-{number}", "Address": "10.0.0.9", "Port": 80, "Check": check}
    reply = node.put("/v1/agent/service/register", json.dumps(document).encode())
    assert reply.status == 200, reply.text


def buckets(node: Node) -> dict[float, float]:
    """The node's histogram of lateness: how many probes were at most so late."""
    text = node.get("/v1/agent/metrics?format=prometheus").text
    return {float(bound): float(count) for bound, count in _BUCKET.findall(text)}


def bound_of(share: float, before: dict[float, float], after: dict[float, float]) -> float:
    """The least bound of the histogram that holds this share of the probes between two readings."""
    counts = {bound: after[bound] - before[bound] for bound in after}
    return min(bound for bound, count in counts.items() if count >= share * counts[float("inf")])


def relative_lateness(arrivals: dict[str, list[float]], interval_s: float, since: float) -> list[float]:
    """Of each arrival, how many seconds later it came than in step with the earliest one of its check."""
    late: list[float] = []
    for times in arrivals.values():
        counted = [at for at in times if at >= since]
        offsets = [at - round((at - counted[0]) / interval_s) * interval_s for at in counted]
        late.extend(offset - min(offsets) for offset in offsets)
    return late


def run(options: argparse.Namespace, node: Node, target: "subprocess.Popen[str]") -> bool:
    """Register, let it settle, measure; whether all that should pass did."""
    assert target.stdout is not None
    assert node.process is not None
    pids = (node.process.pid,)
    port = int(target.stdout.readline())
    interval = f"{options.interval}s"
    with black_hole() as hole:
        idle = cpu_s(pids)
        time.sleep(options.settle)
        idle = (cpu_s(pids) - idle) / options.settle
        for number in range(options.checks):
            place = hole if number < options.black_holes else port
            register(node, number, f"http://127.0.0.1:{place}/{number}", interval)
        wanted = options.checks - options.black_holes
        wait_until(
            "all pass",
            lambda: passing(node) == wanted,
            timeout_s=6.0 * options.interval,
        )
        time.sleep(2 * options.interval)  # Each has found its place in the interval.
        before, cpu, since = buckets(node), cpu_s(pids), time.monotonic()
        overslept = rest(options.seconds)
        after, used = buckets(node), (cpu_s(pids) - cpu) / (time.monotonic() - since)
        still_passing = passing(node)
    arrivals = json.loads(target.communicate()[0])
    late = sorted(relative_lateness(arrivals, options.interval, since))
    probes = after[float("inf")] - before[float("inf")]
    print(f"{options.checks} HTTP checks every {interval}, {options.black_holes} of them into black holes")
    print(f"  passing at the end       {still_passing} of {wanted} that should")
    print(f"  probes                   {probes / options.seconds:.0f} per second")
    bounds = (bound_of(share, before, after) * 1000 for share in (0.5, 0.99, 1.0))
    print("  lateness, by the node    p50 <= {:.1f} ms, p99 <= {:.1f} ms, all <= {:.1f} ms".format(*bounds))
    p50, p99 = percentile(late, 0.5) * 1000, percentile(late, 0.99) * 1000
    print(f"  lateness, at the targets p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {late[-1] * 1000:.1f} ms")
    p50, p99 = percentile(overslept, 0.5) * 1000, percentile(overslept, 0.99) * 1000
    print(
        f"  a sleep, to compare      p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {max(overslept) * 1000:.1f} ms"
    )
    print(f"  CPU                      {used:.1%} of a core (idle {idle:.1%}), {node.resident_mib():.0f} MiB")
    return bool(still_passing == wanted)


def passing(node: Node) -> int:
    """How many checks of the agent pass."""
    return sum(check["Status"] == "passing" for check in node.get("/v1/agent/checks").json().values())


def main() -> int:
    """Measure; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--checks", type=int, default=2000)
    parser.add_argument("--black-holes", type=int, default=50)
    parser.add_argument("--interval", type=float, default=10.0, help="seconds")
    parser.add_argument("--seconds", type=float, default=60.0, help="to measure")
    parser.add_argument("--settle", type=float, default=5.0, help="seconds of rest before")
    parser.add_argument("--serve-targets", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_targets:
        asyncio.run(serve_targets())
        return 0
    command = [sys.executable, "-m", "bench.probes", "--serve-targets"]
    with (
        tempfile.TemporaryDirectory(prefix="raftreg-probes-") as folder,
        Cluster(Path(folder), size=1) as cluster,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as target,
    ):
        cluster.start()
        return 0 if run(options, cluster["n1"], target) else 1


if __name__ == "__main__":
    sys.exit(stoppable(main))
