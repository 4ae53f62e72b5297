"""Frames on the wire: 4 bytes of length (big endian), then one msgpack array.

A decoder never allocates by what a stranger claims: a frame above the limit is an error as soon as its length is
read, and the limit is small until the peer has proved itself. Whatever is wrong is a ProtocolError, which concerns
that connection only. An empty array is a keepalive.
"""

import struct
from collections.abc import Sequence
from typing import Any

import msgpack

from raftreg.errors import RaftregError

HANDSHAKE_LIMIT_BYTES = 4 << 10
MESSAGE_LIMIT_BYTES = 16 << 20

_LENGTH = struct.Struct(">I")
# Far above any limit as a length, and what comes of a port that is mistaken for another.
_HTTP_BEGINS = (b"HTTP", b"GET ", b"HEAD", b"PUT ", b"POST")


class ProtocolError(RaftregError):
    """The peer does not speak this protocol. The text says what was wrong, in a few words."""


def encode_frame(message: Sequence[Any]) -> bytes:
    """One frame. Raises ValueError or TypeError for what msgpack does not take, and ValueError when it is too long."""
    body: bytes = msgpack.packb(message)
    if len(body) > MESSAGE_LIMIT_BYTES:
        raise ValueError(f"message of {len(body)} bytes, at most {MESSAGE_LIMIT_BYTES} fit into a frame")
    return _LENGTH.pack(len(body)) + body


KEEPALIVE_FRAME = encode_frame([])


def _refuse_extension(code: int, data: bytes) -> Any:
    raise ProtocolError(f"extension type {code} in a frame")


def decode_body(body: bytes | memoryview) -> list[Any]:
    """The message in the body of a frame. Raises ProtocolError."""
    try:
        message = msgpack.unpackb(body, ext_hook=_refuse_extension, timestamp=1)
    except ProtocolError:
        raise
    except (ValueError, TypeError, RecursionError, OverflowError, msgpack.UnpackException) as error:
        raise ProtocolError("a frame that is not msgpack") from error
    if type(message) is not list:
        raise ProtocolError("a frame that is not an array")
    return message


class FrameDecoder:
    """Cuts a stream into messages. `limit` is the greatest body, in bytes; it may be raised between two calls."""

    def __init__(self, limit: int = HANDSHAKE_LIMIT_BYTES) -> None:
        self.limit = limit
        self._rest = bytearray()

    def feed(self, data: bytes) -> None:
        """Add what was read."""
        self._rest += data

    def next(self) -> list[Any] | None:
        """The next whole message, or None. Raises ProtocolError; then the decoder is of no use any more."""
        found = self.take(1)
        return found[0] if found else None

    def take(self, count: int = 1 << 30) -> list[list[Any]]:
        """At most `count` whole messages."""
        rest = self._rest
        size = len(rest)
        offset = 0
        messages: list[list[Any]] = []
        with memoryview(rest) as view:
            while len(messages) < count and size - offset >= 4:
                (length,) = _LENGTH.unpack_from(view, offset)
                if length > self.limit or not length:
                    if rest[offset : offset + 4] in _HTTP_BEGINS:
                        raise ProtocolError(
                            "that is HTTP: the Raft port is another (--raft) than the HTTP port"
                        )
                    raise ProtocolError(f"a frame of {length} bytes where at most {self.limit} are allowed")
                if size - offset - 4 < length:
                    break
                with view[offset + 4 : offset + 4 + length] as body:
                    messages.append(decode_body(body))
                offset += 4 + length
        if offset:
            del rest[:offset]
        return messages
