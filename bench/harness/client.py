"""The least HTTP clients, so that the servers are what is measured: one that blocks, one on asyncio."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from types import TracebackType

from bench.harness.dialects import Call

_END = b"\r\n\r\n"


def encode(call: Call) -> bytes:
    """The request as bytes."""
    body = call.body.encode()
    head = f"{call.method} {call.path} HTTP/1.1\r\nHost: b\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class BlockingClient:
    """A keep-alive connection that waits for each answer."""

    def __init__(self, address: tuple[str, int], timeout_s: float = 30.0) -> None:
        self._socket = socket.create_connection(address, timeout=timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def __enter__(self) -> "BlockingClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, call: Call) -> tuple[int, bytes]:
        """Status and body. OSError if the connection breaks."""
        self._socket.sendall(encode(call))
        head = self._read_until_end()
        return int(head[9:12]), self._read_body(head.lower())

    def _read_until_end(self) -> bytes:
        while _END not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(_END)
        return head

    def _read_body(self, head: bytes) -> bytes:
        if b"content-length:" in head:
            return self._take(_content_length(head))
        if b"chunked" not in head:
            return b""
        body = b""
        while True:
            while b"\r\n" not in self._rest:
                self._more()
            line, _, self._rest = self._rest.partition(b"\r\n")
            size = int(line.partition(b";")[0], 16)
            chunk = self._take(size + 2)[:-2]
            if not size:
                return body
            body += chunk

    def _take(self, size: int) -> bytes:
        while len(self._rest) < size:
            self._more()
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def _more(self) -> None:
        data = self._socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._rest += data


def _content_length(head: bytes) -> int:
    begin = head.index(b"content-length:") + len(b"content-length:")
    end = head.find(b"\r\n", begin)
    return int(head[begin : end if end >= 0 else len(head)])


class Connection:
    """A keep-alive connection on asyncio."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> "Connection":
        self._reader, self._writer = await asyncio.open_connection(*self._address, limit=1 << 24)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    async def send(self, call: Call) -> tuple[int, bytes, bytes]:
        """Status, head in lower case, body. EOFError (IncompleteReadError) or OSError if the connection breaks."""
        self._writer.write(encode(call))
        head = (await self._reader.readuntil(_END)).lower()
        if b"content-length:" in head:
            body = await self._reader.readexactly(_content_length(head))
        else:
            body = b"".join([part async for part in self._chunks()]) if b"chunked" in head else b""
        return int(head[9:12]), head, body

    async def stream(self, call: Call) -> None:
        """Send a request whose answer does not end; `next_line` gives its parts."""
        self._writer.write(encode(call))
        await self._reader.readuntil(_END)

    async def next_line(self) -> bytes:
        """The next chunk of a stream."""
        size = int((await self._reader.readuntil(b"\r\n")).partition(b";")[0], 16)
        return (await self._reader.readexactly(size + 2))[:-2]

    async def _chunks(self) -> AsyncIterator[bytes]:
        while chunk := await self.next_line():
            yield chunk


async def answered(address: tuple[str, int], call: Call, timeout_s: float) -> float | None:
    """One request on a connection of its own: when its 200 was there, on perf_counter; None if none came."""
    try:
        async with asyncio.timeout(timeout_s), Connection(address) as connection:
            status, _, _ = await connection.send(call)
    except (OSError, EOFError, TimeoutError):
        return None
    return time.perf_counter() if status == 200 else None
