"""A response in one piece.

aiohttp's own response goes through a writer that can also chunk, compress and hold back, and costs a third of a small
answer. What is here is for answers that need none of that, on a connection whose client keeps up.
"""

from collections.abc import Mapping
from http import HTTPStatus

from raftreg.api.webserver import BaseRequest, StreamResponse, rfc822_formatted_time

WHOLE_MAX = 64 * 1024  # bytes of body: what a transport takes before it asks to be waited for

_REASONS = {status.value: status.phrase for status in HTTPStatus}


def one_piece(
    status: int, headers: Mapping[str, str], body: bytes, *, version: int = 1, keeps: bool = True
) -> bytes:
    """A whole answer of HTTP/1.`version`. ValueError for a header with a line break in it."""
    fields = "\r\n".join(map(": ".join, headers.items()))
    fields = f"{fields}\r\n" if fields else ""
    if fields.count("\n") != len(headers) or fields.count("\r") != len(headers):
        raise ValueError(f"a line break in a header: {fields!r}")
    connection = "" if keeps and version else f"Connection: {'keep-alive' if keeps else 'close'}\r\n"
    head = (
        f"HTTP/1.{version} {status} {_REASONS.get(status, '')}\r\n{fields}"
        f"Date: {rfc822_formatted_time()}\r\n{connection}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


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
        version = request.version.minor
        transport.write(
            one_piece(self.status, self._fields, self._payload, version=version, keeps=bool(keeps))
        )

    async def write_eof(self, data: bytes = b"") -> None:
        """All is written."""
