"""More than a node can take: connections, clients that are slow, writers that do not wait."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import aiohttp
import pytest

from tests.e2e.cluster import Cluster, Node, wait_until
from tests.e2e.witness import Witness, acks_again, witnessed

OPEN_FILES_MAX = 128
IDLE = 400
VALUE = bytes(100 << 10)
WRITERS = 1000
FLOOD_S = 4.0


@contextmanager
def connections(port: int, count: int, first_bytes: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections that say so much and nothing more, as far as the other side takes them."""
    with ExitStack() as stack:
        held = []
        for _ in range(count):
            connection = stack.enter_context(socket.socket())
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", port))
            held.append(connection)
        if first_bytes:
            for connection in held:
                wait_until("the connection takes bytes", lambda c=connection: sent(c, first_bytes))  # type: ignore[misc]
        yield held


def sent(connection: socket.socket, data: bytes) -> bool:
    """Whether the kernel took the bytes, or the connection is gone."""
    try:
        return connection.send(data) == len(data)
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_a_node_without_file_descriptors_costs_nobody_a_write(stopped_cluster: Cluster) -> None:
    """Connections beyond the limit wait or are closed; the others go on, and the node too once they are gone."""
    for node in stopped_cluster.nodes.values():
        node.open_files_max = OPEN_FILES_MAX
    stopped_cluster.start()

    def flood(witness: Witness) -> None:
        node = stopped_cluster.leader()
        with connections(node.http, OPEN_FILES_MAX + 20), connections(node.raft, OPEN_FILES_MAX + 20):
            wait_until("they hold what there is", lambda: node.open_files() >= OPEN_FILES_MAX - 1)
            acks_again(witness)
            acks_again(witness)
        wait_until("the node answers again", node.is_ready)

    assert [] == witnessed(stopped_cluster, flood).violations


def attempts(work: Callable[[], bool], what: str, times: int = 3) -> None:
    """Do it until it succeeds: on a machine that is busy a leader may be lost for other reasons, now and then."""
    for _ in range(times):
        if work():
            return
    raise AssertionError(f"{what}, {times} times out of {times}")


def test_idle_connections_and_slow_clients_hold_nobody_up(cluster: Cluster) -> None:
    """Hundreds of connections that say nothing, or half a request, cost neither leadership nor much memory."""

    def flood(witness: Witness) -> bool:
        node = cluster.leader()
        term, memory = node.status()["Term"], node.resident_mib()
        half = b"PUT /v1/kv/slow HTTP/1.1\r\nHost: r\r\nContent-Length: 500000\r\n\r\n" + bytes(1000)
        with (
            connections(node.http, IDLE),
            connections(node.http, IDLE, half),
            connections(node.raft, IDLE),
            connections(node.raft, IDLE, b"\0\0\0"),
        ):
            for _ in range(50):
                acks_again(witness)
            wait_until("the node is ready", node.is_ready)
            kept = bool(term == node.status()["Term"])
            assert node.resident_mib() - memory < 100
        wait_until("the node lets them go", lambda: node.open_files() < IDLE // 2)
        return kept

    def floods(witness: Witness) -> None:
        attempts(lambda: flood(witness), "leadership was lost")

    assert [] == witnessed(cluster, floods).violations


async def write_without_end(
    session: aiohttp.ClientSession, node: Node, until: float, seen: Counter[str]
) -> None:
    """Write large values, at once again whatever the answer is."""
    while time.monotonic() < until:
        try:
            async with session.put(f"http://127.0.0.1:{node.http}/v1/kv/flood", data=VALUE) as answer:
                await answer.read()
                seen[str(answer.status)] += 1
                if answer.status == 503:
                    seen["with Retry-After"] += "Retry-After" in answer.headers
        except aiohttp.ClientError as error:
            seen[type(error).__name__] += 1


@pytest.mark.parametrize("quorum", [True, False])
def test_writers_far_above_capacity_are_told_to_come_back(
    stopped_cluster: Cluster, quorum: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is too much is refused with 503 and Retry-After, and the memory of the nodes stays bounded."""
    for node in stopped_cluster.nodes.values():
        node.arguments += ["--write-timeout", "2s", "--snapshot-entries", "1000"]
    stopped_cluster.start()
    node = stopped_cluster.leader()
    if not quorum:
        for other in stopped_cluster.followers():
            other.kill()
    seen: Counter[str] = Counter()
    peaks = dict.fromkeys((running.name for running in stopped_cluster.running()), 0.0)

    async def watch() -> None:
        while True:
            for running in stopped_cluster.running():
                peaks[running.name] = max(peaks[running.name], running.resident_mib())
            await asyncio.sleep(0.05)

    async def flood() -> None:
        until = time.monotonic() + FLOOD_S
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            watching = asyncio.ensure_future(watch())
            await asyncio.gather(*(write_without_end(session, node, until, seen) for _ in range(WRITERS)))
            watching.cancel()

    asyncio.run(flood())
    shown = {name: round(peak) for name, peak in peaks.items()}
    with capsys.disabled():
        print(f"\n{WRITERS} writers of 100 KiB: {dict(seen)}, peak RSS in MiB {shown}", end=" ")
    assert 0 < seen["503"] == seen["with Retry-After"]
    assert max(peaks.values()) < 1000
    if quorum:
        wait_until("the node is ready", node.is_ready)
