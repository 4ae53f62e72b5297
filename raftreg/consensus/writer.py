"""Where blocking disk work runs: one job at a time, in the order of submission."""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Protocol

# A piece of a snapshot takes half a millisecond: so the thread works for a third of the time at most.
REST_S = 0.001


class Writer(Protocol):
    """Runs jobs that may block. The simulation has one that runs them on its own loop, later."""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called once, before the first job."""
        ...

    def submit(self, job: Callable[[], None]) -> None:
        """Run `job` after all earlier ones. The job reports by itself and does not raise."""
        ...

    def rest(self) -> None:
        """Called by a long job between two pieces of its work: others go first for a moment."""
        ...

    async def stop(self) -> None:
        """Return when all jobs are done."""
        ...


class ThreadWriter:
    """One daemon thread and a queue."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._never = threading.Event()
        self._stopped: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the thread."""
        self._loop = loop
        self._stopped = loop.create_future()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], None]) -> None:
        """Hand the job to the thread."""
        self._jobs.put(job)

    def rest(self) -> None:
        """Sleep, unless another job or `stop` waits for this one."""
        if self._jobs.empty():
            self._never.wait(REST_S)

    async def stop(self) -> None:
        """Let the thread finish its jobs and end."""
        if self._stopped is None or self._thread is None:
            return
        self._jobs.put(None)
        await self._stopped
        self._thread.join()

    def _run(self) -> None:
        get = self._jobs.get
        while (job := get()) is not None:
            job()
            del job  # It may hold a copy of the whole state.
        assert self._loop is not None
        assert self._stopped is not None
        self._loop.call_soon_threadsafe(self._stopped.set_result, None)
