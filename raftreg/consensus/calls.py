"""Questions to the leader over the Raft connections: read indexes, and opaque calls (forwarded writes,
heartbeats).

Each question has a number. When the connection to the leader breaks, or when another node leads, what is open fails.
A read can simply be asked again. A call that was sent may have been carried out, so its failure is OutcomeUnknown; the
registry asks again under the same request id.

What a leader answers goes to the member, over the connection that there is by then, perhaps to a process that was
started since. So the numbers of each process begin at random: what was meant for another one answers nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from raftreg.consensus import messages as m
from raftreg.consensus.members import name_of
from raftreg.errors import NoLeader, NotLeader, OutcomeUnknown, Overloaded, RaftregError, Refused

if TYPE_CHECKING:
    from raftreg.consensus.engine import Engine
    from raftreg.consensus.guard import Message

_log = logging.getLogger(__name__)
_ROOM_LOOK_S = 0.01
_NUMBER_BYTES = 7  # of the random one with which a process begins; msgpack takes eight
Handler = Callable[[str, bytes], Awaitable[bytes]]


def _error_from(kind: str, detail: Any) -> RaftregError:
    """The error that the leader's handler raised, made again here."""
    if kind == "Refused":
        return Refused(int(detail[0]), str(detail[1]))
    if kind == "Overloaded":
        return Overloaded(str(detail[1]), float(detail[0]))
    if kind in ("NotLeader", "NoLeader", "HandingOver"):
        return NoLeader(str(detail[1]))
    return OutcomeUnknown(str(detail[1]))


def _detail_of(error: RaftregError) -> tuple[str, list[object]]:
    if isinstance(error, Refused):
        return "Refused", [error.status, error.text]
    if isinstance(error, Overloaded):
        return "Overloaded", [error.retry_after_s, str(error)]
    return type(error).__name__, [0, str(error)]


class Calls:
    """Open questions of this node, and the handler that answers those of others while this node leads."""

    def __init__(self, loop: asyncio.AbstractEventLoop, engine: "Engine") -> None:
        self.loop = loop
        self.engine = engine
        self.handler: Handler | None = None
        self._number = int.from_bytes(engine.world.clock.token(_NUMBER_BYTES))
        self._reads: dict[int, tuple[str, asyncio.Future[int]]] = {}
        self._calls: dict[int, tuple[str, asyncio.Future[bytes]]] = {}
        self._serving: set[asyncio.Task[None]] = set()

    # -- asking ----------------------------------------------------------------------------------------------------
    async def read_index(self, confirm: bool, timeout_s: float) -> int:
        """The leader's read index. Raises NoLeader if it does not answer in time."""
        engine = self.engine
        future: asyncio.Future[int] = self.loop.create_future()
        number = self._next()
        if engine.leading:
            engine.reads.ask(lambda index: _settle(future, index), confirm)
            leader = engine.member_id
        else:
            leader = self._leader()
            if not engine.outlet(leader, [m.READ_ASK, number, confirm]):
                raise NoLeader("not connected to the leader")
        self._reads[number] = (leader, future)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            raise NoLeader("the leader did not confirm itself in time") from None
        finally:
            self._reads.pop(number, None)

    async def call(self, data: bytes) -> bytes:
        """Have the leader's handler answer. Raises what it raised, NoLeader, or OutcomeUnknown."""
        engine = self.engine
        if engine.leading:
            return await self._handle(name_of(engine.member_id), data)
        leader, number = self._leader(), self._next()
        if not engine.outlet(leader, [m.CALL, number, data]):
            raise NoLeader("not connected to the leader")
        future: asyncio.Future[bytes] = self.loop.create_future()
        self._calls[number] = (leader, future)
        try:
            return await future
        finally:
            self._calls.pop(number, None)

    def _leader(self) -> str:
        leader = self.engine.leader
        if leader is None or leader == self.engine.member_id:
            raise NoLeader("no leader is known")
        return leader

    def _next(self) -> int:
        self._number += 1
        return self._number

    def leader_moved(self, leader: str | None) -> None:
        """Another node leads, or none: questions to others will not be answered."""
        self._fail(lambda asked: asked != leader, "the leader changed")

    def peer_down(self, member: str) -> None:
        """The connection to a member broke."""
        self._fail(lambda asked: asked == member, "the connection to the leader broke")

    def _fail(self, concerned: Callable[[str], bool], why: str) -> None:
        for asked, read in list(self._reads.values()):
            if concerned(asked) and not read.done():
                read.set_exception(NoLeader(why))
        for asked, call in list(self._calls.values()):
            if concerned(asked) and not call.done():
                call.set_exception(OutcomeUnknown(why))

    # -- answering -------------------------------------------------------------------------------------------------
    def receive(self, member: str, message: "Message") -> bool:
        """Questions and answers. Returns whether the kind was known here."""
        kind = message[0]
        if kind == m.READ_ASK:
            self._answer_read(member, message[1], message[2])
        elif kind == m.READ_INDEX:
            asked = self._reads.get(message[1])
            if asked is not None and asked[0] == member:
                _settle(asked[1], message[2])
        elif kind == m.CALL:
            self._serve(member, message[1], message[2])
        elif kind == m.ANSWER:
            self._on_answer(member, message)
        else:
            return False
        return True

    def _answer_read(self, member: str, number: int, confirm: bool) -> None:
        engine = self.engine
        engine.reads.ask(lambda index: _ignore(engine.outlet(member, [m.READ_INDEX, number, index])), confirm)

    def _on_answer(self, member: str, message: "Message") -> None:
        _, number, kind, body = message
        asked = self._calls.get(number)
        if asked is None or asked[0] != member or asked[1].done():
            return
        if kind is None:
            asked[1].set_result(body)
        else:
            asked[1].set_exception(_error_from(kind, body))

    def _serve(self, member: str, number: int, data: bytes) -> None:
        task = self.loop.create_task(self._answer_call(member, number, data))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _answer_call(self, member: str, number: int, data: bytes) -> None:
        try:
            answer = await self._handle(name_of(member), data)
            # Behind other large answers there may be no room for a while. Who is gone was told so by its own end.
            while not self.engine.outlet(member, [m.ANSWER, number, None, answer]):
                if member not in self.engine.guard.up:
                    return
                await asyncio.sleep(_ROOM_LOOK_S)
        except RaftregError as error:
            self.engine.outlet(member, [m.ANSWER, number, *_detail_of(error)])
        except (
            Exception
        ):  # An answer that is too long for a frame among others: the caller must hear something.
            _log.exception("answering a call of %s failed", member)
            why = "the leader failed at it, see its log"
            self.engine.outlet(member, [m.ANSWER, number, "OutcomeUnknown", [0, why]])

    async def _handle(self, caller: str, data: bytes) -> bytes:
        if not self.engine.leading or self.handler is None:
            raise NotLeader("this node does not lead")
        return await self.handler(caller, data)

    async def stop(self) -> None:
        """Fail what is open, and end what is being served."""
        self._fail(lambda asked: True, "this node is stopping")
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)


def _settle(future: "asyncio.Future[int]", index: int | None) -> None:
    if future.done():
        return
    if index is None:
        future.set_exception(NoLeader("the node asked does not lead, or not yet"))
    else:
        future.set_result(index)


def _ignore(sent: bool) -> None:
    """An answer that could not be sent is asked for again by whoever waits for it."""
