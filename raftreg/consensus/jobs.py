"""Snapshot work in a thread of its own, so that neither the event loop nor the log's thread waits for it."""

import asyncio
from collections.abc import Callable

from raftreg.consensus.writer import Writer


class Worker:
    """Runs jobs one after the other and gives their results back on the loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        writer: Writer,
        guarded: Callable[[Callable[[], object]], None],
    ) -> None:
        """`guarded` runs what comes back; it deals with exceptions."""
        self._loop = loop
        self._writer = writer
        self._guarded = guarded
        self._stopped = False
        writer.start(loop)

    def run(self, work: Callable[[], object], done: Callable[[object], None]) -> None:
        """Run `work` elsewhere, then `done` on the loop with its result or the exception that it raised."""

        def job() -> None:
            try:
                outcome: object = work()
            except BaseException as error:
                outcome = error
            if not self._stopped:
                self._loop.call_soon_threadsafe(self._guarded, lambda: done(outcome))

        self._writer.submit(job)

    def rest(self) -> None:
        """Called by the work between two pieces of it."""
        self._writer.rest()

    async def stop(self) -> None:
        """Wait for the jobs in hand; their results are dropped."""
        self._stopped = True
        await self._writer.stop()
