"""One TCP connection between two nodes: handshake, then frames. What to do with it is decided by the transport."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

from raftreg.consensus.frames import (
    KEEPALIVE_FRAME,
    MESSAGE_LIMIT_BYTES,
    FrameDecoder,
    ProtocolError,
    encode_frame,
)
from raftreg.consensus.hello import (
    ACCEPTOR,
    DIALER,
    REFUSED,
    Handshake,
    HandshakeRefused,
    Hello,
)
from raftreg.consensus.hub import Hub
from raftreg.consensus.target import Target

HANDSHAKE_TIMEOUT_S = 3.0


class Link(asyncio.Protocol):
    """A connection. It is `live` from the moment that it counts until it was closed or replaced."""

    def __init__(self, hub: Hub, target: Target | None, loop: asyncio.AbstractEventLoop) -> None:
        """`target`: whom this side dialed; None if the other side did."""
        self.role = ACCEPTOR if target is None else DIALER
        self.target = target
        self.peer: Hello | None = None
        self.live = False
        self.number = 0
        self.heard = 0.0
        self.wrote = True
        self.remote = "?"
        self.remote_host = ""
        # True when it became live, False when it failed.
        self.settled: asyncio.Future[bool] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()
        self._hub = hub
        self._loop = loop
        self._decoder = FrameDecoder()
        self._handshake: Handshake | None = None
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._dropped = False

    # Called by the loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass.
        address = transport.get_extra_info("peername")
        if isinstance(address, tuple):
            self.remote, self.remote_host = f"{address[0]}:{address[1]}", address[0]
        connected = transport.get_extra_info("socket")
        if connected is not None:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.heard = self._hub.now()
        self._deadline = self._loop.call_later(HANDSHAKE_TIMEOUT_S, self._too_slow)
        self._hub.link_opened(self)
        self._handshake = self._hub.begin_handshake(self)
        self._write_now(self._handshake.begin())

    def data_received(self, data: bytes) -> None:
        """Deliver what is whole."""
        if self._dropped:
            return
        self.heard = self._hub.now()
        try:
            self._decoder.feed(data)
            if not self.live and not self._greet():
                return
            self._deliver()
        except ProtocolError as error:
            self._fail(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the transport, whoever closed."""
        by_peer = not self._dropped
        self._dropped = True
        self._end_handshake()
        self._hub.link_closed(self, by_peer=by_peer)
        self.live = False
        self.gone.set_result(None)

    # Called by the transport.

    def send(self, frame: bytes) -> None:
        """Queue a frame of a live link; all frames of one turn of the loop become one write."""
        if not self._out:
            self._hub.flush_soon(self)
        self._out.append(frame)
        self._out_bytes += len(frame)

    def flush(self) -> None:
        """Write what is queued."""
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self._out_bytes = 0
        self._write_now(data)

    def ping(self) -> None:
        """Write a keepalive, which does not count as writing."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(KEEPALIVE_FRAME)

    def waiting_bytes(self) -> int:
        """How much was sent here and not yet taken by the kernel."""
        return self._out_bytes + (self._transport.get_write_buffer_size() if self._transport else 0)

    def drop(self) -> None:
        """Close at once; nothing that comes is delivered any more."""
        self.live = False
        self._dropped = True
        self._end_handshake()
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close when what was sent is with the kernel."""
        if self._out:
            self.flush()
        self.live = False
        self._dropped = True
        self._end_handshake()
        if self._transport is not None:
            self._transport.close()

    # The handshake.

    def _greet(self) -> bool:
        """Go on with the handshake. True once the link is live."""
        assert self._handshake is not None
        try:
            while not self.live and not self._dropped:
                message = self._decoder.next()
                if message is None:
                    return False
                if message and message[0] == REFUSED:
                    self._told(message)
                else:
                    self._step(self._handshake, message)
        except HandshakeRefused as refusal:
            self.refuse(refusal.text)
        return self.live

    def _step(self, handshake: Handshake, message: list[Any]) -> None:
        if not handshake.done:
            answer = handshake.receive(message)
            self.peer = handshake.peer
            if handshake.done:
                self._proved(answer)
            else:
                self._write_now(answer)
            return
        match message:
            case ["use", int(number)] if number > 0:
                self._become_live(number)
            case _:
                raise ProtocolError("a message before the connection was in use")

    def _proved(self, answer: bytes) -> None:
        """Both sides accepted; the arbiter says which connection counts."""
        if not self._hub.link_proved(self):
            self.drop()
            return
        number = self._hub.use_number(self)
        if number is None:
            self._write_now(answer)
            return
        self._write_now(answer + encode_frame(["use", number]))
        self._become_live(number)

    def _become_live(self, number: int) -> None:
        self.number = number
        self._decoder.limit = MESSAGE_LIMIT_BYTES
        if self._deadline is not None:
            self._deadline.cancel()
        self.live = True
        refusal = self._hub.link_live(self)
        if refusal is not None:
            self.live = False
            self.refuse(refusal)
        elif not self.settled.done():
            self.settled.set_result(True)

    def refuse(self, text: str) -> None:
        """Tell the peer why, and close."""
        assert self._handshake is not None
        self._hub.link_refused(self, text)
        self._write_now(self._handshake.refusal(text))
        self.close()

    def _told(self, message: list[Any]) -> None:
        """The peer refused."""
        assert self._handshake is not None
        text, authentic = self._handshake.told(message)
        self._hub.link_told(self, text, authentic=authentic)
        self._hub.link_closed(self, by_peer=False)
        self.drop()

    def _end_handshake(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        if not self.settled.done():
            self.settled.set_result(False)

    def _too_slow(self) -> None:
        self._fail(f"no handshake within {HANDSHAKE_TIMEOUT_S:g} s")

    def _fail(self, text: str) -> None:
        if not self._dropped:
            self._hub.link_failed(self, text)
            self._hub.link_closed(self, by_peer=False)
            self.drop()

    # Data.

    def _deliver(self) -> None:
        deliver = self._hub.link_message
        for message in self._decoder.take():
            if not self.live:
                return
            if not message:
                continue
            if message[0] == REFUSED:
                # The peer changed its mind after the handshake: another process with this id was there already.
                self._told(message)
                return
            deliver(self, message)
        self._hub.turn_done()

    def _write_now(self, data: bytes) -> None:
        if data and self._transport is not None and not self._transport.is_closing():
            self.wrote = True
            self._transport.write(data)


def link_factory(hub: Hub, loop: asyncio.AbstractEventLoop, target: Target | None) -> Callable[[], Link]:
    """What makes the link of a connection: to a target, or, if that is None, one that was accepted."""
    return lambda: Link(hub, target, loop)
