"""What clients see while a fault happens: writes that start at a steady pace at all nodes in turn, and who leads.

A write waits for no other, so that one that hangs hides nothing; each has a connection of its own, so that none
dies of its predecessor's.
"""

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.harness.client import answered
from bench.harness.targets import Target

WRITE_EVERY_S = 0.005
LOOK_EVERY_S = 0.005
WRITE_TIMEOUT_S = 15.0
HOLE_S = 0.5


@dataclass(slots=True)
class Outage:
    """Times in seconds since the fault. `acknowledged` are (sent, answered) of each good write.

    `leaders` are (when, who was asked, whom it names): what changed at each node that is not the former leader.
    """

    acknowledged: list[tuple[float, float]] = field(default_factory=list)
    leaders: list[tuple[float, int, int | None]] = field(default_factory=list)
    former: int = 0
    until_s: float = 0.0

    @property
    def without_writes_s(self) -> float:
        """The longest time between two acknowledgements, from just before the fault on."""
        times = sorted(at for _, at in self.acknowledged)
        gaps = [after - before for before, after in itertools.pairwise(times) if after > 0]
        return max(gaps, default=float("inf"))

    @property
    def without_leader_s(self) -> float:
        """Until some node first named another leader than the former one."""
        return min(
            (at for at, _, who in self.leaders if at > 0 and who not in (None, self.former)),
            default=float("inf"),
        )

    def is_good_again(self, now: float, after_s: float) -> bool:
        """Whether for so long there was no hole of half a second in the answers to writes sent after the fault."""
        begin = now - after_s
        if begin < 0:
            return False
        times = sorted(at for sent, at in self.acknowledged if sent > 0 and at > begin)
        return all(after - before < HOLE_S for before, after in itertools.pairwise([begin, *times, now]))

    def timeline(self, title: str) -> dict[str, Any]:
        """For drawing."""
        return {
            "title": title,
            "acknowledged": [list(write) for write in self.acknowledged],
            "leaders": [list(seen) for seen in self.leaders],
            "former": self.former,
            "until_s": self.until_s,
            "gap_s": self.without_writes_s,
        }


async def observe(
    target: Target, fault: Callable[[int], None], *, before_s: float, after_s: float, patience_s: float
) -> Outage:
    """Write for a while, do `fault` to the leader, and write on until it was good again for `after_s`.

    OSError if that takes longer than `patience_s`.
    """
    outage = Outage(former=await asyncio.to_thread(target.leader))
    began = time.perf_counter()
    at_fault = began + before_s
    addresses = list(target.addresses)
    writes: set[asyncio.Task[None]] = set()
    looks = [
        asyncio.create_task(_look(target, number, outage, at_fault))
        for number in range(len(addresses))
        if number != outage.former
    ]
    done = False
    for number in itertools.count():
        await asyncio.sleep(max(0.0, began + number * WRITE_EVERY_S - time.perf_counter()))
        now = time.perf_counter()
        if not done and now >= at_fault:
            done = True
            fault(outage.former)
        if now > at_fault + patience_s or outage.is_good_again(now - at_fault, after_s):
            break
        write = asyncio.create_task(
            _write(target, addresses[number % len(addresses)], number, outage, at_fault)
        )
        writes.add(write)
        write.add_done_callback(writes.discard)
    outage.until_s = time.perf_counter() - at_fault
    for task in (*writes, *looks):
        task.cancel()
    await asyncio.gather(*writes, *looks, return_exceptions=True)
    if outage.until_s > patience_s:
        raise OSError(
            f"{target.name}: writes were not answered steadily again {patience_s:g} s after the fault"
        )
    return outage


async def _write(
    target: Target, address: tuple[str, int], number: int, outage: Outage, at_fault: float
) -> None:
    sent = time.perf_counter()
    at = await answered(address, target.dialect.put(key="gap/").filled(number), WRITE_TIMEOUT_S)
    if at is not None:
        outage.acknowledged.append((sent - at_fault, at - at_fault))


async def _look(target: Target, number: int, outage: Outage, at_fault: float) -> None:
    """Ask one node who leads, again and again, and note what changed."""
    address = target.addresses[number]
    known: int | None = outage.former
    while True:
        try:
            seen = await asyncio.to_thread(target.leader_seen_by, address)
        except (OSError, ValueError):
            seen = None
        if seen != known:
            known = seen
            outage.leaders.append((time.perf_counter() - at_fault, number, seen))
        await asyncio.sleep(LOOK_EVERY_S)
