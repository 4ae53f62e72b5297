"""Clients that take one lock from each other, through whatever host, each with a session of its own."""

import asyncio
from typing import TYPE_CHECKING

from raftreg.commands import Command, KVLock, KVUnlock, Register, SessionCreate, SessionDestroy
from raftreg.errors import NotApplied, OutcomeUnknown, Refused
from raftreg.model import Node, Session
from raftreg.registry import Registry
from raftreg.sim.overdue import TIMEOUT_S, in_time

if TYPE_CHECKING:
    from raftreg.sim.cluster import Cluster

LOCK = "lock"
NODE = "lockers"
HOLD_S = 0.3
PAUSE_S = 0.5
PATIENCE_S = 6.0


class Locker:
    """Begins a session, tries for the lock, holds it, gives it back or ends the session, and begins anew."""

    def __init__(self, cluster: "Cluster", number: int) -> None:
        self.cluster, self.loop = cluster, cluster.loop
        self.chance = cluster.chance.stream("locker", number)
        self.number, self._round = number, 0
        self._later(1.0 + self.chance.random(), self._begin)

    def _later(self, seconds: float, step: object, *args: object) -> None:
        self.loop.at(self.loop.now + seconds, self.loop.world, self._spawn, step, args)

    def _spawn(self, step: object, args: tuple[object, ...]) -> None:
        if self.cluster.busy:
            self.loop.spawn(step(*args))  # type: ignore[operator]  # one of the methods below

    async def _write(self, command: Command) -> object:
        """The result; None if nobody knows, or nothing came of it. It outlives the host that it was sent to."""
        host = self.cluster.hosts[self.chance.choice(self.cluster.doors)]
        if not host.up or host.registry is None:
            return None
        answer: asyncio.Future[object] = self.loop.create_future()
        self.loop.soon(host.life, self._send, host.registry, command, answer)
        self.loop.at(self.loop.now + PATIENCE_S, self.loop.world, _settle, answer, None)
        return await answer

    def _send(self, registry: Registry, command: Command, answer: asyncio.Future[object]) -> None:
        self.loop.spawn(self._call(registry, command, answer))

    async def _call(self, registry: Registry, command: Command, answer: asyncio.Future[object]) -> None:
        try:
            result = (await in_time(self.cluster, registry, registry.write(command), TIMEOUT_S)).value
        except (NotApplied, OutcomeUnknown, Refused):
            result = None
        self.loop.soon(self.loop.world, _settle, answer, result)

    async def _begin(self) -> None:
        self._round += 1
        session = f"00000000-0000-4000-a000-{self.number:04d}{self._round:08d}"
        await self._write(Register(NODE, Node(NODE, "", "10.0.0.9")))
        await self._write(SessionCreate(Session(session, NODE)))
        for _ in range(5):
            if await self._write(KVLock(LOCK, session.encode(), 0, session)) is True:
                self.cluster.checks.holds(session)
                self._later(self.chance.random() * HOLD_S, self._end, session)
                return
        self._later(0.0, self._end, session)

    async def _end(self, session: str) -> None:
        """From here on another one may have the lock, whatever becomes of this."""
        self.cluster.checks.held.discard(session)
        if self.chance.random() < 0.5:
            await self._write(KVUnlock(LOCK, b"", 0, session))
        await self._write(SessionDestroy(session))
        self._later(self.chance.random() * PAUSE_S, self._begin)


def _settle(answer: asyncio.Future[object], result: object) -> None:
    if not answer.done():
        answer.set_result(result)
