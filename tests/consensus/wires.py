"""Nodes with nothing but a transport, on loopback sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from raftreg.clock import SystemClock
from raftreg.consensus.hello import Hello
from raftreg.consensus.target import Target
from raftreg.consensus.transport import Transport
from tests.e2e.cluster import free_ports

Addresses = dict[str, tuple[str, int]]


class ShiftedClock(SystemClock):
    """The machine's clock, put forward by a test."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_s = 0.0

    def now(self) -> float:
        """Later than it is."""
        return super().now() + self.ahead_s


def free_address() -> tuple[str, int]:
    """A port that nobody listens on."""
    return "127.0.0.1", free_ports(1)[0]


def addresses(*names: str) -> Addresses:
    """A free address for each name."""
    return {name: ("127.0.0.1", port) for name, port in zip(names, free_ports(len(names)), strict=True)}


class Wire:
    """One node: accepts everybody that it is not told to refuse, and notes what its transport tells it."""

    def __init__(
        self,
        name: str,
        known: Addresses,
        *,
        key: bytes = b"",
        incarnation: str = "",
        nonce: str = "",
        listen: tuple[str, int] | None = None,
    ) -> None:
        self.clock = ShiftedClock()
        incarnation, nonce = incarnation or f"{name}-first", nonce or self.clock.token(8).hex()
        self.hello = Hello(1, None, name, incarnation, nonce, 1, {})
        self.refusals: dict[str, str] = {}
        self.events: list[tuple[str, str]] = []
        self.messages: list[tuple[str, list[Any]]] = []
        self.told: list[tuple[str, str]] = []
        self.turns = 0
        self._changed = asyncio.Event()
        listen = listen or known.get(name) or free_address()
        self.transport = Transport(self, self.clock, name=name, listen=listen, key=key)
        self.transport.aim(Target(peer, address) for peer, address in known.items())

    @property
    def id(self) -> str:
        """The member id."""
        return self.hello.member_id

    def own_hello(self) -> Hello:
        """See Delegate."""
        return self.hello

    def judge(self, hello: Hello) -> str | None:
        """See Delegate."""
        return self.refusals.get(hello.name)

    def connected(self, hello: Hello) -> None:
        """See Delegate."""
        self.events.append(("connected", hello.member_id))
        self._changed.set()

    def disconnected(self, member_id: str, refused_by_kernel: bool) -> None:
        """See Delegate."""
        self.events.append(("closed" if refused_by_kernel else "dropped", member_id))
        self._changed.set()

    def received(self, member_id: str, message: list[Any]) -> None:
        """See Delegate."""
        self.messages.append((member_id, message))
        self._changed.set()

    def turn_done(self) -> None:
        """See Delegate."""
        self.turns += 1

    def told_refused(self, name: str, text: str) -> None:
        """See Delegate."""
        self.told.append((name, text))
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what the transport tells, or does by itself, makes the condition true."""
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                try:
                    async with asyncio.timeout(0.02):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    async def until_connected(self, *others: "Wire") -> None:
        """Wait for live connections with all of them."""
        await self.until(lambda: {other.id for other in others} <= self.transport.connected())

    async def until_silence_breaks(self, member_id: str) -> None:
        """Wait until something more came from that member."""
        before = self.transport.last_heard(member_id)
        await self.until(lambda: self.transport.last_heard(member_id) != before)


@asynccontextmanager
async def running(*wires: Wire) -> AsyncIterator[None]:
    """Start all of them in this order, and stop them whatever happens."""
    try:
        for wire in wires:
            await wire.transport.start()
        yield
    finally:
        for wire in wires:
            await wire.transport.stop()


class Stranger:
    """A bare connection to the port of a node."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, address: tuple[str, int]) -> "Stranger":
        """Connect."""
        return cls(*await asyncio.open_connection(*address))

    async def rest(self) -> bytes:
        """Everything that still comes until the other side closes; a reset counts as closing."""
        try:
            async with asyncio.timeout(10):
                return await self.reader.read()
        except ConnectionError:
            return b""

    async def close(self) -> None:
        """Close this side."""
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            return
