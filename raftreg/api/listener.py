"""The shell around the handlers: aiohttp's low-level server turned into `Request` and `Response`, and back.

aiohttp parses HTTP/1.1, keeps connections, takes chunked bodies and cancels the handler when its client is gone;
this module adds limits, `Expect: 100-continue` and gzip. Requests that need none of that pass by it, see `connection`:
they come as `Plain` and go as bytes, through the same handlers. Nothing else of raftreg knows aiohttp's server side.
"""

import asyncio
import contextlib
import gzip
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import lru_cache
from typing import Any

from raftreg.api import webserver as web
from raftreg.api.connection import Connections
from raftreg.api.heads import Heads, Plain
from raftreg.api.http import Connection, Query, Request, Response, decode_percent
from raftreg.api.render import text_response
from raftreg.api.routes import EAGER_BODY_MAX
from raftreg.api.whole import WHOLE_MAX, Whole, one_piece

log = logging.getLogger(__name__)
_server_log = log.getChild("http")  # what aiohttp itself has to say

LINE_MAX = 64 * 1024  # bytes of the request line and of a header: keys are long
GZIP_MIN = 256  # bytes of body below which compressing costs more than it saves
_GZIP_LEVEL = 1
# Bytes of a body whose compressed form is kept for the next client that gets the same.
_GZIP_KEPT_MAX = 256 * 1024
_KEEPALIVE_S = 120.0
BODY_PAUSE_S = 30.0  # that a client may take between two pieces of a body
_CLOSING_LOOK_S = 0.02
_SERVER = "raftreg"
_COMPRESSED_TYPE = "application/x-gzip"  # what is compressed already

BodyLimit = Callable[[str], tuple[int, str]]


class Listener:
    """One listening address of the HTTP API."""

    def __init__(
        self,
        answer: Callable[[Request], Awaitable[Response]],
        body_limit: BodyLimit,
        host: str,
        port: int,
        *,
        eager: tuple[str, ...] = (),
    ) -> None:
        """`answer` gets every request; `body_limit` says for a decoded path how many bytes its body may have.

        Targets that begin with one of `eager` may be answered outside of any task, see `raftreg.api.eager`.
        """
        self._answer = answer
        self._eager = eager
        self._body_limit = body_limit
        self._address = host, port
        self._web: web.Server | None = None
        self._server: asyncio.Server | None = None
        self._reading: set[asyncio.Task[Any]] = set()  # handlers that wait for more of a body
        self._streaming: set[asyncio.Task[Any]] = set()  # handlers whose answer has no end of its own

    async def start(self) -> None:
        """Listen. OSError if the address cannot be had."""
        loop = asyncio.get_running_loop()
        self._web = Connections(
            self._handle,
            Heads(EAGER_BODY_MAX),
            self._answer_plain,
            self._eager,
            handler_cancellation=True,
            access_log=None,
            logger=_server_log,
            auto_decompress=False,  # a value is stored as it was sent
            keepalive_timeout=_KEEPALIVE_S,
            max_line_size=LINE_MAX,
            max_field_size=LINE_MAX,
        )
        host, port = self._address
        self._server = await loop.create_server(self.connect, host, port, backlog=1024, reuse_address=True)

    def connect(self) -> asyncio.Protocol:
        """The server's side of one more connection."""
        assert self._web is not None
        return self._web()

    @property
    def port(self) -> int:
        """The port that is listened on, also when 0 was asked for."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self, grace_s: float = 5.0) -> None:
        """Take no more connections, give the requests in flight `grace_s` seconds, close what is left."""
        if self._server is not None:
            self._server.close()
        if self._web is None:
            return
        self._web.pre_shutdown()  # closes idle connections, which `shutdown` would wait for in vain
        closing = asyncio.ensure_future(self._web.shutdown(grace_s))
        while not closing.done():
            # aiohttp takes nothing more of a body now, so whoever waits for it would wait in vain.
            for task in (*self._reading, *self._streaming):
                task.cancel()
            await asyncio.wait([closing], timeout=_CLOSING_LOOK_S)
        await closing

    async def _answer_plain(self, plain: Plain, connection: Connection) -> bytes:
        """The whole answer to a request that aiohttp has no part in."""
        raw_path, _, raw_query = plain.target.partition("?")
        path = decode_percent(raw_path)
        request = Request(
            plain.method, path, raw_path, Query.parse(raw_query), plain.headers, plain.body, "", connection
        )
        response = await self._answer(request)
        assert response.stream is None
        return one_piece(response.status, response.headers, _dressed(request, response))

    async def _handle(self, incoming: web.BaseRequest) -> web.StreamResponse:
        refusal = _refusal(incoming)
        if refusal is not None:
            return _outgoing(incoming, Request(incoming.method, "", ""), refusal, is_last=True)
        raw_path, _, raw_query = _target(incoming.raw_path).partition("?")
        request = Request(
            incoming.method, decode_percent(raw_path), raw_path, Query.parse(raw_query), incoming.headers
        )
        request.connection = incoming.transport
        if incoming.body_exists:
            task = asyncio.current_task()
            assert task is not None
            self._reading.add(task)
            try:
                refusal = await self._read_body(incoming, request)
            finally:
                self._reading.discard(task)
            if refusal is not None:
                return _outgoing(incoming, request, refusal, is_last=True)
        response = await self._answer(request)
        if response.stream is not None:
            return await self._stream(incoming, response, response.stream)
        # Nobody changes to another protocol here, but aiohttp's parser may have believed it.
        return _outgoing(incoming, request, response, is_last="Upgrade" in incoming.headers)

    async def _stream(
        self, incoming: web.BaseRequest, response: Response, pieces: AsyncGenerator[bytes]
    ) -> web.StreamResponse:
        """Send piece after piece until there are no more, or the client is gone and this task is cancelled."""
        response.headers["Server"] = _SERVER
        outgoing = web.StreamResponse(status=response.status, headers=response.headers)
        if incoming.version >= web.HttpVersion11:
            outgoing.enable_chunked_encoding()
        else:
            outgoing.force_close()  # the end of the connection is the end of the answer
        task = asyncio.current_task()
        assert task is not None
        self._streaming.add(task)
        try:
            async with contextlib.aclosing(pieces):
                async for piece in pieces:
                    if not outgoing.prepared:
                        await outgoing.prepare(incoming)
                    if piece:
                        await outgoing.write(piece)
            await outgoing.write_eof()
        except ConnectionError:
            log.debug("a client went while an answer was sent")
        finally:
            self._streaming.discard(task)
        return outgoing

    async def _read_body(self, incoming: web.BaseRequest, request: Request) -> Response | None:
        """Put the body into the request, or say why not, without reading more of it than is allowed."""
        limit, setting = self._body_limit(request.path)
        declared = incoming.content_length
        if declared is not None and declared > limit:
            return _too_large(declared, limit, setting)
        if "Expect" in incoming.headers and incoming.transport is not None:
            incoming.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        content = incoming.content
        if content.is_eof():  # all of it came together with the head, as that of most requests does
            request.body = content.read_nowait()
            return None if len(request.body) <= limit else _too_large(len(request.body), limit, setting)
        chunks = []
        size = 0
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(BODY_PAUSE_S) as patience:
                async for chunk in content.iter_any():
                    size += len(chunk)
                    if size > limit:
                        return _too_large(size, limit, setting)
                    chunks.append(chunk)
                    patience.reschedule(loop.time() + BODY_PAUSE_S)
        except TimeoutError:
            return text_response(408, f"nothing more of the body came for {BODY_PAUSE_S:g} s")
        request.body = b"".join(chunks)
        return None


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Not what is no HTTP: its sender was told with a 400, and port scans shall not fill the log."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, web.HttpProcessingError)


_server_log.addFilter(_is_worth_a_line)


def _target(raw: str) -> str:
    """The path and query of a request target, also when a proxy's client sent the absolute form."""
    if raw.startswith("/"):
        return raw.partition("#")[0]
    _, scheme, rest = raw.partition("://")
    return "/" + rest.partition("/")[2] if scheme else raw


def _refusal(incoming: web.BaseRequest) -> Response | None:
    """Why a request is not looked at, whatever it asks for; None if it is."""
    if incoming.version < web.HttpVersion10:
        return text_response(400, "HTTP/1.0 or newer is needed")
    if incoming.raw_path == "*" or incoming.method == "CONNECT":
        return Response(200 if incoming.method == "OPTIONS" else 405)
    if not incoming.body_exists:
        return None
    headers = incoming.headers
    coding = headers.get("Transfer-Encoding")
    if coding is not None and coding.lower() != "chunked":
        return text_response(501, "the only Transfer-Encoding that is understood is chunked")
    expected = headers.get("Expect")
    if expected is not None and expected.lower() != "100-continue":
        return text_response(417, "the only expectation that is met is 100-continue")
    return None


def _too_large(size: int, limit: int, setting: str) -> Response:
    text = f"Request body({size} bytes) too large, max size: {limit} bytes. See {setting}."
    return text_response(413, text)


def _dressed(request: Request, response: Response) -> bytes:
    """Add to the headers what all answers have; the body, compressed if the client can take it and it is worth it."""
    headers, body = response.headers, response.body
    headers["Server"] = _SERVER
    if len(body) >= GZIP_MIN and headers.get("Content-Type") != _COMPRESSED_TYPE:
        headers["Vary"] = "Accept-Encoding"
        if _accepts_gzip(request.headers.get("Accept-Encoding", "")):
            body = _compressed(body) if len(body) <= _GZIP_KEPT_MAX else _compress(body)
            headers["Content-Encoding"] = "gzip"
    return body


def _outgoing(
    incoming: web.BaseRequest, request: Request, response: Response, *, is_last: bool
) -> web.StreamResponse:
    """The response as aiohttp sends it. With `is_last` the connection is closed after it."""
    body = _dressed(request, response)
    headers = response.headers
    transport = incoming.transport
    if (
        transport is None
        or transport.get_write_buffer_size()
        or len(body) > WHOLE_MAX
        or request.method == "HEAD"
        or is_last
    ):
        outgoing = web.Response(status=response.status, headers=headers, body=body)
        if is_last:
            outgoing.force_close()
        return outgoing
    return Whole(response.status, headers, body)


def _compress(body: bytes) -> bytes:
    return gzip.compress(body, _GZIP_LEVEL, mtime=0)


_compressed = lru_cache(maxsize=16)(_compress)  # a change that wakes a thousand clients is compressed once


def _accepts_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header allows gzip: named, and not with quality zero."""
    for part in accepted.split(","):
        coding, _, quality = part.partition(";")
        if coding.strip().lower() == "gzip":
            return quality.replace(" ", "").lower() not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
