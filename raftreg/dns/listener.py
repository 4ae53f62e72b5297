"""UDP and TCP around the answerer. Datagrams are answered at once; a stream is answered question by question."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final

from raftreg.dns import wire
from raftreg.dns.answerer import Answerer, Reply
from raftreg.dns.recursors import Recursors

log = logging.getLogger(__name__)

IDLE_S: Final = 10.0  # a connection on which nothing happens for so long is closed
WRITE_S: Final = 5.0  # what a client may take to accept an answer
CONNECTIONS_MAX: Final = 512
FORWARDED_MAX: Final = 256  # datagrams that wait for a recursor
_DATAGRAMS_PER_TURN: Final = 64  # so that a flood leaves room for everything else
_DATAGRAM_MAX: Final = 65_535
_RECEIVE_BUFFER: Final = 1024 * 1024
_BACKLOG: Final = 256
_PORT_TRIES: Final = 8

Count = Callable[[str, str], None]  # (rcode, udp or tcp)


class DnsListener:
    """One address for both protocols. `port` is the real one after `start`."""

    def __init__(
        self, answerer: Answerer, host: str, port: int, *, count: Count, recursors: Recursors | None = None
    ) -> None:
        self.port = port
        self._host = host
        self._answerer = answerer
        self._recursors = recursors
        self._count = count
        self._udp: socket.socket | None = None
        self._tcp: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections = 0

    async def start(self) -> None:
        """Listen. OSError if that is not possible."""
        loop = asyncio.get_running_loop()
        info = await loop.getaddrinfo(self._host, self.port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
        family, host, port = info[0][0], str(info[0][4][0]), self.port
        for attempt in range(_PORT_TRIES):
            try:
                await self._bind(family, host, port)
            except OSError:
                await self._close()
                # Any free port: that of the datagrams may be taken for streams.
                if port != 0 or attempt == _PORT_TRIES - 1:
                    raise
            else:
                return

    async def _bind(self, family: int, host: str, port: int) -> None:
        self._udp = udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.setblocking(False)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        if family == socket.AF_INET6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        udp.bind((host, port))
        port = udp.getsockname()[1]
        self._tcp = await asyncio.start_server(self._serve, host, port, backlog=_BACKLOG)
        self.port = port
        asyncio.get_running_loop().add_reader(udp.fileno(), self._on_readable)

    async def stop(self) -> None:
        """Close everything; who waits for an answer gets none."""
        await self._close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _close(self) -> None:
        if self._tcp is not None:
            self._tcp.close()
            self._tcp = None
        if self._udp is not None:
            asyncio.get_running_loop().remove_reader(self._udp.fileno())
            self._udp.close()
            self._udp = None

    # Datagrams.

    def _on_readable(self) -> None:
        udp = self._udp
        for _ in range(_DATAGRAMS_PER_TURN):
            if udp is None:
                return
            try:
                query, client = udp.recvfrom(_DATAGRAM_MAX)
            except BlockingIOError:
                return
            except OSError as error:
                # Somebody's port was closed before the answer came; that says nothing about this socket.
                log.debug("DNS: a datagram was not received: %s", error)
                continue
            reply = self._reply(query, udp=True)
            if reply is None:
                continue
            if self._may_recurse(reply):
                self._forward(query, reply, client)
            else:
                self._send(reply.data, reply.rcode, client)

    def _send(self, data: bytes, rcode: int, client: object) -> None:
        if self._udp is None:
            return
        try:
            self._udp.sendto(data, client)  # type: ignore[call-overload]
        except OSError as error:
            log.debug("DNS: an answer was not sent to %s: %s", client, error)
        self._count(wire.RCODES.get(rcode, str(rcode)), "udp")

    def _forward(self, query: bytes, reply: Reply, client: object) -> None:
        if len(self._tasks) >= FORWARDED_MAX + self._connections:
            self._send(wire.bare_reply(query, wire.SERVFAIL), wire.SERVFAIL, client)
            return

        async def forward() -> None:
            data = await self._recurse(query, reply, udp=True)
            self._send(data, data[3] & 0x0F, client)

        self._spawn(asyncio.get_running_loop().create_task(forward()))

    def _spawn(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Streams.

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._spawn(task)
        self._connections += 1
        try:
            if self._connections <= CONNECTIONS_MAX:
                await self._converse(reader, writer)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError) as error:
            log.debug("DNS: a connection ended: %r", error)
        finally:
            self._connections -= 1
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer questions in their order until the client is silent, slow or gone (RFC 7766)."""
        while True:
            async with asyncio.timeout(IDLE_S):
                query = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
            reply = self._reply(query, udp=False)
            if reply is None:
                return
            data = reply.data
            if self._may_recurse(reply):
                data = await self._recurse(query, reply, udp=False)
            async with asyncio.timeout(WRITE_S):
                writer.write(len(data).to_bytes(2) + data)
                await writer.drain()
            self._count(wire.RCODES.get(reply.rcode, str(reply.rcode)), "tcp")

    # Both.

    def _reply(self, query: bytes, *, udp: bool) -> Reply | None:
        try:
            return self._answerer.reply(query, udp=udp)
        except Exception:  # a bug fails this question only
            log.exception("DNS: a question failed unexpectedly: %s", query[:300].hex())
            return Reply(wire.bare_reply(query, wire.SERVFAIL), wire.SERVFAIL)

    def _may_recurse(self, reply: Reply) -> bool:
        """Whether a recursor is to be asked before the answer is given."""
        plan = reply.plan
        return self._recursors is not None and plan is not None and (plan.forward or plan.outside is not None)

    async def _recurse(self, query: bytes, reply: Reply, *, udp: bool) -> bytes:
        assert self._recursors is not None
        return await self._recursors.improve(self._answerer, query, reply, udp=udp)
