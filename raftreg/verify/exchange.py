"""A connection to one node on which every request is sent once, so that what became of it is known, or known not to be.

An ordinary client sends a request again when a kept connection turns out to be broken. Here that would hide the very
thing that is looked for: a write that was done twice, or a compare-and-set that met itself.
"""

import asyncio
import errno
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from raftreg.addresses import Address
from raftreg.errors import RaftregError

BODY_BYTES_MAX = 64 << 20
CONNECT_TIMEOUT_S = 5.0
REFUSED = os.strerror(errno.ECONNREFUSED).lower()


class NotSent(RaftregError):
    """Nobody took the connection: nothing happened. `why` in a few words."""

    def __init__(self, address: Address, why: str) -> None:
        super().__init__(f"{address}: {why}")
        self.why = why


class Unanswered(RaftregError):
    """The request was sent, or some of it, and no whole answer came: it may have been done, or may still be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer. `headers` by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text, without blanks at its ends."""
        return self.body.decode("utf-8", "replace").strip()

    @property
    def index(self) -> int | None:
        """X-Consul-Index, None if there is none."""
        given = self.headers.get("x-consul-index", "")
        return int(given) if given.isdigit() else None


def _why(error: OSError) -> str:
    """Why no connection came about. A name with several addresses has several reasons, in one text."""
    if isinstance(error, socket.gaierror):
        return f"the name is not known: {error.strerror}"
    codes = sorted(set(map(int, re.findall(r"\[Errno (\d+)\]", str(error)))))
    return ", ".join(os.strerror(code).lower() for code in codes) or str(error) or "no answer to the attempt"


class Connection:
    """One request at a time; connects when needed."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._address, self._timeout_s = address, timeout_s
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def request(self, method: str, path: str, body: bytes = b"") -> Answer:
        """Send once and wait for the answer. NotSent or Unanswered."""
        try:
            async with asyncio.timeout(min(self._timeout_s, CONNECT_TIMEOUT_S)):
                await self._connect()
        except (OSError, TimeoutError) as error:
            self.close()
            raise NotSent(self._address, _why(error)) from None
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._exchange(method, path, body)
        except (OSError, TimeoutError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            self.close()
            raise Unanswered(f"{self._address}: {str(error) or 'timeout'}") from None
        except asyncio.CancelledError:
            self.close()
            raise

    def close(self) -> None:
        """Drop the connection; the next request makes a new one."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    async def _connect(self) -> None:
        # What ended while nothing was under way is replaced before anything is sent.
        if self._reader is not None and (self._reader.at_eof() or self._reader.exception() is not None):
            self.close()
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(*self._address)

    async def _exchange(self, method: str, path: str, body: bytes) -> Answer:
        assert self._reader is not None
        assert self._writer is not None
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._address}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode("ascii") + body)
        await self._writer.drain()
        first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(first.split(" ", 2)[1])
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        answer = Answer(status, headers, await self._body(self._reader, status, headers))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    @staticmethod
    async def _body(reader: asyncio.StreamReader, status: int, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            parts: list[bytes] = []
            while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                if size + sum(map(len, parts)) > BODY_BYTES_MAX:
                    raise ValueError("the answer is too large")
                parts.append((await reader.readexactly(size + 2))[:-2])
            await reader.readuntil(b"\r\n")
            return b"".join(parts)
        size = int(headers.get("content-length", "0"))
        if size > BODY_BYTES_MAX:
            raise ValueError("the answer is too large")
        return await reader.readexactly(size) if status not in (204, 304) else b""
