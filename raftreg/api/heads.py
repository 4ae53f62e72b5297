"""Heads of requests that are known by their bytes, so that they need not be parsed again.

A client sends the same headers with each of its requests, byte for byte; what changes is the target and the body. So
what aiohttp's parser made of a head is kept under everything in it but method and target, and the next request with
the same bytes there is understood by one look into a dictionary. Only heads without anything unusual are kept:
HTTP/1.1, kept open, of visible ASCII, without folded lines, with a body of stated length or none. Whatever is not
known, or is not exactly one whole request, is the parser's business.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from raftreg.api.webserver import HttpVersion11, RawRequestMessage

HEAD_BYTES_MAX = 2048  # of a head that is kept
TARGET_BYTES_MAX = 4096
HEADS_MAX = 256  # heads that are kept
_END = b"\r\n\r\n"
# What Go and aiohttp agree on in a target: no fragment, nothing that would have to be escaped.
_BEGIN = re.compile(rb"(GET|PUT|DELETE|POST) (/[-A-Za-z0-9._~!$&'()*+,;=:@%%/?]{0,%d}) " % TARGET_BYTES_MAX)
_PLAIN = re.compile(rb"HTTP/1\.1\r\n(?:[-!#$%&'*+.^_`|~0-9A-Za-z]+:[\t\x20-\x7e]*\r\n)+\r\n")
# Headers that have a say in where a message ends or what becomes of its connection.
_NOT_KEPT = ("Transfer-Encoding", "Expect", "Upgrade", "Trailer")


class Plain(NamedTuple):
    """One whole request as it was read: a target in ASCII, headers that are found without regard to case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Heads:
    """The heads that are known on one listener."""

    def __init__(self, body_max: int) -> None:
        """Requests with a larger body are left to the parser."""
        self._body_max = body_max
        self._known: dict[bytes, tuple[Mapping[str, str], int]] = {}  # -> headers, bytes of body

    def recognize(self, data: bytes) -> Plain | None:
        """The request that `data` is, all of it and nothing more; None if that cannot be said at a glance."""
        begin = _BEGIN.match(data)
        if begin is None:
            return None
        end = data.find(_END, begin.end()) + len(_END)
        known = self._known.get(data[begin.end() : end])
        if known is None or end + known[1] != len(data):
            return None
        method, target = begin.groups()
        return Plain(method.decode("ascii"), target.decode("ascii"), known[0], data[end:])

    def learn(self, data: bytes, message: object) -> int | None:
        """Keep the head that `data` begins with, of which the parser made `message`, if it is of the usual kind.

        Returns how many bytes of the request's body are still to come: 0 when `data` was one whole request; None when
        that is not beyond doubt, as it is not if there is more in `data`.
        """
        begin = _BEGIN.match(data)
        if begin is None or not isinstance(message, RawRequestMessage):
            return None
        plain = _PLAIN.match(data, begin.end())
        if plain is None or not _is_usual(message):
            return None
        headers: Mapping[str, str] = message.headers
        body_size = int(headers.get("Content-Length", "0"))
        missing = plain.end() + body_size - len(data)
        if missing < 0:
            return None
        if len(plain[0]) <= HEAD_BYTES_MAX and body_size <= self._body_max:
            if len(self._known) >= HEADS_MAX:
                self._known.clear()
            self._known[plain[0]] = headers, body_size
        return missing


def _is_usual(message: RawRequestMessage) -> bool:
    return (
        message.version == HttpVersion11
        and not message.should_close
        and not message.upgrade
        and not message.chunked
        and not any(name in message.headers for name in _NOT_KEPT)
    )
