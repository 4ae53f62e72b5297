"""A response that aiohttp sends in one piece.

aiohttp's own response goes through a writer that can also chunk, compress and hold back, and costs a third of a small
answer. This one is for answers that need none of that, on a connection whose client keeps up.
"""

from collections.abc import Mapping
from http import HTTPStatus

from raftreg.api.webserver import BaseRequest, HttpVersion10, StreamResponse, rfc822_formatted_time

WHOLE_MAX = 64 * 1024  # bytes of body: what a transport takes before it asks to be waited for

_REASONS = {status.value: status.phrase for status in HTTPStatus}


class Whole(StreamResponse):
    """Status, headers and body, written at once. Not for HEAD. ValueError for a header with a line break in it."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(status=status)
        self._fields = headers
        self._payload = body

    async def prepare(self, request: BaseRequest) -> None:
        """Write everything. ConnectionError if the client is gone."""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        keeps = self._keep_alive = request.keep_alive
        lines = [f"HTTP/1.{request.version.minor} {self.status} {_REASONS.get(self.status, '')}"]
        for name, value in self._fields.items():
            if "\n" in value or "\r" in value:
                raise ValueError(f"a line break in the header {name}")
            lines.append(f"{name}: {value}")
        lines.append(f"Date: {rfc822_formatted_time()}")
        if not keeps:
            lines.append("Connection: close")
        elif request.version == HttpVersion10:
            lines.append("Connection: keep-alive")
        lines.append(f"Content-Length: {len(self._payload)}\r\n\r\n")
        transport.write("\r\n".join(lines).encode() + self._payload)

    async def write_eof(self, data: bytes = b"") -> None:
        """All is written."""
