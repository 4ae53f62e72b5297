"""A client of the cluster under test: one call at a time, to any node, each recorded with its outcome."""

import asyncio
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from raftreg.addresses import Address
from raftreg.chance import Stream
from raftreg.checkers.history import Operation
from raftreg.clock import Clock
from raftreg.verify.exchange import Answer, Connection, NotSent, Unanswered
from raftreg.verify.record import Call, Record

# Statuses that answer the question that was asked: done, refused by a condition, or absent.
ANSWERS = (200, 404, 409)
NOTHING_HAPPENED = "No cluster leader"  # a node that was removed says more behind it
REFUSED_S = (
    0.1  # a client rests so long when a node takes no connection: it leaves the machine to those that start
)
MOVES_SHARE = 0.02  # of the calls: so often a client goes over to another node though its own one answers


@dataclass(frozen=True, slots=True)
class Reply:
    """How one call ended. `ok` as in `Operation`; `answer` is there if it is True."""

    client: int
    node: str
    life: str
    invoked_s: float
    returned_s: float
    ok: bool | None
    answer: Answer | None

    def operation(self, kind: str, key: str, argument: object = None, result: object = None) -> Operation:
        """The call as a part of a history."""
        end = None if self.ok is None else self.returned_s
        return Operation(self.client, kind, key, argument, result, self.invoked_s, end, self.ok)


@dataclass(slots=True)
class World:
    """What all clients of a run share. `lives`: how often a node was ended so far, since it may forget by that."""

    nodes: Mapping[str, Address]
    clock: Clock
    record: Record
    timeout_s: float
    prefix: str  # of every name that the run makes
    is_raftreg: bool = True
    lives: dict[str, int] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def life(self, node: str) -> str:
        """The node with the number of its life."""
        return f"{node}/{self.lives.get(node, 1)}"

    def ended(self, node: str) -> None:
        """A node was ended, or is about to be."""
        self.lives[node] = self.lives.get(node, 1) + 1


class Caller:
    """One client. After a call of unknown outcome it goes on under another number, like a new process."""

    def __init__(self, world: World, workload: str, chance: Stream, period_s: float = 0.0) -> None:
        """`period_s`: how long from the beginning of one call to that of the next, at least."""
        self.world, self.workload, self.chance = world, workload, chance
        self._period_s, self._next_s = period_s, world.clock.now() + period_s * chance.random()
        self.number = next(world.numbers)
        self._counts = itertools.count(1)
        self._move()
        self._connections = {
            node: Connection(address, world.timeout_s) for node, address in world.nodes.items()
        }

    def close(self) -> None:
        """Drop all connections."""
        for connection in self._connections.values():
            connection.close()

    def value(self) -> str:
        """A text that nobody else writes."""
        return f"{self.number}.{next(self._counts)}"

    def _choose_node(self) -> str:
        """The client's own node for the time being; if all went everywhere, one silent node would soon hold up all."""
        if self.chance.random() < MOVES_SHARE:
            self._move()
        return self._node

    def _move(self) -> None:
        self._node = self.chance.choice(list(self.world.nodes))

    async def read(self, path: str, node: str | None = None) -> Reply:
        """A GET; nothing depends on what became of it if it is not answered."""
        return await self._call("GET", path, b"", node, is_write=False)

    async def ask(self, method: str, path: str, body: bytes) -> Reply:
        """A read that is no GET."""
        return await self._call(method, path, body, None, is_write=False)

    async def write(self, method: str, path: str, body: bytes = b"", node: str | None = None) -> Reply:
        """A call that changes something."""
        return await self._call(method, path, body, node, is_write=True)

    async def _rest(self) -> None:
        """Wait for the client's turn; what was missed is not made up for."""
        now = self.world.clock.now()
        if now < self._next_s:
            await asyncio.sleep(self._next_s - now)
        self._next_s = max(now, self._next_s) + self._period_s

    async def _call(self, method: str, path: str, body: bytes, node: str | None, *, is_write: bool) -> Reply:
        await self._rest()
        world, node = self.world, node or self._choose_node()
        life, client, invoked = world.life(node), self.number, world.clock.now()
        answer: Answer | None = None
        ok: bool | None
        try:
            answer = await self._connections[node].request(method, path, body)
            ok = _outcome(answer)
        except NotSent:
            ok = False
            self._next_s = max(self._next_s, world.clock.now() + REFUSED_S)
        except Unanswered:
            ok = None
        returned = world.clock.now()
        if answer is None:
            self._move()
        world.record.calls.append(Call(self.workload, node, is_write, invoked, returned, ok))
        if ok is None and is_write:
            world.record.unknown += 1
            self.number = next(world.numbers)
        return Reply(client, node, life, invoked, returned, ok, answer if ok else None)


def _outcome(answer: Answer) -> bool | None:
    """Whether a call was answered, was refused before anything happened, or may have happened."""
    if answer.status in ANSWERS:
        return True
    refused = 400 <= answer.status < 500 or answer.status == 503 or answer.text.startswith(NOTHING_HAPPENED)
    return False if refused else None
