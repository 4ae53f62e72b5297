"""One connection of the HTTP listener: aiohttp's, with bounds on how long and how large the head of a request may be.

aiohttp bounds the time between requests and the size of each header. Somebody who sends a head byte by byte, or
header after header, would keep a connection and its memory for as long as they like. Bytes beyond ASCII in the request
line, as curl sends them, are escaped before the parser sees and refuses them.
"""

import asyncio
import re
from typing import Any
from urllib.parse import quote_from_bytes

from raftreg.api.webserver import RequestHandler, Server, StreamReader

HEAD_S = 30.0  # from the first byte of a head to its last
HEAD_BYTES_MAX = 1024 * 1024  # of all headers together
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]+")
_REQUEST_LINE = re.compile(rb"[A-Z]+ [^ ]+ HTTP/1\.[01]")
_LEANED_ON = ("_messages", "_current_request", "_request_count")
if not set(_LEANED_ON) <= set(RequestHandler.__slots__):
    raise ImportError("raftreg.api.connection does not know this release of aiohttp: install one below 3.15")


class Connections(Server):
    """aiohttp's low-level server, whose connections are those of this module."""

    def __init__(self, handler: Any, **options: Any) -> None:
        super().__init__(handler, **options)
        self._options = options

    def __call__(self) -> RequestHandler:
        """The protocol of the next connection."""
        passed = {key: value for key, value in self._options.items() if key != "handler_cancellation"}
        return Connection(self, loop=asyncio.get_running_loop(), **passed)


class Connection(RequestHandler):
    """See the module."""

    __slots__ = ("_body", "_head_bytes", "_head_timer")

    def __init__(self, manager: Server, *, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        super().__init__(manager, loop=loop, **options)
        self._body: StreamReader | None = None  # of the request whose head came last
        self._head_bytes = 0  # of a head that is not complete yet
        self._head_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """More of a head or of a body."""
        if not data.isascii() and not self._head_bytes and self._body_is_complete():
            data = _escaped(data)
        requests = self._request_count
        in_body = not self._body_is_complete()
        super().data_received(data)
        if self._request_count > requests:
            if self._messages:
                self._body = self._messages[-1][1]
            if self._head_bytes:
                self._head_is_complete()
        elif data and not in_body:
            self._head_goes_on(len(data))

    def connection_lost(self, exc: BaseException | None) -> None:
        """The client is gone, or was sent away."""
        self._head_is_complete()
        super().connection_lost(exc)

    def _body_is_complete(self) -> bool:
        """Whether what comes next begins a head, or goes on with one."""
        return self._body is None or self._body.is_eof()

    def _is_busy(self) -> bool:
        """Whether requests wait or are being answered: what came after them may have to wait too."""
        return bool(self._messages) or self._current_request is not None

    def _head_goes_on(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES_MAX and not self._is_busy():
            self._refuse(b"431 Request Header Fields Too Large")
        elif self._head_timer is None:
            loop = asyncio.get_running_loop()
            self._head_timer = loop.call_later(HEAD_S, self._give_up_head)

    def _give_up_head(self) -> None:
        self._head_timer = None
        if not self._is_busy():
            self._refuse(b"408 Request Timeout")

    def _head_is_complete(self) -> None:
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: bytes) -> None:
        """Say why, and close."""
        self._head_is_complete()
        if self.transport is not None:
            head = b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            self.transport.write(head)
        self.force_close()


def _escaped(data: bytes) -> bytes:
    """The bytes of a request with its first line in ASCII."""
    line, end, rest = data.partition(b"\r\n")
    if not end or line.isascii() or _REQUEST_LINE.fullmatch(line) is None:
        return data
    escaped = _BEYOND_ASCII.sub(lambda found: quote_from_bytes(found[0]).encode("ascii"), line)
    return escaped + end + rest
