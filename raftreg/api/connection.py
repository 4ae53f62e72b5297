"""One connection of the HTTP listener: aiohttp's, with bounds on how long and how large the head of a request may be.

aiohttp bounds the time between requests and the size of each header. Somebody who sends a head byte by byte, or
header after header, would keep a connection and its memory for as long as they like. Bytes beyond ASCII in the request
line, as curl sends them, are escaped before the parser sees and refuses them.

A request that is known by its bytes (`heads`) and whose route may be answered eagerly passes by aiohttp: parser,
request object and two tasks cost twice as much as the answer to a read. That is done only while aiohttp is idle on the
connection and stands at the beginning of a message; whatever comes before the answer is sent waits for it.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote_from_bytes

from raftreg.api.eager import Pending, begin
from raftreg.api.heads import Heads, Plain
from raftreg.api.webserver import RequestHandler, Server, StreamReader

log = logging.getLogger(__name__)

HEAD_S = 30.0  # from the first byte of a head to its last
HEAD_BYTES_MAX = 1024 * 1024  # of all headers together
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]+")
_REQUEST_LINE = re.compile(rb"[A-Z]+ [^ ]+ HTTP/1\.[01]")
_LEANED_ON = ("_messages", "_current_request", "_request_count")
if not set(_LEANED_ON) <= set(RequestHandler.__slots__):
    raise ImportError("raftreg.api.connection does not know this release of aiohttp: install one below 3.15")
# What answering past aiohttp leans on beside that. Without it all requests go aiohttp's way.
_LEANED_ON_BY_SHORTCUT = (
    "_waiter",
    "_close",
    "_force_close",
    "_keepalive",
    "_keepalive_handle",
    "_keepalive_timeout",
    "_next_keepalive_close_time",
    "_process_keepalive",
    "_buffer_paused",
    "_reading_paused",
)
_AT_BEGINNING = 0
_UNKNOWN = -1
_START = _AT_BEGINNING if all(hasattr(RequestHandler, name) for name in _LEANED_ON_BY_SHORTCUT) else _UNKNOWN
_HELD_MAX = 16  # pieces that are taken from a client which does not wait for its answer
_HELD_BYTES_MAX = 64 * 1024  # of a piece after which no other is taken

Shortcut = Callable[[Plain, asyncio.Transport], Coroutine[Any, Any, bytes]]


class Connections(Server):
    """aiohttp's low-level server, whose connections are those of this module."""

    def __init__(
        self, handler: Any, heads: Heads, shortcut: Shortcut, prefixes: tuple[str, ...], **options: Any
    ) -> None:
        """`shortcut` gives the whole answer, as bytes, to a request whose target begins with one of `prefixes`."""
        super().__init__(handler, **options)
        self.heads, self.shortcut, self.prefixes = heads, shortcut, prefixes
        self._options = options

    def __call__(self) -> RequestHandler:
        """The protocol of the next connection."""
        passed = {key: value for key, value in self._options.items() if key != "handler_cancellation"}
        return Connection(self, loop=asyncio.get_running_loop(), **passed)


class Connection(RequestHandler):
    """See the module."""

    __slots__ = ("_answering", "_body", "_head_bytes", "_head_timer", "_held", "_position", "_server")

    def __init__(self, manager: Connections, *, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        super().__init__(manager, loop=loop, **options)
        self._server = manager
        self._body: StreamReader | None = None  # of the request whose head came last
        self._head_bytes = 0  # of a head that is not complete yet
        self._head_timer: asyncio.TimerHandle | None = None
        self._position = _START  # of aiohttp's parser: how many bytes of a body it still expects, or _UNKNOWN
        self._answering: asyncio.Task[None] | None = None  # what passes by aiohttp and had to wait
        self._held: list[bytes] = []  # what came meanwhile

    def data_received(self, data: bytes) -> None:
        """More of a head or of a body."""
        if self._answering is not None:
            self._hold(data)
        elif not (self._position == _AT_BEGINNING and self._is_idle() and self._take_shortcut(data)):
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        """Give aiohttp what came."""
        if not data.isascii() and not self._head_bytes and self._body_is_complete():
            data = _escaped(data)
        requests = self._request_count
        in_body = not self._body_is_complete()
        super().data_received(data)
        if self._position != _UNKNOWN:
            self._note_position(data, self._request_count - requests)
        if self._request_count > requests:
            if self._messages:
                self._body = self._messages[-1][1]
            if self._head_bytes:
                self._head_is_complete()
        elif data and not in_body:
            self._head_goes_on(len(data))

    # Past aiohttp.

    def _is_idle(self) -> bool:
        """Whether aiohttp waits for a request, and would answer it."""
        waiter = self._waiter
        return waiter is not None and not waiter.done() and not self._close and not self._force_close

    def _note_position(self, data: bytes, messages: int) -> None:
        """Where the parser stands after `data`. Once that is in doubt it is never known again."""
        position = _UNKNOWN
        if self._position > 0:
            if not messages:
                position = max(self._position - len(data), _UNKNOWN)
        elif not data:
            position = self._position
        elif messages == 1:
            missing = self._server.heads.learn(data, self._messages[-1][0])
            position = _UNKNOWN if missing is None else missing
        self._position = position

    def _take_shortcut(self, data: bytes) -> bool:
        """Answer what is one whole request that is known and may be answered eagerly; False if it is not."""
        transport, server = self.transport, self._server
        request = server.heads.recognize(data)
        if (
            request is None
            or not request.target.startswith(server.prefixes)
            or transport is None
            or transport.get_write_buffer_size()  # the client is slow, which is aiohttp's to deal with
        ):
            return False
        try:
            answer = begin(server.shortcut(request, transport))
        except Exception as error:
            self._fail(error)
            return True
        if isinstance(answer, Pending):
            self._answering = self._loop.create_task(self._answer_later(answer))
        else:
            self._send(answer)
        return True

    async def _answer_later(self, pending: Pending[bytes]) -> None:
        try:
            answer = await pending.result()
        except Exception as error:
            self._fail(error)
            return
        finally:
            self._answering = None
        self._send(answer)
        if self._held:
            self._take_held()

    def _hold(self, data: bytes) -> None:
        """Keep what a client says before it has its answer, but not without end."""
        self._held.append(data)
        if self.transport is not None and (len(self._held) >= _HELD_MAX or len(data) >= _HELD_BYTES_MAX):
            self.transport.pause_reading()

    def _take_held(self) -> None:
        """Go on with it, up to what has to wait again."""
        while self._held and self._answering is None:
            self.data_received(self._held.pop(0))
        if self.transport is not None and not (self._held or self._buffer_paused or self._reading_paused):
            self.transport.resume_reading()

    def _send(self, answer: bytes) -> None:
        """Write, and wait for the next request as long as aiohttp would."""
        if self.transport is None or self.transport.is_closing():
            return
        self.transport.write(answer)
        self._next_keepalive_close_time = when = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(when, self._process_keepalive)

    def _fail(self, error: Exception) -> None:
        """What answers requests should not raise anything."""
        log.error("a request failed unexpectedly", exc_info=error)
        self.force_close()

    def _process_keepalive(self) -> None:
        """A connection whose request waits is not idle, although aiohttp is."""
        if self._answering is not None:
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()

    async def shutdown(self, timeout: float | None = 15.0) -> None:
        """Give the request in hand as long as aiohttp would, then close."""
        if self._answering is not None:
            await asyncio.wait([self._answering], timeout=timeout)
        await super().shutdown(timeout)

    # The life of the connection.

    def connection_lost(self, exc: BaseException | None) -> None:
        """The client is gone, or was sent away."""
        self._head_is_complete()
        if self._answering is not None:
            self._answering.cancel()
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
