"""Constant load on a cluster whose members come and go, judged as in `witness`, and by stricter clients.

A write is begun every few milliseconds, at one member after the other, whether those before it were answered or not;
reads go on in all modes. A client goes to another member only if its own was killed: then its connection is refused, or
breaks. Every other error is a violation.
"""

import asyncio
import base64
import itertools
import statistics
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.e2e.cluster import Cluster, Node, wait_until
from tests.e2e.witness import STOPPED, Witness

WRITE_EVERY_S = 0.005
READ_EVERY_S = 0.01
REGISTERS = 8
ALL_MODES = ("", "consistent", "stale")
PATIENCE_S = 90.0  # more than what nodes have for an answer in the scenes
AGAIN_S = 0.005
EXCUSED_S = 5.0  # for so long after the end of a node a client may find that a connection to it is gone


@dataclass(frozen=True, slots=True)
class Write:
    """One that was acknowledged: when it was begun, and how long it took."""

    began: float
    took_s: float


@dataclass(slots=True)
class Traffic(Witness):
    """Writers and readers. `ports`: of the members of now; `ended`: of those whose process was ended, with when."""

    ended: dict[int, float] = field(default_factory=dict)
    writes: list[Write] = field(default_factory=list)
    _busy: set[int] = field(default_factory=set)
    _under_way: Counter[int] = field(default_factory=Counter)  # by port
    _hands: threading.Lock = field(default_factory=threading.Lock)  # held to change or to choose from `ports`

    # What is done to members, told by whoever does it.

    def comes(self, node: Node) -> None:
        """A member takes requests from now on."""
        assert not self.stopping, STOPPED
        with self._hands:
            self.ports.append(node.http)

    def leaves(self, port: int) -> None:
        """No request goes to a member any more, and those that did were answered: it is about to be taken out."""
        assert not self.stopping, STOPPED
        with self._hands:
            self.ports.remove(port)
        wait_until(f"{port} has answered", lambda: not self._under_way[port], PATIENCE_S)

    def ends(self, node: Node) -> None:
        """A member is about to be killed; clients do not know."""
        self.ended[node.http] = float("inf")

    def returns(self, node: Node) -> None:
        """It runs again."""
        self.ended[node.http] = time.monotonic()

    def _is_excused(self, port: int, began: float) -> bool:
        return self.ended.get(port, float("-inf")) >= began - EXCUSED_S or port not in self.ports

    @contextmanager
    def _asking(self, turn: int) -> Iterator[int]:
        """Choose a member to ask; one that `leaves` waits for the answer, or is not chosen any more."""
        with self._hands:
            port = self.ports[turn % len(self.ports)]
            self._under_way[port] += 1
        try:
            yield port
        finally:
            self._under_way[port] -= 1

    # Load.

    async def watch(self, work: Callable[[], None]) -> None:
        """Run `work` in a thread, with writers and readers around it."""
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
            for number in range(REGISTERS):
                await self._write(session, number, f"{self.registers}{number}", 1)
            running = [asyncio.ensure_future(self._write_on(session))]
            running += [asyncio.ensure_future(self._read_modes(session, mode)) for mode in ALL_MODES]
            try:
                await asyncio.to_thread(work)
            finally:
                self.stopping = True
                ended = await asyncio.gather(*running, return_exceptions=True)
        for error in ended:
            if error is not None:
                raise error

    async def _write_on(self, session: aiohttp.ClientSession) -> None:
        tasks: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        for number in itertools.count():
            if self.stopping:
                break
            task = asyncio.create_task(self._write_one(session, number))
            tasks.add(task)
            task.add_done_callback(self._end)
            task.add_done_callback(tasks.discard)
            due = max(
                due + WRITE_EVERY_S, time.monotonic() - 0.1
            )  # What was missed by far is not made up for.
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.violations.append(f"a write: {type(error).__name__} {error}")

    async def _write_one(self, session: aiohttp.ClientSession, number: int) -> None:
        """A register one further, or, if the write before is not answered or by turns, a key of its own."""
        register = number // 2 % REGISTERS
        began = time.monotonic()
        if number % 2 or register in self._busy:
            await self._write(session, number, f"{self.steps}{number:07}?cas=0", number)
        else:
            self._busy.add(register)
            try:
                key = f"{self.registers}{register}"
                await self._write(session, number, key, self.acknowledged[key] + 1)
            finally:
                self._busy.discard(register)
        self.writes.append(Write(began, time.monotonic() - began))

    async def _write(self, session: aiohttp.ClientSession, number: int, target: str, value: int) -> None:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        began = time.monotonic()
        for turn in itertools.count(number):
            sent = time.monotonic()
            with self._asking(turn) as port:
                try:
                    url = f"http://127.0.0.1:{port}/v1/kv/{target}"
                    answer = await session.put(url, data=str(value), headers=headers)
                    text = await answer.text()
                    if answer.status == 200:
                        self._wrote(target, value, text, answer.headers)
                        return
                    self._error(f"write at {port}: {answer.status} {text.strip()}", began)
                    return
                except (aiohttp.ClientError, TimeoutError) as error:
                    self.failures[f"write {type(error).__name__}"] += 1
                    if isinstance(error, TimeoutError) or not self._is_excused(port, sent):
                        self._error(f"write at {port}: {type(error).__name__} {error}", began)
                        return
            await asyncio.sleep(AGAIN_S)

    def _error(self, text: str, began: float) -> None:
        self.violations.append(f"{text}, after {time.monotonic() - began:.2f} s")

    async def _read_modes(self, session: aiohttp.ClientSession, mode: str) -> None:
        """One member after the other; each member's index never steps back while it lives."""
        indexes: defaultdict[int, int] = defaultdict(int)
        for turn in itertools.count():
            if self.stopping:
                return
            floors = {} if mode == "stale" else dict(self.floors)
            began = time.monotonic()
            with self._asking(turn) as port:
                try:
                    url = f"http://127.0.0.1:{port}/v1/kv/{self.registers}?recurse&{mode}"
                    answer = await session.get(url)
                    if answer.status in (200, 404):
                        rows = await answer.json() if answer.status == 200 else []
                        index = 0 if mode == "stale" else indexes[port]
                        self._shown(f"{port} {mode or 'default'}", floors, index, rows, answer.headers)
                        indexes[port] = max(indexes[port], int(answer.headers["X-Consul-Index"]))
                        self.reads[port, mode] += 1
                    else:
                        text = (await answer.text()).strip()
                        self._error(f"{mode or 'default'} read at {port}: {answer.status} {text}", began)
                except (aiohttp.ClientError, TimeoutError) as error:
                    self.failures[f"read {type(error).__name__}"] += 1
                    if isinstance(error, TimeoutError) or not self._is_excused(port, began):
                        self._error(f"{mode} read at {port}: {type(error).__name__} {error}", began)
            await asyncio.sleep(READ_EVERY_S)

    def _shown(self, who: str, floors: dict[str, int], index: int, rows: Any, headers: Any) -> None:
        if not floors:  # A stale read may show what was before, but nothing that raises no floor.
            for row in rows:
                self._raise_floor(row["Key"], int(base64.b64decode(row["Value"])))
            return
        self._read(who, floors, index, rows, headers)

    # Afterwards.

    def p99_s(self, since: float, until: float) -> float:
        """The 99th percentile of how long writes took that were begun between two moments; 0 without any."""
        inside = [write.took_s for write in self.writes if since <= write.began <= until]
        return statistics.quantiles(inside, n=100)[98] if len(inside) > 1 else 0.0


def judged(cluster: Cluster, work: Callable[[Traffic], None]) -> Traffic:
    """Do something to a cluster under load; nothing is lost, nothing stale is shown, and no client sees an error."""
    traffic = Traffic([node.http for node in cluster.running()])
    asyncio.run(traffic.watch(lambda: work(traffic)))
    traffic.check(cluster)
    return traffic
