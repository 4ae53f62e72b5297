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

Whom to dial, and where, is told by `aim`; an address is resolved anew for each connection.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from raftreg.addresses import Address
from raftreg.clock import Clock
from raftreg.consensus.dialer import Dialer
from raftreg.consensus.exchange import KEEPALIVE_S, Delegate, Exchange
from raftreg.consensus.hello import Hello
from raftreg.consensus.link import Link, link_factory
from raftreg.consensus.members import same_name
from raftreg.consensus.target import Target
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
        key: bytes,
    ) -> None:
        """`key`: b"" for none. Nobody is dialed until `aim` says whom."""
        self._clock = clock
        self._name = name
        self._listen = listen
        self._targets: list[Target] = []
        self._exchange = Exchange(delegate, clock, name, key, self.redial)
        self._server: asyncio.Server | None = None
        self._dialers: dict[str, tuple[Dialer, asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

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
        self._begin(self._sweep())
        self.aim(self._targets)

    async def stop(self) -> None:
        """Send what is queued and close everything. The delegate is not called any more."""
        exchange = self._exchange
        exchange.stopping = True
        for task in self._tasks:
            task.cancel()
        self._dialers.clear()
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

    def aim(self, targets: Iterable[Target]) -> None:
        """Dial these from now on, and nobody else. Connections that there are stay."""
        self._targets = [target for target in targets if not same_name(target.name, self._name)]
        if self._server is None or self._exchange.stopping:
            return
        wanted = {target.key: target for target in self._targets}
        for key in set(self._dialers) - set(wanted):
            self._dialers.pop(key)[1].cancel()
        for key, target in wanted.items():
            known = self._dialers.get(key)
            if known is None:
                dialer = Dialer(self, target, self._factory, lesser=self._name < target.name)
                self._dialers[key] = dialer, self._begin(dialer.run())
            elif known[0].target != target:
                known[0].target = target
                known[0].changed()

    def _factory(self, target: Target) -> Callable[[], Link]:
        return link_factory(self._exchange, asyncio.get_running_loop(), target)

    def _begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def redial(self, name: str) -> None:
        """Try now to reach a name that is not connected, without waiting for its next turn."""
        for dialer, _ in self._dialers.values():
            if not dialer.target.name or same_name(dialer.target.name, name):
                dialer.changed()

    # For dialers (dialer.Switchboard).

    def is_up(self, target: Target) -> bool:
        """Whether a live link leads to that target."""
        live = self._exchange.live
        if target.member_id is not None:
            return target.member_id in live
        if target.name:
            return any(
                link.peer is not None and same_name(link.peer.name, target.name) for link in live.values()
            )
        return any(link.target == target for link in live.values())

    def jitter(self) -> float:
        """Between 0.8 and 1.2."""
        return self._clock.uniform(0.8, 1.2)

    def dial_failed(self, target: Target, text: str) -> None:
        """Log it once."""
        address = str(Address(*target.address))
        where = f"{target.name} at {address}" if target.name else address
        self._exchange.notices.say(target.name or address, f"cannot reach {where}: {text}; trying on")

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(KEEPALIVE_S)
            self._exchange.sweep()
