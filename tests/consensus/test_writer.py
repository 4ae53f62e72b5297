"""The thread for blocking work."""

import asyncio
import threading
import time
import weakref
from collections.abc import Callable

from raftreg.consensus.writer import REST_S, ThreadWriter

MANY = 60_000


async def working(*jobs: Callable[[ThreadWriter], object]) -> None:
    """Have the jobs done, one after the other, each when the one before has ended, and stop."""
    loop = asyncio.get_running_loop()
    writer = ThreadWriter("test")
    writer.start(loop)
    for job in jobs:
        done = loop.create_future()

        def run(job: Callable[[ThreadWriter], object] = job, done: "asyncio.Future[None]" = done) -> None:
            job(writer)
            loop.call_soon_threadsafe(done.set_result, None)

        writer.submit(run)
        await done
    await asyncio.wait_for(writer.stop(), 20.0)


def rests(count: int) -> Callable[[ThreadWriter], object]:
    """A job that rests so often."""

    def job(writer: ThreadWriter) -> None:
        for _ in range(count):
            writer.rest()

    return job


def test_a_rest_takes_its_time() -> None:
    """For so long the interpreter is free for the event loop."""
    began = time.monotonic()
    asyncio.run(working(rests(50)))
    assert 50 * REST_S <= time.monotonic() - began


def test_a_job_rests_no_more_when_somebody_waits_for_it() -> None:
    """The next job, or a stop: else a million keys would keep a node from ending for a minute."""

    async def scene() -> list[str]:
        done: list[str] = []
        writer, began, second = ThreadWriter("test"), threading.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        writer.start(loop)

        def job() -> None:
            began.set()
            rests(MANY)(writer)
            done.append("all of it")

        writer.submit(job)
        await asyncio.to_thread(began.wait)
        writer.submit(lambda: _tell(loop, second))
        await second.wait()
        writer.submit(job)
        await asyncio.wait_for(writer.stop(), 20.0)
        return done

    assert ["all of it"] * 2 == asyncio.run(asyncio.wait_for(scene(), 40.0))


def test_what_a_job_used_is_free_when_it_is_done() -> None:
    """A snapshot's job holds a copy of the whole state, and there may be no other job for hours."""

    class Copy:
        pass

    async def scene() -> Copy | None:
        copy = Copy()
        seen = weakref.ref(copy)
        writer, done = ThreadWriter("test"), asyncio.Event()
        loop = asyncio.get_running_loop()
        writer.start(loop)

        def job(kept: Copy = copy) -> None:
            loop.call_soon_threadsafe(done.set)

        writer.submit(job)
        del copy, job
        await done.wait()
        for _ in range(1000):
            if seen() is None:
                break
            await asyncio.sleep(0.01)
        found = seen()
        await writer.stop()
        return found

    assert asyncio.run(scene()) is None


def _tell(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    loop.call_soon_threadsafe(event.set)
