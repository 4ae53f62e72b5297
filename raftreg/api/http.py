"""The HTTP message as handlers see it: `Request` in, `Response` out, no server library in between.

Paths and query strings follow Go's net/url, because clients of Consul's API were written against that: a
percent-encoded slash is a slash, `+` is a blank in the query only, and a parameter that does not decode is
dropped. Text that is no UTF-8 is carried with surrogateescape, so that a key may hold any bytes.
"""

from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote, quote_plus, unquote_to_bytes

_PATH_SAFE = "$&+,/:;=@"  # with letters, digits and -_.~ what Go leaves alone in a path
_HEX = frozenset("0123456789abcdefABCDEF")


def decode_percent(text: str) -> str:
    """`text` with its %XX resolved; bytes that are no UTF-8 become surrogates."""
    if "%" not in text:
        return text
    return unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def encode_path(path: str) -> str:
    """A decoded path in the form in which it may be written into a Location header."""
    return quote(path, safe=_PATH_SAFE, errors="surrogateescape")


def is_printable(path: str) -> bool:
    """Whether a decoded path holds printable characters only, as Go's unicode.IsPrint has it.

    What is no UTF-8 counts as the replacement character, which is printable.
    """
    return path.isprintable() or all(
        letter.isprintable() or "\ud800" <= letter <= "\udfff" for letter in path
    )


def escapes_are_valid(text: str) -> bool:
    """Whether each % is followed by two hexadecimal digits."""
    position = text.find("%")
    while position >= 0:
        pair = text[position + 1 : position + 3]
        if len(pair) != 2 or pair[0] not in _HEX or pair[1] not in _HEX:
            return False
        position = text.find("%", position + 3)
    return True


class Query:
    """The parameters of a query string: several per name, in order; presence and value are told apart."""

    __slots__ = ("_pairs", "text")

    def __init__(self, pairs: Iterable[tuple[str, str]] = (), text: str = "") -> None:
        """`text` is the query string as it was sent."""
        self._pairs = tuple(pairs)
        self.text = text

    @classmethod
    def parse(cls, text: str) -> "Query":
        """The parameters of `text` (without the question mark). Short texts that come again give the same object."""
        if not text:
            return NO_QUERY
        return _parsed(text) if len(text) <= _PARSED_BYTES_MAX else cls._parse(text)

    @classmethod
    def _parse(cls, text: str) -> "Query":
        pairs = []
        for part in text.replace(";", "&").split("&"):
            if not part:
                continue
            name, _, value = part.partition("=")
            if escapes_are_valid(name) and escapes_are_valid(value):
                pairs.append((_decode_parameter(name), _decode_parameter(value)))
        return cls(pairs, text)

    def __bool__(self) -> bool:
        """Whether any parameter was given."""
        return bool(self._pairs)

    def __contains__(self, name: str) -> bool:
        """Whether the parameter was given at all, with whatever value."""
        return bool(self._pairs) and any(name == given for given, _ in self._pairs)

    def get(self, name: str, default: str = "") -> str:
        """The first value of the parameter, or `default` if it was not given."""
        for given, value in self._pairs:
            if name == given:
                return value
        return default

    def get_all(self, name: str) -> list[str]:
        """Every value of the parameter, in order."""
        return [value for given, value in self._pairs if name == given]

    def encode(self) -> str:
        """The parameters as a query string, sorted by name."""
        ordered = sorted(self._pairs, key=lambda pair: pair[0])
        return "&".join(f"{_encode_parameter(name)}={_encode_parameter(value)}" for name, value in ordered)


def _decode_parameter(text: str) -> str:
    return decode_percent(text.replace("+", " "))


def _encode_parameter(text: str) -> str:
    return quote_plus(text, errors="surrogateescape")


NO_QUERY = Query()
_PARSED_BYTES_MAX = 64
_parsed = lru_cache(maxsize=512)(Query._parse)


class Connection(Protocol):
    """What is known of the connection that a request came on."""

    def get_extra_info(self, name: str, default: object = None) -> object:
        """As of asyncio's transports; `peername` is what is asked for."""
        ...


@dataclass(slots=True)
class Request:
    """One request.

    `path` is percent-decoded, `raw_path` as it was sent, both without the query string. `headers` finds names
    without regard to case. `rest` is what the open end of the route's pattern (`{key...}`) stands for, decoded,
    "" for routes without one; the dispatcher sets it. `connection` is None where there is none, as in tests.
    """

    method: str
    path: str
    raw_path: str
    query: Query = NO_QUERY
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    rest: str = ""
    connection: Connection | None = None

    @property
    def peer(self) -> str | None:
        """The address that the request came from, None if it is not known."""
        if self.connection is None:
            return None
        name = self.connection.get_extra_info("peername")
        return str(name[0]) if isinstance(name, tuple) and name else None


@dataclass(slots=True)
class Response:
    """One response. Content-Length, Content-Encoding and Date are the listener's business.

    With `stream` the body is what that gives, piece by piece, until it ends or the client is gone.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    stream: AsyncGenerator[bytes] | None = None
