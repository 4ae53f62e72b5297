"""The least client that keeps a connection: it costs little, so that the nodes are what is measured."""

import asyncio
from types import TracebackType


class Connection:
    """A keep-alive connection to one node."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> "Connection":
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    async def put(self, path: str, body: bytes) -> int:
        """The status of a PUT."""
        return await self._exchange(
            f"PUT {path} HTTP/1.1\r\nHost: r\r\nContent-Length: {len(body)}\r\n\r\n", body
        )

    async def get(self, path: str) -> int:
        """The status of a GET, whose body is read."""
        return await self._exchange(f"GET {path} HTTP/1.1\r\nHost: r\r\n\r\n", b"")

    async def _exchange(self, head: str, body: bytes) -> int:
        """EOFError (IncompleteReadError) or OSError if the connection breaks."""
        self._writer.write(head.encode("ascii") + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        marker = answer.lower().index(b"content-length:") + len(b"content-length:")
        await self._reader.readexactly(int(answer[marker : answer.index(b"\r\n", marker)]))
        return int(answer[9:12])
