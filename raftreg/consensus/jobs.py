"""One worker thread for snapshots, so that neither the event loop nor the log's own thread waits for them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class WorkerThread:
    """Runs jobs one after the other and gives their results back on the loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, guarded: Callable[[Callable[[], object]], None]
    ) -> None:
        """`guarded` runs what comes back; it deals with exceptions."""
        self._loop = loop
        self._guarded = guarded
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="snapshot")
        self._stopped = False

    def run(self, work: Callable[[], object], done: Callable[[object], None]) -> None:
        """Run `work` in the thread, then `done` on the loop with its result or the exception that it raised."""

        def job() -> None:
            try:
                outcome: object = work()
            except BaseException as error:
                outcome = error
            if not self._stopped:
                self._loop.call_soon_threadsafe(self._guarded, lambda: done(outcome))

        self._executor.submit(job)

    def stop(self) -> None:
        """Wait for the job in hand; its result is dropped."""
        self._stopped = True
        self._executor.shutdown(wait=True, cancel_futures=True)
