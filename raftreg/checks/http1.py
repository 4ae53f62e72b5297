"""The part of HTTP/1.1 that a probe needs: one request on a connection of its own, and the response to it.

A general client costs several times the processor time of this one, and thousands of checks share the loop with the
registry. What is read is bounded: a head of 256 KiB, a body of 1 MiB, of which the end is kept. Spec: RFC 9112.
"""

import asyncio
import re
from typing import Final, cast

from raftreg.checks.dialing import ProbeFailed, system_text
from raftreg.checks.outcome import Tail

HEAD_MAX: Final = 256 * 1024  # bytes
BODY_MAX: Final = 1024 * 1024  # bytes; who sends more has said enough
_LINE_MAX: Final = 16 * 1024
_BROKEN: Final = "net/http: HTTP/1.x transport connection broken: "
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[0-9] ([0-9]{3})(?: ([^\r\n]*))?")
_CHUNK_SIZE: Final = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?")


class ResponseReader:
    """Takes the bytes of a response as they come. The fields count once `has_head` is set."""

    def __init__(self, *, head_only: bool, output_max: int) -> None:
        """`head_only`: the request was a HEAD, whose response has no body whatever it says."""
        self.status = 0
        self.reason = ""
        self.location: str | None = None
        self.body = Tail(output_max)
        self._head_only = head_only
        self._pending = bytearray()
        self.has_head = False
        self._left: int | None = None  # bytes of the body, or of the chunk, that are still to come
        self._chunked = False

    def feed(self, data: bytes) -> bool:
        """Take more; whether the response is complete. ProbeFailed if it is none."""
        self._pending += data
        if not self.has_head and not self._read_head():
            if len(self._pending) > HEAD_MAX:
                raise ProbeFailed(f"net/http: server response headers exceeded {HEAD_MAX} bytes; aborted")
            return False
        complete = self._read_chunks() if self._chunked else self._read_plain()
        return complete or self.body.total >= BODY_MAX

    def end(self) -> None:
        """Nothing more comes. ProbeFailed if the head is not there; a body that was cut off is no failure."""
        if not self.has_head:
            raise ProbeFailed("unexpected EOF" if self._pending else "EOF")

    def _read_head(self) -> bool:
        while not self.has_head:
            end = _HEAD_END.search(self._pending)
            if end is None:
                self._check_beginning()
                return False
            lines = bytes(self._pending[: end.start()]).split(b"\n")
            del self._pending[: end.end()]
            self._read_lines([line.rstrip(b"\r") for line in lines])
        return True

    def _check_beginning(self) -> None:
        """Do not wait for more of what does not even begin like a response."""
        beginning = bytes(self._pending[:7])
        if not b"HTTP/1.".startswith(beginning) and beginning != b"HTTP/1.":
            self._refuse(bytes(self._pending).partition(b"\n")[0])

    def _refuse(self, line: bytes) -> None:
        shown = line[:200].rstrip(b"\r").decode("ascii", "backslashreplace")
        raise ProbeFailed(f'{_BROKEN}malformed HTTP response "{shown}"')

    def _read_lines(self, lines: list[bytes]) -> None:
        found = _STATUS_LINE.fullmatch(lines[0])
        if found is None:
            self._refuse(lines[0])
        assert found is not None
        self.status = int(found[1])
        if 100 <= self.status < 200 and self.status != 101:
            return  # The response proper is still to come.
        self.reason = (found[2] or b"").decode("latin-1").strip()
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip()
        location = headers.get(b"location")
        self.location = None if location is None else location.decode("utf-8", "replace")
        self._choose_framing(headers)
        self.has_head = True

    def _choose_framing(self, headers: dict[bytes, bytes]) -> None:
        """How the end of the body is told: by nothing, chunks, a length, or the end of the connection."""
        if self._head_only or self.status in (101, 204, 304):
            self._left = 0
        elif b"chunked" in headers.get(b"transfer-encoding", b"").lower():
            self._chunked = True
        elif b"content-length" in headers:
            length = headers[b"content-length"]
            if not length.isdigit() or len(length) > 18:
                raise ProbeFailed(f'{_BROKEN}bad Content-Length "{length[:50].decode("latin-1")}"')
            self._left = int(length)

    def _read_plain(self) -> bool:
        if self._left is None:
            self.body.add(bytes(self._pending))
        else:
            self.body.add(bytes(self._pending[: self._left]))
            self._left -= min(self._left, len(self._pending))
        self._pending.clear()
        return self._left == 0

    def _read_chunks(self) -> bool:
        while True:
            if self._left is None:
                line, newline, rest = self._pending.partition(b"\n")
                if not newline:
                    if len(line) > _LINE_MAX:
                        raise ProbeFailed("http chunk length too long")
                    return False
                self._pending = rest
                line = line.rstrip(b"\r")
                size = _CHUNK_SIZE.fullmatch(line)
                if size is None:
                    raise ProbeFailed("invalid byte in chunk length")
                self._left = int(size[1], 16)
                if self._left == 0:
                    return True  # Trailers say nothing to a probe.
            taken = bytes(self._pending[: self._left])
            self.body.add(taken)
            del self._pending[: len(taken)]
            self._left -= len(taken)
            if self._left or b"\n" not in self._pending[:2]:
                return False  # The rest of the chunk, or the line end behind it, is still to come.
            del self._pending[: self._pending.index(b"\n") + 1]
            self._left = None


class Exchange(asyncio.Protocol):
    """Sends one request when it is connected, reads the response, closes. `done` then tells how it went."""

    def __init__(self, request: bytes, reader: ResponseReader, done: "asyncio.Future[None]") -> None:
        self._request = request
        self._reader = reader
        self._done = done
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of a class of their own
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """More of the response."""
        if self._done.done():
            return
        try:
            complete = self._reader.feed(data)
        except ProbeFailed as error:
            # As in Consul the status has been said; what is wrong with the body shows in the output.
            self._finish(None if self._reader.has_head else error)
        else:
            if complete:
                self._finish(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more comes."""
        if self._done.done():
            return
        try:
            self._reader.end()
        except ProbeFailed as error:
            failure = error
            if isinstance(exc, OSError) and exc.errno is not None:
                failure = ProbeFailed(f"read: {system_text(exc)}")
            self._finish(failure)
        else:
            self._finish(None)

    def _finish(self, error: ProbeFailed | None) -> None:
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)
        if self._transport is not None:
            self._transport.abort()
