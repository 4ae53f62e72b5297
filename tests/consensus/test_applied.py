"""Waiting for an index to be applied."""

import asyncio

from raftreg.consensus.applied import AppliedWaiters
from tests.consensus.loops import on_loop


@on_loop
async def test_waiters_are_woken_in_order_of_their_index() -> None:
    """Whoever waits for what is applied goes on, the others wait."""
    waiters = AppliedWaiters()
    first, second = (asyncio.ensure_future(waiters.wait(index)) for index in (3, 5))
    await asyncio.sleep(0)
    waiters.reached(4)
    await first
    assert not second.done()
    waiters.reached(5)
    await second
    assert 5 == waiters.index


@on_loop
async def test_abandoned_waiters_are_forgotten() -> None:
    """A node that applies nothing keeps no trace of readers whose time was over, and wakes those that still wait."""
    waiters = AppliedWaiters()
    patient = asyncio.ensure_future(waiters.wait(5))
    for _ in range(1000):
        reader = asyncio.ensure_future(waiters.wait(9))
        await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait([reader])
    assert len(waiters._heap) < 5
    waiters.reached(5)
    await patient
