"""The read path, and the only place of raftreg that waits for a change of the state.

How fresh the local copy must be is settled first (`_catch_up`), then the query runs on it, then, for a blocking
read, it waits for a topic of the query and runs again. A blocking read that was woken answers from the local
copy: what woke it was applied here, and indexes only grow. One whose time ran out makes sure again, so that
"nothing changed" is not the word of a node that was cut off.
"""

import asyncio
from typing import Any, TypeVar

from raftreg.clock import Clock
from raftreg.consensus import Consensus
from raftreg.errors import Refused
from raftreg.registry.answers import Answer, CurrentAnswers, Encodings, ReadOptions
from raftreg.registry.changes import LeaderChanges
from raftreg.registry.read_rounds import ReadRounds
from raftreg.registry.replica import EVERY_COMMAND, Replica
from raftreg.registry.standing import check_not_removed
from raftreg.state import EVERYTHING, Found, Query
from raftreg.watch import Waiter

T = TypeVar("T")

_CONTACT_AGE_S = 0.005  # how long one look at the leader's last contact serves stale reads
_CONTACT_MS_MAX = 2**31 - 1


class Reader:
    """Answers queries from the local copy, as fresh as was asked for."""

    def __init__(
        self, consensus: Consensus, replica: Replica, changes: LeaderChanges, clock: Clock, timeout_s: float
    ) -> None:
        self._consensus = consensus
        self._state = replica.state
        self._watch = replica.watch
        self._clock = clock
        self._timeout_s = timeout_s
        self._answers = CurrentAnswers(replica.state)
        self._rounds = {
            confirm: ReadRounds(consensus, changes, confirm, timeout_s) for confirm in (False, True)
        }
        self._contact: tuple[float, bool, float] = (float("-inf"), False, 0.0)
        self._leased = False  # whether the last read needed nobody else: most likely the next does not either
        self.stopping = False
        replica.on_topics(lambda topics: self._answers.forget() if EVERYTHING in topics else None)

    def find(self, query: "Query[T]") -> Found[T]:
        """The result of the query on the local copy as it is."""
        return self._answers.find(query)[0]

    async def read(self, query: "Query[T]", options: ReadOptions) -> Answer[T]:
        """See `Registry.read`."""
        if options.min_index > self._state.index:
            await self._wait_for_index(options.min_index)
        stale = options.mode == "stale" and self._fresh_enough(options.max_stale_s)
        confirm = options.mode == "consistent"
        if stale:
            found, encodings = self._answers.find(query)
        else:
            leased = None if confirm else self._find_leased(query)
            found, encodings = leased if leased is not None else await self._find_fresh(query, confirm)
        if options.index > 0 and found.index <= options.index:
            del found, encodings  # nobody shall hold an answer in memory that is old by the time it is given
            found, encodings = await self._block(query, options)
            if found.index <= options.index and not stale and not self.stopping:
                await self._catch_up(confirm)
                found, encodings = self._answers.find(query)
        return self._answer(found, encodings, stale)

    def _find_leased(self, query: "Query[T]") -> tuple[Found[T], Encodings] | None:
        """What the query finds on a leader that needs to ask nobody; None on others.

        A process that was paused between a look at its lease and the answer must not trust it: the look comes last.
        """
        if not self._leased:
            return None
        result = self._answers.find(query)
        return result if self._consensus.read_index_now() is not None else None

    async def _find_fresh(self, query: "Query[T]", confirm: bool) -> tuple[Found[T], Encodings]:
        """What the query finds on a copy that holds all that was acknowledged before the call; see `_catch_up`."""
        while True:
            leased = await self._catch_up(confirm)
            result = self._answers.find(query)
            # As in `_find_leased`: a pause may have come in between.
            if not leased or self._consensus.read_index_now() is not None:
                self._leased = leased
                return result

    def stop_waiting(self) -> None:
        """Let every blocking read return now, and every later one at once."""
        self.stopping = True
        self._watch.notify_all()

    def _answer(self, found: Found[T], encodings: Encodings, stale: bool) -> Answer[T]:
        if not stale:
            return Answer(found.index, found.value, True, 0, encodings)
        known, contact_s = self._leader_contact()
        last_contact_ms = min(int(min(contact_s, 1e9) * 1000), _CONTACT_MS_MAX)
        return Answer(found.index, found.value, known, last_contact_ms, encodings)

    async def _block(self, query: "Query[T]", options: ReadOptions) -> tuple[Found[T], Encodings]:
        """Wait until the index of the query is above `options.index` or the time is over; what the query finds then."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + options.wait_s
        topics = query.topics()
        while True:
            waiter = self._watch.register(topics)
            try:
                changed = self._answers.find(query)[0].index > options.index
                if changed or self.stopping or not await self._woken(waiter, deadline):
                    return self._answers.find(query)
            finally:
                self._watch.remove(waiter)

    async def _woken(self, waiter: Waiter, deadline: float) -> bool:
        """Whether the waiter was woken before the deadline (of the loop's clock)."""
        timer = asyncio.get_running_loop().call_at(deadline, _expire, waiter.future)
        try:
            await waiter.future
        except TimeoutError:
            return False
        finally:
            timer.cancel()
        return True

    async def _wait_for_index(self, index: int) -> None:
        """Return once the state has applied that many commands; Refused (500) if that takes too long."""
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        while self._state.index < index:
            waiter = self._watch.register((EVERY_COMMAND,))
            try:
                if self.stopping or not await self._woken(waiter, deadline):
                    at = self._state.index
                    raise Refused(500, f"min-index {index} was not reached in time: this node is at {at}")
            finally:
                self._watch.remove(waiter)

    def _fresh_enough(self, max_stale_s: float | None) -> bool:
        """Whether the leader was heard recently enough for a stale read with this bound."""
        if max_stale_s is None:
            return True
        known, contact_s = self._leader_contact()
        return known and contact_s <= max_stale_s

    def _leader_contact(self) -> tuple[bool, float]:
        """Whether a leader is known, and seconds since it was heard; at most a few milliseconds old."""
        now = self._clock.now()
        seen, known, contact_s = self._contact
        if now - seen > _CONTACT_AGE_S:
            status = self._consensus.status()
            known, contact_s = status.leader_name is not None, status.leader_contact_s
            self._contact = now, known, contact_s
        return known, contact_s

    async def _catch_up(self, confirm: bool) -> bool:
        """Return when the local copy holds all that was acknowledged before the call; True if by this node's lease.

        Raises NoLeader if no leader can say within the timeout; Removed at once.
        """
        if not confirm and self._consensus.read_index_now() is not None:
            return True
        check_not_removed(self._consensus)
        await self._rounds[confirm].make_sure()
        return False


def _expire(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
