"""What an operator asks of a leader, as coroutines: change the members, and hand leadership over."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from raftreg.consensus import MemberChange
from raftreg.consensus.members import name_of
from raftreg.errors import Fatal, NotLeader, OutcomeUnknown, Refused

if TYPE_CHECKING:
    from raftreg.consensus.engine import Engine

_log = logging.getLogger(__name__)
_LOOK_S = 0.02
_CONFLICT = 409


class Operations:
    """Waits for what the engine decides. The driver says when role or leader changed."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, engine: "Engine", on_fatal: Callable[[BaseException], None]
    ) -> None:
        self.loop, self.engine, self.on_fatal = loop, engine, on_fatal
        self._patience_s = engine.timing.election_max_s * 2
        self._moved = asyncio.Event()
        self._closed = False

    def moved(self) -> None:
        """Role or leader changed."""
        self._moved.set()

    def close(self) -> None:
        """The engine ticks no more: nothing that is waited for will come."""
        self._closed = True
        self._moved.set()

    async def _look_again(self) -> None:
        """Return after a change of leadership, or soon: an heir may go away without one."""
        self._moved.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                await self._moved.wait()
        if self._closed:
            raise NotLeader("this node is stopping")

    # -- members ---------------------------------------------------------------------------------------------------
    async def change_members(self, change: MemberChange) -> int:
        """See `Consensus.change_members`."""
        await self._settled()
        future: asyncio.Future[None] = self.loop.create_future()

        def committed(_: object, known: bool) -> None:
            if future.done():
                return
            if known:
                future.set_result(None)
            else:
                why = "leadership was lost before the new member set was committed: look at the members"
                future.set_exception(OutcomeUnknown(why))

        try:
            index = self.engine.changes.begin(change, committed)
        except Fatal as error:
            self.on_fatal(error)
            raise
        await future
        return index

    async def _settled(self) -> None:
        """Wait for the first entry of this leader's term: it is on its way, which takes no longer than a write."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience_s):
                while self.engine.leading and not self.engine.settled:
                    await self._look_again()

    # -- leadership ------------------------------------------------------------------------------------------------
    async def transfer_leadership(self, to: str | None) -> str:
        """See `Consensus.transfer_leadership`."""
        engine, election = self.engine, self.engine.election
        if not engine.leading:
            raise NotLeader("this node does not lead")
        if to == engine.member_id:
            return to
        if election.transfer is not None:
            raise Refused(_CONFLICT, f"leadership is being handed over to {election.transfer.heir} already")
        heir = election.hand_over(to)
        if heir is None:
            raise Refused(_CONFLICT, f"nobody can take over: {election.no_heir(to)}")
        _log.info("handing leadership over to %s, as was asked", name_of(heir))
        if not await self._handed_over():
            raise Refused(_CONFLICT, f"{heir} did not take over in time; this node leads on, try again")
        return await self._next_leader(heir, to)

    async def _handed_over(self) -> bool:
        """Wait until the hand-over is done or given up; whether this node leads no more."""
        while self.engine.leading:
            if self.engine.election.transfer is None:
                return False
            await self._look_again()
        return True

    async def _next_leader(self, heir: str, to: str | None) -> str:
        """Wait until somebody leads, for at most two election timeouts."""
        engine = self.engine
        try:
            async with asyncio.timeout(self._patience_s):
                while engine.leader is None:
                    await self._look_again()
        except TimeoutError:
            raise OutcomeUnknown(f"leadership was given away to {heir}, but nobody leads yet") from None
        if to not in (None, engine.leader):
            raise Refused(_CONFLICT, f"{engine.leader} leads now, not {to}: try again there")
        return engine.leader

    async def hand_over(self) -> None:
        """Give leadership to the best heir, and wait until it has it, for at most two election timeouts."""
        election = self.engine.election
        try:
            async with asyncio.timeout(self._patience_s):
                while self.engine.leading:
                    heir = election.hand_over()
                    if heir is not None:
                        _log.info("handing leadership over to %s", name_of(heir))
                    elif election.transfer is None:
                        return  # Nobody is left who could take it.
                    await self._look_again()
        except TimeoutError:
            _log.warning("leadership was not taken over in time; the others will elect a leader")
