"""Registers whose values only grow, written and read at every node while things go wrong.

One writer per node counts its register up and leaves a key for each step; readers at every node, default and
consistent, compare what they are shown with what was acknowledged, or shown to anybody, before they asked.
"""

import asyncio
import base64
import itertools
import threading
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp

from tests.e2e.cluster import Cluster, Node, wait_until

MODES = ("", "consistent")
REQUEST_TIMEOUT_S = 1.5  # a paused node answers nothing; then the client asks another one
GIVE_UP_S = 60.0
PAUSE_S = 0.01
STOPPED = "the readers and writers were stopped"  # by Ctrl-C; then whoever works amid them has to end as well


@dataclass(slots=True)
class Witness:
    """What writers and readers saw."""

    ports: list[int]
    name: str = field(
        default_factory=lambda: uuid.uuid4().hex
    )  # keeps apart what several wrote into one cluster
    acknowledged: dict[str, int] = field(default_factory=dict)  # key -> value
    floors: dict[str, int] = field(default_factory=dict)  # register -> greatest value acknowledged or shown
    acks_at: list[float] = field(default_factory=list)  # time.monotonic()
    violations: list[str] = field(default_factory=list)
    reads: Counter[tuple[int, str]] = field(default_factory=Counter)  # answered ones, by port and mode
    failures: Counter[str] = field(default_factory=Counter)  # answers and breaks that are allowed
    index: int = 0  # greatest X-Consul-Index of an acknowledged write
    stopping: bool = False

    @property
    def registers(self) -> str:
        """The prefix of the registers."""
        return f"{self.name}/register/"

    @property
    def steps(self) -> str:
        """The prefix of the keys that are written once."""
        return f"{self.name}/step/"

    def longest_gap_s(self, since: float, until: float) -> float:
        """The longest time without an acknowledged write between two moments."""
        inside = [since, *sorted(moment for moment in self.acks_at if since <= moment <= until), until]
        return max(after - before for before, after in itertools.pairwise(inside))

    async def watch(self, work: Callable[[], None]) -> None:
        """Run `work` in a thread, with writers and readers around it."""
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
            for number in range(len(self.ports)):
                await self._write(session, number, f"{self.registers}{number}", 1)
            clients: list[Awaitable[None]] = [self._count_up(session, n) for n in range(len(self.ports))]
            clients += [self._read_on(session, port, mode) for port in self.ports for mode in MODES]
            running = [asyncio.ensure_future(client) for client in clients]
            try:
                await asyncio.to_thread(work)
            finally:
                self.stopping = True
                ended = await asyncio.gather(*running, return_exceptions=True)
        for error in ended:
            if error is not None:
                raise error

    # Writers.

    async def _count_up(self, session: aiohttp.ClientSession, number: int) -> None:
        for value in itertools.count(2):
            if self.stopping:
                return
            await self._write(session, number, f"{self.registers}{number}", value)
            await self._write(session, number, f"{self.steps}{number}/{value:07}?cas=0", value)
            await asyncio.sleep(0.001)

    async def _write(self, session: aiohttp.ClientSession, number: int, target: str, value: int) -> None:
        """Write once, however often it has to be sent, to node after node."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        give_up = time.monotonic() + GIVE_UP_S
        for turn in itertools.count(number):
            url = f"http://127.0.0.1:{self.ports[turn % len(self.ports)]}/v1/kv/{target}"
            try:
                async with session.put(url, data=str(value), headers=headers) as answer:
                    text = await answer.text()
                    if answer.status == 200:
                        self._wrote(target, value, text, answer.headers)
                        return
                    self.failures[f"write {answer.status}"] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                self.failures[f"write {type(error).__name__}"] += 1
            if time.monotonic() > give_up:
                self.violations.append(f"{target}: nobody took it within {GIVE_UP_S:g} s")
                return
            await asyncio.sleep(PAUSE_S)

    def _wrote(self, target: str, value: int, text: str, headers: Any) -> None:
        key = target.partition("?")[0]
        self.acks_at.append(time.monotonic())
        if text.strip() != "true":
            self.violations.append(f"{key} = {value}: answered {text.strip()}, so it was applied before")
        self.acknowledged[key] = value
        self.index = max(self.index, int(headers.get("X-Consul-Index", "0")))
        self._raise_floor(key, value)

    def _raise_floor(self, key: str, value: int) -> None:
        if key.startswith(self.registers):
            self.floors[key] = max(value, self.floors.get(key, 0))

    # Readers.

    async def _read_on(self, session: aiohttp.ClientSession, port: int, mode: str) -> None:
        index = 0
        url = f"http://127.0.0.1:{port}/v1/kv/{self.registers}?recurse&{mode}"
        while not self.stopping:
            floors = dict(self.floors)
            try:
                async with session.get(url) as answer:
                    if answer.status in (200, 404):
                        rows = await answer.json() if answer.status == 200 else []
                        self._read(f"{port} {mode or 'default'}", floors, index, rows, answer.headers)
                        index = max(index, int(answer.headers["X-Consul-Index"]))
                        self.reads[port, mode] += 1
                    else:
                        self.failures[f"read {answer.status}"] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                self.failures[f"read {type(error).__name__}"] += 1
                await asyncio.sleep(PAUSE_S)
            await asyncio.sleep(0.002)

    def _read(self, who: str, floors: dict[str, int], index: int, rows: Any, headers: Any) -> None:
        shown = {row["Key"]: int(base64.b64decode(row["Value"])) for row in rows}
        for key, floor in floors.items():
            if shown.get(key, 0) < floor:
                self.violations.append(f"{who}: {key} is {shown.get(key)}, but {floor} was there before")
        if int(headers["X-Consul-Index"]) < index:
            self.violations.append(f"{who}: index {headers['X-Consul-Index']} after {index}")
        for key, value in shown.items():
            self._raise_floor(key, value)

    # Afterwards.

    def check(self, cluster: Cluster) -> None:
        """AssertionError unless no reader saw anything stale and every running node holds what was acknowledged."""
        assert [] == self.violations[:5], (
            f"{len(self.violations)} violations, the first: {self.violations[:5]}"
        )
        for node in cluster.running():
            lost = self.lost_on(node)
            assert {} == lost, f"{node.name} lost {len(lost)} of {len(self.acknowledged)}"
        wait_until("equal digests", lambda: equal_digests(cluster))

    def lost_on(self, node: Node) -> dict[str, int | None]:
        """What was acknowledged and is not there, with what the node holds instead."""
        found: dict[str, int] = {}
        for prefix in (self.registers, self.steps):
            reply = node.get(f"/v1/kv/{prefix}?recurse&stale&min-index={self.index}")
            rows = reply.json() if reply.status == 200 else []
            found |= {row["Key"]: int(base64.b64decode(row["Value"])) for row in rows}
        # A register may be ahead by the one write whose answer was lost.
        return {
            key: found.get(key)
            for key, value in self.acknowledged.items()
            if found.get(key, 0) < value or (key.startswith(self.steps) and found[key] > value)
        }


def equal_digests(cluster: Cluster) -> bool:
    """Whether all running nodes have applied the same number of commands and hold the same bytes."""
    states = {
        (status["StateIndex"], status["StateDigest"])
        for status in (node.status("?digest") for node in cluster.running())
    }
    return len(states) == 1


def witnessed(cluster: Cluster, work: Callable[[Witness], None]) -> Witness:
    """Do something to a cluster amid readers and writers; then nothing is lost and nothing stale was shown."""
    witness = Witness([node.http for node in cluster.nodes.values()])
    asyncio.run(witness.watch(lambda: work(witness)))
    witness.check(cluster)
    return witness


def acks_again(witness: Witness, timeout_s: float = 30.0) -> None:
    """Wait until a write was acknowledged that was not before."""
    known = len(witness.acks_at)
    waiter = threading.Event()
    deadline = time.monotonic() + timeout_s
    while len(witness.acks_at) == known:
        assert not witness.stopping, STOPPED
        assert time.monotonic() < deadline, f"no write was acknowledged for {timeout_s:g} s"
        waiter.wait(0.005)


def reads_again(witness: Witness, nodes: list[Node], timeout_s: float = 30.0) -> None:
    """Wait until each of these nodes has answered a read of each mode that was begun from now on."""
    known = witness.reads.copy()
    for port, mode in ((node.http, mode) for node in nodes for mode in MODES):
        # Two, as the one whose answer is on its way may have been begun before.
        wait_until(
            f"{mode or 'default'} reads at {port}",
            partial(_has_read, witness, port, mode, known[port, mode] + 2),
            timeout_s,
        )


def _has_read(witness: Witness, port: int, mode: str, count: int) -> bool:
    assert not witness.stopping, STOPPED
    return witness.reads[port, mode] >= count
