"""Frozen records to msgpack and back, strictly: the machinery below `raftreg.commands`.

A record travels as the array of its fields, in the order in which its `Shape` names them. One leading byte
gives the version of the format, so that a later release can tell an old log or snapshot from its own. Text is
UTF-8; bytes that are not (a key may be any bytes) travel as Python's surrogateescape has them.

Guaranteed: a later version is told apart (NewerFormat). Else `unpack` and `Shape.record` raise ValueError, and nothing
else, for bytes that are not what was asked for: wrong version, wrong types, missing or additional fields, numbers out
of range, data nested too deeply.
"""

import math
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Generic, TypeVar

import msgpack

from raftreg.errors import NewerFormat

VERSION = 1
DEPTH_MAX = 64  # of what clients nest in free-form fields; far below msgpack's and Python's own limits
_VERSION_BYTE = bytes((VERSION,))
_UNSIGNED_MAX = 2**64 - 1
_RISEN_MAX = 2**62
# What msgpack raises for bytes that it cannot read.
MALFORMED = (
    ValueError,
    TypeError,
    OverflowError,
    RecursionError,
    MemoryError,
    msgpack.UnpackException,
)

T = TypeVar("T")
Field = Callable[
    [object], Any
]  # checks what was unpacked, returns the value for the record, or raises ValueError


class Shape(Generic[T]):
    """How one class of records is laid out: names and types of its fields, as its constructor has them."""

    def __init__(self, kind: type[T], /, **fields: Field) -> None:
        self.kind = kind
        self.row: Callable[[T], tuple[object, ...]] = _fields_getter(tuple(fields))
        self._names = tuple(fields)
        self._checks = tuple(fields.values())
        self._size = len(fields)
        SHAPES[kind] = self

    def record(self, row: object) -> T:
        """The record that an unpacked array stands for, or ValueError."""
        if type(row) is not list or len(row) != self._size:
            raise ValueError(f"{self.kind.__name__} is not an array of {self._size} fields")
        try:
            return self.kind(*[check(value) for check, value in zip(self._checks, row, strict=True)])
        except ValueError as error:
            raise ValueError(f"{self.kind.__name__}: {self._blame(row)}{error}") from None

    def _blame(self, row: list[object]) -> str:
        """The name of the first field that does not pass; only on the way to an error, so it may be slow."""
        for name, check, value in zip(self._names, self._checks, row, strict=True):
            try:
                check(value)
            except ValueError:
                return f"{name}: "
        return ""


SHAPES: dict[type, Shape[Any]] = {}


def _fields_getter(names: tuple[str, ...]) -> Callable[[Any], tuple[object, ...]]:
    """The fields as a tuple, several times faster than dataclasses.astuple gives them."""
    if not names:
        return lambda record: ()
    getter = attrgetter(*names)
    return getter if len(names) > 1 else lambda record: (getter(record),)


def new_packer() -> Callable[[object], bytes]:
    """A function that packs one object. It is not to be shared between threads."""
    packer = msgpack.Packer(default=_plain, unicode_errors="surrogateescape", autoreset=True)
    pack: Callable[[object], bytes] = packer.pack
    return pack


def _plain(value: object) -> object:
    """What msgpack does not know: a record of ours, or a mapping that is no dict."""
    shape = SHAPES.get(type(value))
    if shape is not None:
        return shape.row(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise ValueError(f"{type(value).__name__} cannot be encoded")


_pack = new_packer()


def pack(value: object) -> bytes:
    """The version byte and the packed value, or ValueError. For the event loop's thread only."""
    try:
        return _VERSION_BYTE + _pack(value)
    except (ValueError, TypeError, OverflowError) as error:
        _reset()
        raise ValueError(f"cannot be encoded: {error}") from None


def _reset() -> None:
    """Begin with a fresh packer: the old one may hold the half of what failed."""
    global _pack
    _pack = new_packer()


def unpack(data: bytes, what: str) -> object:
    """The value that `pack` was given; ValueError, naming `what`, for anything else."""
    if not data:
        raise ValueError(f"{what}: no bytes at all")
    if data[0] > VERSION:
        raise NewerFormat(f"{what} of format version {data[0]}; this release knows {VERSION}")
    if data[0] != VERSION:
        raise ValueError(f"{what}: format version {data[0]} is not supported (this release knows {VERSION})")
    return unpack_bare(memoryview(data)[1:], what)


def unpack_bare(data: memoryview | bytes, what: str) -> object:
    """As `unpack`, for bytes without a version in front."""
    try:
        return msgpack.unpackb(data, unicode_errors="surrogateescape")
    except MALFORMED as error:
        raise ValueError(f"{what}: malformed: {error or type(error).__name__}") from None


def text(value: object) -> str:
    """A str."""
    if type(value) is not str:
        raise ValueError("not a text")
    return value


def raw(value: object) -> bytes:
    """A bytes."""
    if type(value) is not bytes:
        raise ValueError("not bytes")
    return value


def flag(value: object) -> bool:
    """A bool."""
    if type(value) is not bool:
        raise ValueError("not true or false")
    return value


def integer(value: object) -> int:
    """An int that msgpack can hold, but no bool."""
    if type(value) is not int:
        raise ValueError("not an integer")
    return value


def unsigned(value: object) -> int:
    """An int from 0 to 2**64 - 1."""
    if type(value) is not int or value < 0 or value > _UNSIGNED_MAX:
        raise ValueError("not an unsigned 64 bit number")
    return value


def risen(value: object) -> int:
    """An unsigned number that is to rise further, and must not leave 64 bits with that."""
    number = unsigned(value)
    if number > _RISEN_MAX:
        raise ValueError("too large a number to count on from")
    return number


def seconds(value: object) -> float:
    """A finite float; an int is made one, so that equal records have equal bytes."""
    if type(value) is int:
        return float(value)
    if type(value) is not float or not math.isfinite(value):
        raise ValueError("not a finite number")
    return value


def free(value: object, depth: int = DEPTH_MAX) -> object:
    """What JSON can say: None, bool, int, finite float, str, and lists and maps of these."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is float and math.isfinite(value):  # type: ignore[arg-type]
        return value
    if depth == 0:
        raise ValueError(f"nested deeper than {DEPTH_MAX}")
    if isinstance(value, list | tuple):
        for item in value:
            free(item, depth - 1)
        return value
    if isinstance(value, Mapping):
        for key, item in value.items():
            text(key)
            free(item, depth - 1)
        return value
    raise ValueError("not a JSON value")


def optional(field: Field) -> Field:
    """The field, or None."""
    return lambda value: None if value is None else field(value)


def one_of(*words: str) -> Field:
    """One of a few texts."""

    def check(value: object) -> str:
        if type(value) is not str or value not in words:
            raise ValueError(f"not one of {', '.join(words)}")
        return value

    return check


def pair(first: Field, second: Field) -> Field:
    """A tuple of two."""

    def check(value: object) -> tuple[Any, Any]:
        if type(value) is not list or len(value) != 2:
            raise ValueError("not an array of 2")
        return first(value[0]), second(value[1])

    return check


def many(field: Field) -> Field:
    """A tuple of any number of the field."""

    def check(value: object) -> tuple[Any, ...]:
        if type(value) is not list:
            raise ValueError("not an array")
        return tuple([field(item) for item in value])

    return check


def mapping(field: Field) -> Field:
    """A dict from text to the field."""

    def check(value: object) -> dict[str, Any]:
        if type(value) is not dict:
            raise ValueError("not a map")
        return {text(key): field(item) for key, item in value.items()}

    return check
