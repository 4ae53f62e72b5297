"""Changes of the leader: waiting for one before trying again, and not waiting for the old one when there was one."""

import asyncio

from raftreg.consensus import Consensus
from raftreg.errors import OutcomeUnknown

RETRY_S = 0.02  # seconds between two attempts when nothing tells that the leader changed


class LeaderChanges:
    """Wakes those that wait for another leader."""

    def __init__(self, consensus: Consensus) -> None:
        self._consensus = consensus
        self._waiters: dict[asyncio.Future[None], None] = {}  # in the order in which they came
        self._timer: asyncio.TimerHandle | None = None
        self._scopes: set[asyncio.Timeout] = set()
        consensus.on_change(self._changed)

    async def pause(self) -> None:
        """Return after the role or the leader changed, or after a short while in which a leader was known.

        While nobody leads there is nothing to try: thousands that wait then cost one timer together, so that the
        node has its time for the election.
        """
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters[waiter] = None
        if self._timer is None:
            self._timer = loop.call_later(RETRY_S, self._look)
        try:
            await waiter
        finally:
            self._waiters.pop(waiter, None)  # Its time may be over.

    def _look(self) -> None:
        """The short while is over."""
        self._timer = None
        if self._consensus.has_leader():
            self._wake()
        elif self._waiters:
            self._timer = asyncio.get_running_loop().call_later(RETRY_S, self._look)

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, {}
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def call_leader(self, data: bytes) -> bytes:
        """`Consensus.call_leader`, given up as OutcomeUnknown when the leader changes before it answered.

        A leader that is paused or cut off keeps its connections open: waiting for it would cost the whole timeout.
        """
        try:
            async with asyncio.timeout(None) as scope:
                self._scopes.add(scope)
                try:
                    return await self._consensus.call_leader(data)
                finally:
                    self._scopes.discard(scope)
        except TimeoutError:
            raise OutcomeUnknown("the leader changed before it answered") from None

    def _changed(self) -> None:
        self._wake()
        now = asyncio.get_running_loop().time() if self._scopes else 0.0
        for scope in self._scopes:
            if not scope.expired():
                scope.reschedule(now)
