"""Messages between the nodes of a cluster, over TCP.

What is guaranteed
    * `received` is called only for peers that hold the cluster key and that `judge` accepted, and never for a
      connection that was closed or replaced; on one connection in the order of sending.
    * At most one connection per member counts. When both sides dialed, both keep the same one: that to which the
      greater name gave the greater number (`hello`, "use").
    * A process that claims the member id of one that is connected and alive is refused: a copied data directory.
    * Random bytes, wrong lengths and strangers cost one short-lived connection each, and one line in the log.
What is not
    * Delivery: `send` says only whether there was a connection with room. Encryption: see `hello`.

Names are identities; an address is what this node was told for a name, resolved anew for each connection.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any

from raftreg.clock import Clock
from raftreg.consensus.dialer import Dialer
from raftreg.consensus.exchange import KEEPALIVE_S, Delegate, Exchange
from raftreg.consensus.hello import Hello
from raftreg.consensus.link import link_factory
from raftreg.errors import StartRefused

__all__ = ["Delegate", "Hello", "Transport"]

STOP_S = 0.5


class Transport:
    """The connections of one node."""

    def __init__(
        self,
        delegate: Delegate,
        clock: Clock,
        *,
        name: str,
        listen: tuple[str, int],
        addresses: Mapping[str, tuple[str, int]],
        key: bytes,
    ) -> None:
        """`addresses`: by which this node reaches each name (its own is ignored). `key`: b"" for none."""
        self._clock = clock
        self._name = name
        self._listen = listen
        self._addresses = dict(addresses)
        self._exchange = Exchange(delegate, clock, name, self._addresses, key, self.redial)
        self._server: asyncio.Server | None = None
        self._dialers: dict[str, Dialer] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Listen, and begin to dial. Raises StartRefused when the address cannot be had."""
        loop = asyncio.get_running_loop()
        host, port = self._listen
        try:
            self._server = await loop.create_server(link_factory(self._exchange, loop, None), host, port)
        except OSError as error:
            known = error.errno is not None and error.errno > 0  # Negative ones are the resolver's.
            text = os.strerror(error.errno or 0) if known else error.strerror or str(error)
            raise StartRefused(
                f"cannot listen on {host}:{port} for other nodes: {text}. "
                f"Find who uses it (`ss -ltnp sport = :{port}`), or choose another --raft address."
            ) from error
        for name, address in self._addresses.items():
            if name != self._name:
                factory = link_factory(self._exchange, loop, name)
                self._dialers[name] = Dialer(self, name, address, factory, lesser=self._name < name)
        self._tasks = [loop.create_task(dialer.run()) for dialer in self._dialers.values()]
        self._tasks.append(loop.create_task(self._sweep()))

    async def stop(self) -> None:
        """Send what is queued and close everything. The delegate is not called any more."""
        exchange = self._exchange
        exchange.stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        closing = [link.gone for link in exchange.links]
        for link in list(exchange.links):
            link.close()
        if closing:
            await asyncio.wait(closing, timeout=STOP_S)
        for link in list(exchange.links):
            link.drop()
        exchange.live.clear()

    def send(self, member_id: str, message: Sequence[Any]) -> bool:
        """Send a non-empty message. False if not connected, or if too much waits for that member already.

        Raises ValueError for a message above 16 MiB, or that msgpack does not take.
        """
        return self._exchange.send(member_id, message)

    def has_room(self, member_id: str) -> bool:
        """Whether `send` would take a message for that member now."""
        return self._exchange.has_room(member_id)

    def connected(self) -> set[str]:
        """The member ids with a live connection."""
        return set(self._exchange.live)

    def last_heard(self, member_id: str) -> float | None:
        """When something last came from that member, on the clock; None if it never was connected."""
        return self._exchange.last_heard(member_id)

    def address_of(self, name: str) -> tuple[str, int] | None:
        """The address by which this node reaches a name."""
        return self._addresses.get(name)

    def bound_port(self) -> int:
        """The port that is listened on (of use when the system chose it)."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def reset(self, member_id: str) -> None:
        """Close the connection to a member; a new one is tried soon."""
        link = self._exchange.live.get(member_id)
        if link is not None:
            self._exchange.retire(link, by_peer=False)

    def redial(self, name: str) -> None:
        """Try now to reach a name that is not connected, without waiting for its next turn."""
        if name in self._dialers:
            self._dialers[name].changed()

    # For dialers (dialer.Switchboard).

    def is_up(self, name: str) -> bool:
        """Whether a live link leads to that name."""
        live = self._exchange.live.values()
        return any(link.peer is not None and link.peer.name == name for link in live)

    def jitter(self) -> float:
        """Between 0.8 and 1.2."""
        return self._clock.uniform(0.8, 1.2)

    def dial_failed(self, name: str, text: str) -> None:
        """Log it once."""
        host, port = self._addresses[name]
        self._exchange.notices.say(name, f"cannot reach {name} at {host}:{port}: {text}; trying on")

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(KEEPALIVE_S)
            self._exchange.sweep()
