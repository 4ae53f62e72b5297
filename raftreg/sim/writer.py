"""The worker threads of a simulated host: jobs one after the other, each as long as its disk takes."""

import asyncio
from collections import deque
from collections.abc import Callable

from raftreg.chance import Stream
from raftreg.sim.disk import Op, SimDisk
from raftreg.sim.loop import Life, SimHandle, SimLoop


class Pace:
    """How long a job with syncs takes; `slow_until` is set by a fault."""

    def __init__(self, chance: Stream, tail: float) -> None:
        """`tail`: the share of syncs that take long even without a fault."""
        self._chance = chance
        self._tail = tail
        self.slow_until = 0.0
        self.slow_s = 0.5
        self.least_s = 0.0  # no job takes less
        self.hangs = False  # a job ends only when the fault does
        self.ends_at = 0.0  # of the longest job so far

    def job_s(self, now: float) -> float:
        """Seconds that the next job takes."""
        chance = self._chance.random()
        if now < self.slow_until:
            took = self.slow_until - now if self.hangs else 0.02 + chance * self.slow_s
            self.ends_at = max(self.ends_at, now + took, self.slow_until)
            return took
        if chance < self._tail:
            return 0.02 + self._chance.random() * 0.3
        return max(self.least_s, 0.0002 + chance * 0.002)


class SimWriter:
    """A `raftreg.consensus.writer.Writer`. A job runs at once, but what it did and reports counts only when it ends."""

    def __init__(self, loop: SimLoop, disk: SimDisk, pace: Pace) -> None:
        self._loop, self._disk, self._pace = loop, disk, pace
        self._life: Life = loop.life
        self._jobs: deque[Callable[[], None]] = deque()
        self._busy = False
        self._idle: list[asyncio.Future[None]] = []

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Nothing to start."""

    def submit(self, job: Callable[[], None]) -> None:
        """See Writer."""
        self._jobs.append(job)
        if not self._busy:
            self._next()

    def rest(self) -> None:
        """See Writer: no time goes by within a job."""

    async def stop(self) -> None:
        """See Writer."""
        if self._busy:
            idle = self._loop.create_future()
            self._idle.append(idle)
            await idle

    def _next(self) -> None:
        if not self._jobs:
            self._busy = False
            for idle in self._idle:
                idle.set_result(None)
            self._idle.clear()
            return
        self._busy = True
        self._loop.call_later(1e-5, self._run)  # the thread wakes up

    def _run(self) -> None:
        loop, disk = self._loop, self._disk
        syncs = disk.syncs
        ops, reports = disk.begin_job(), loop.begin_reports()
        try:
            self._jobs.popleft()()
        finally:
            disk.end_job()
            loop.end_reports()
        took = self._pace.job_s(loop.now) if disk.syncs > syncs else 1e-5
        loop.call_later(took, self._done, ops, reports)

    def _done(self, ops: list[Op], reports: list[SimHandle]) -> None:
        self._disk.settle(ops)
        self._loop.release(reports)
        self._next()
