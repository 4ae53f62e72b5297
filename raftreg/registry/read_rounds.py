"""Read indexes shared by many readers: asked for once for all that joined, again and again until there is one."""

import asyncio
from dataclasses import dataclass, field

from raftreg.consensus import Consensus
from raftreg.errors import NoLeader
from raftreg.registry.changes import LeaderChanges
from raftreg.registry.sharing import copy_error


@dataclass(slots=True)
class _Round:
    """Readers that joined in one turn of the loop, and when (on the loop's clock) they have waited long enough."""

    deadline: float
    readers: list[asyncio.Future[None]] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None

    def end(self, error: BaseException | None) -> None:
        """Tell them."""
        if self.timer is not None:
            self.timer.cancel()
        for reader in self.readers:
            if reader.done():
                continue
            if error is None:
                reader.set_result(None)
            else:
                reader.set_exception(copy_error(error))
        self.readers.clear()


class ReadRounds:
    """The rounds of one kind: `confirm` as for `Consensus.read_index`."""

    def __init__(self, consensus: Consensus, changes: LeaderChanges, confirm: bool, timeout_s: float) -> None:
        self._consensus, self._changes = consensus, changes
        self._confirm, self._timeout_s = confirm, timeout_s
        self._joining: _Round | None = None
        self._failed: list[_Round] = []  # one task pauses, then it asks for all of them together
        self._tasks: set[asyncio.Task[None]] = set()

    async def make_sure(self) -> None:
        """Return when the local copy holds all that was acknowledged before the call.

        Raises NoLeader if no leader can say within the timeout. All calls of one turn of the loop share one read
        index: it is asked for only after the last of them joined.
        """
        loop = asyncio.get_running_loop()
        if self._joining is None:
            self._joining = _Round(loop.time() + self._timeout_s)
            loop.call_soon(self._begin)
        reader: asyncio.Future[None] = loop.create_future()
        self._joining.readers.append(reader)
        await reader

    def _begin(self) -> None:
        joined, self._joining = self._joining, None
        assert joined is not None
        task = asyncio.get_running_loop().create_task(self._run([joined]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, rounds: list[_Round]) -> None:
        while rounds:
            error: Exception | None = None
            try:
                async with asyncio.timeout_at(rounds[-1].deadline):
                    await self._consensus.wait_applied(
                        await self._consensus.read_index(confirm=self._confirm)
                    )
            except NoLeader:
                rounds = await self._fail(rounds)
                continue
            except TimeoutError:
                error = self._too_late()
            except Exception as unexpected:  # whatever it is, nobody may be left waiting
                error = unexpected
            for each in rounds:
                each.end(error)
            return

    async def _fail(self, rounds: list[_Round]) -> list[_Round]:
        """Nobody could say. The rounds to ask for next, after a pause; none if another task asks for these too."""
        loop = asyncio.get_running_loop()
        for each in rounds:
            if each.timer is None:
                each.timer = loop.call_at(each.deadline, self._expire, each)
        is_first = not self._failed
        self._failed += rounds
        if not is_first:
            return []
        await self._changes.pause()
        again, self._failed = self._failed, []
        return sorted((each for each in again if each.readers), key=lambda each: each.deadline)

    def _expire(self, late: _Round) -> None:
        late.end(self._too_late())

    def _too_late(self) -> NoLeader:
        return NoLeader(f"no leader within {self._timeout_s:g} s")
