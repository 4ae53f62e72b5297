"""Writers that keep a record of what was acknowledged, for comparison with what the nodes hold afterwards."""

import asyncio
import itertools
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

# A client whose node died asks the next one; a node that lives must answer by itself.
GIVE_UP_S = 60.0
PAUSE_S = 0.01


@dataclass(slots=True)
class Record:
    """What the writers saw."""

    acknowledged: dict[str, int] = field(
        default_factory=dict
    )  # key -> value of the newest acknowledged write
    acks_at: list[float] = field(default_factory=list)  # time.monotonic() of each acknowledgement
    errors: list[str] = field(default_factory=list)  # answers that were no acknowledgement
    index: int = 0  # greatest X-Consul-Index of an acknowledged write
    resent: int = 0  # requests sent again because the connection broke

    def longest_gap_s(self) -> float:
        """The longest time in which no write was acknowledged."""
        moments = sorted(self.acks_at)
        return max((after - before for before, after in itertools.pairwise(moments)), default=0.0)


class Writer:
    """One client: writes to its node, one write after the other, and to the next node if its connection breaks.

    Each round creates a key that must not exist and counts a counter up by compare-and-set. Either is refused if it was
    applied before, so a write that was done twice cannot go unnoticed.
    """

    def __init__(self, number: int, ports: list[int], record: Record) -> None:
        self._number = number
        self._ports = ports
        self._record = record
        self._node = number % len(ports)
        self._counter_index = 0

    async def run(self, until: float, is_over: Callable[[], bool] = lambda: False) -> None:
        """Write until time.monotonic() reaches `until`, or it is over, then finish what was begun."""
        # One connection per writer, as a real client has.
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
            for sequence in itertools.count(1):
                if time.monotonic() >= until or is_over():
                    return
                await self._put(session, f"log/{self._number:02}/{sequence:06}", sequence, cas=0)
                counter = f"counter/{self._number:02}"
                self._counter_index = await self._put(session, counter, sequence, cas=self._counter_index)

    async def _put(self, session: aiohttp.ClientSession, key: str, value: int, cas: int) -> int:
        """Write once, however often it has to be sent; the index at which it was applied."""
        request_id = str(uuid.uuid4())
        give_up = time.monotonic() + GIVE_UP_S
        while time.monotonic() < give_up:
            url = f"http://127.0.0.1:{self._ports[self._node]}/v1/kv/{key}?cas={cas}"
            try:
                async with session.put(
                    url, data=str(value), headers={"Idempotency-Key": request_id}
                ) as answer:
                    text = await answer.text()
                    return self._judge(
                        key, value, answer.status, text, answer.headers.get("X-Consul-Index", "0")
                    )
            except aiohttp.ClientConnectionError:
                self._record.resent += 1
                self._node = (self._node + 1) % len(self._ports)
                await asyncio.sleep(PAUSE_S)
        self._record.errors.append(f"{key}: nobody took it within {GIVE_UP_S:g} s")
        return 0

    def _judge(self, key: str, value: int, status: int, text: str, index: str) -> int:
        if status != 200 or text.strip() != "true":
            self._record.errors.append(f"{key}: {status} {text.strip()}")
            return 0
        self._record.acknowledged[key] = value
        self._record.acks_at.append(time.monotonic())
        self._record.index = max(self._record.index, int(index))
        return int(index)


async def write_for(seconds: float, writers: int, ports: list[int], record: Record) -> None:
    """Run that many writers, spread over the nodes, for so long."""
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for number in range(writers):
            group.create_task(Writer(number, ports, record).run(until))
