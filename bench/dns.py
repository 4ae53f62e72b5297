"""Questions per second: answered by the pure part alone, and by a node over UDP to as many clients as are given.

    python -m bench.dns                        # A and SRV, with 3 and 50 instances
    python -m bench.dns --seconds 5 --clients 8

The node and its clients share the machine, so the rate over UDP is what both reach together.
"""

import argparse
import json
import multiprocessing
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.stopping import stoppable
from raftreg.clock import SystemClock
from raftreg.commands import Register, Request
from raftreg.dns import Answerer, ZoneSettings
from raftreg.model import Check, Node, Service
from raftreg.state import Found, Query, State
from tests.dns.messages import make_query
from tests.e2e.cluster import Cluster, free_ports

EDNS_SIZE = 4096  # with it all instances fit into the answer
COUNTS = (3, 50)
_WAIT_S = 20.0


def cases() -> Iterator[tuple[str, bytes]]:
    """What is asked, with a title for each."""
    for count in COUNTS:
        for kind in ("A", "SRV"):
            yield f"{kind}, {count} instances", make_query(f"web{count}.service.consul", kind, edns=EDNS_SIZE)
    yield "A, 50 instances, without EDNS (3 records)", make_query("web50.service.consul", "A")
    yield "NXDOMAIN", make_query("none.service.consul", "A", edns=EDNS_SIZE)


def measure_answers(seconds: float) -> Iterator[tuple[str, float]]:
    """Questions per second that one process answers in memory."""
    state = State()
    for count in COUNTS:
        for number in range(count):
            name = f"node-{count}-{number}"
            command = Register(
                name,
                Node(name, "", f"10.{count}.0.{number}"),
                Service(name, f"web{count}", f"web{count}", port=8000 + number),
                (Check(name, "c", "c", "passing", service_id=f"web{count}"),),
            )
            state.apply(Request(name.encode(), 0, command))

    def lookup(query: Query[object]) -> Found[object]:
        return query.run(state)

    answerer = Answerer(lookup, ZoneSettings(), SystemClock())  # type: ignore[arg-type]
    for title, query in cases():
        asked, began = 0, time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            for _ in range(100):
                answerer.answer(query)
            asked += 100
        yield title, asked / passed


def _ask(port: int, query: bytes, seconds: float, results: "multiprocessing.Queue[int]") -> None:
    """A client that keeps a few questions under way."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.settimeout(1.0)
        for _ in range(16):
            sock.send(query)
        answered, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            sock.recv(65535)
            sock.send(query)
            answered += 1
    results.put(answered)


def measure_udp(port: int, seconds: float, clients: int) -> Iterator[tuple[str, float]]:
    """Questions per second that a node answers over loopback."""
    for title, query in cases():
        results: multiprocessing.Queue[int] = multiprocessing.Queue()
        workers = [
            multiprocessing.Process(target=_ask, args=(port, query, seconds, results)) for _ in range(clients)
        ]
        for worker in workers:
            worker.start()
        answered = sum(results.get(timeout=seconds + _WAIT_S) for _ in workers)
        for worker in workers:
            worker.join()
        yield title, answered / seconds


@contextmanager
def node() -> Iterator[int]:
    """A node with the services; the port of its DNS."""
    (port,) = free_ports(1)
    with (
        tempfile.TemporaryDirectory() as folder,
        Cluster(Path(folder), size=1, dns=f"127.0.0.1:{port}") as cluster,
    ):
        cluster.start()
        for count in COUNTS:
            for number in range(count):
                place = {"Node": f"node-{count}-{number}", "Address": f"10.{count}.0.{number}"}
                service = {"Service": f"web{count}", "Port": 8000 + number}
                reply = cluster["n1"].put(
                    "/v1/catalog/register", json.dumps(place | {"Service": service}).encode()
                )
                assert reply.status == 200, reply.text
        yield port


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each case runs")
    parser.add_argument("--clients", type=int, default=4, help="processes that ask over UDP")
    options = parser.parse_args()
    print(f"{os.cpu_count()} CPUs, Python {sys.version.split()[0]}")
    print("in memory, per second:")
    for title, rate in measure_answers(options.seconds):
        print(f"  {title:<45}{rate:>10,.0f}")
    print(f"over UDP, {options.clients} clients, per second:")
    with node() as port:
        for title, rate in measure_udp(port, options.seconds, options.clients):
            print(f"  {title:<45}{rate:>10,.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(stoppable(main))
