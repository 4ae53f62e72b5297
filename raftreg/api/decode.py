"""JSON bodies into Python values, by a description of what is expected, with the errors that clients know.

The rules are those of Go's encoding/json with unknown fields disallowed, against which clients of Consul's API were
written: field names match without regard to case, null leaves a field unset, numbers are not texts, what follows the
first value is ignored, and text that is no Unicode is replaced. The result holds only the fields that were given, under
their proper names.
"""

import base64
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from raftreg.api.json_text import TOO_DEEP, DecodeError, Number, parse_json
from raftreg.durations import parse_duration
from raftreg.errors import Refused

_NOT_BASE64 = re.compile("[^A-Za-z0-9+/]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_INT64_MAX: Final = 2**63 - 1
_UINT64_MAX: Final = 2**64 - 1


class _Mismatch(Exception):
    """A value of the wrong type; the objects around it add the path to it while the exception passes them."""

    def __init__(self, given: str, target: str) -> None:
        super().__init__(given, target)
        self.given = given
        self.target = target
        self.struct = ""
        self.path: list[str] = []

    def error(self) -> DecodeError:
        """The error for the client."""
        field_name = ".".join([self.struct, *reversed(self.path)])
        where = f"struct field {field_name} of type" if self.path else "value of type"
        return DecodeError(f"json: cannot unmarshal {self.given} into Go {where} {self.target}")


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. `name` is its type in messages; `kind` what JSON it takes."""

    kind: Literal["string", "bool", "int", "float", "base64", "duration", "any"]
    name: str


@dataclass(frozen=True, slots=True)
class ListOf:
    """An array."""

    element: "Shape"
    name: str = "[]string"


@dataclass(frozen=True, slots=True)
class MapOf:
    """An object with free keys."""

    value: "Shape"
    name: str = "map[string]string"


@dataclass(frozen=True, slots=True)
class Object:
    """An object with known fields. Others are an error, or ignored if not `strict`.

    `aliases` are further names of fields, in lower case. `type_name` is what messages call the type where it is not
    structs.NAME. One that `hides_path` tells no place inside itself, as a Go type that decodes itself does.
    """

    name: str
    fields: Mapping[str, "Shape"]
    aliases: Mapping[str, str] = field(default_factory=dict)
    strict: bool = True
    type_name: str = ""
    hides_path: bool = False
    _folded: dict[str, str] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._folded.update(self.aliases)
        self._folded.update({name.lower(): name for name in self.fields})

    def find(self, name: str) -> str | None:
        """The proper name of the field that clients call `name`."""
        return name if name in self.fields else self._folded.get(name.lower())


Shape = Scalar | ListOf | MapOf | Object

STRING = Scalar("string", "string")
BOOL = Scalar("bool", "bool")
INT = Scalar("int", "int")
UINT = Scalar("int", "uint64")
FLOAT = Scalar("float", "float64")
BASE64 = Scalar("base64", "[]uint8")  # bytes in the result
DURATION = Scalar(
    "duration", "time.Duration"
)  # a text such as "10s" or a number of nanoseconds; seconds in the result
ANY = Scalar("any", "interface {}")
STRINGS = ListOf(STRING)
STRING_MAP = MapOf(STRING)


def decode_body(body: bytes, shape: Object) -> dict[str, object]:
    """The fields that the body gives. Refused (400) with `Request decode failed: ...` otherwise."""
    try:
        return decode(body, shape)
    except DecodeError as error:
        raise Refused(400, f"Request decode failed: {error}") from None


def decode(body: bytes, shape: Object) -> dict[str, object]:
    """The fields that the body gives. DecodeError for what is no JSON or does not fit."""
    value = parse_json(body)
    if value is None:
        return {}
    try:
        return _object(value, shape)
    except _Mismatch as mismatch:
        raise mismatch.error() from None
    except RecursionError:
        raise DecodeError(TOO_DEEP) from None


def decode_list(body: bytes, shape: ListOf) -> list[Any]:
    """The elements of the array that the body is; null is an empty one. DecodeError for what does not fit."""
    value = parse_json(body)
    if value is None:
        return []
    try:
        elements = _value(value, shape)
    except _Mismatch as mismatch:
        raise mismatch.error() from None
    except RecursionError:
        raise DecodeError(TOO_DEEP) from None
    assert isinstance(elements, list)
    return elements


def _object(value: object, shape: Object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _Mismatch(_type_name(value), shape.type_name or f"structs.{shape.name}")
    result: dict[str, object] = {}
    for given, inner in value.items():
        name = shape.find(given)
        if name is None:
            if shape.strict:
                raise DecodeError(f'json: unknown field "{_clean(given)}"')
        elif inner is not None:
            try:
                result[name] = _value(inner, shape.fields[name])
            except _Mismatch as mismatch:
                inner_shape = shape.fields[name]
                element = inner_shape.element if isinstance(inner_shape, ListOf) else inner_shape
                if isinstance(element, Object) and element.hides_path:
                    mismatch.path.clear()
                    mismatch.struct = shape.name
                elif not mismatch.path:
                    mismatch.struct = shape.name
                mismatch.path.append(name)
                raise
    return result


def _value(value: object, shape: Shape) -> object:
    """`value` as the shape wants it."""
    match shape:
        case Scalar():
            return _scalar(value, shape)
        case Object():
            return _object({} if value is None else value, shape)
        case ListOf(element, name):
            if not isinstance(value, list):
                raise _Mismatch(_type_name(value), name)
            return [_value(inner, element) for inner in value]
        case MapOf(element, name):
            if not isinstance(value, dict):
                raise _Mismatch(_type_name(value), name)
            return {_clean(key): _value(inner, element) for key, inner in value.items()}


_ZEROS: Mapping[str, object] = {
    "string": "",
    "bool": False,
    "int": 0,
    "base64": b"",
    "duration": 0.0,
    "float": 0.0,
}


def _scalar(value: object, shape: Scalar) -> object:
    match shape.kind:
        case _ if value is None:
            return _ZEROS.get(shape.kind)
        case "string" if isinstance(value, str):
            return _clean(value)
        case "bool" if isinstance(value, bool):
            return value
        case "int" if isinstance(value, int) and not isinstance(value, bool):
            low, high = (0, _UINT64_MAX) if shape is UINT else (-_INT64_MAX - 1, _INT64_MAX)
            if not low <= value <= high:
                raise _Mismatch(f"number {value}", shape.name)
            return value
        case "base64" if isinstance(value, str):
            return _base64(value)
        case "int" if isinstance(value, Number):
            raise _Mismatch(f"number {value.text[:40]}", shape.name)
        case "float" if isinstance(value, int | float) and not isinstance(value, bool):
            return _float(value, shape)
        case "duration":
            return _duration(value)
        case "any":
            return plain_json(value)
        case _:
            raise _Mismatch(_type_name(value), shape.name)


def _float(value: int | float, shape: Scalar) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise _Mismatch("number", shape.name)
    return number


def _base64(text: str) -> bytes:
    """The bytes that the text stands for; line breaks within it count for nothing, as in Go."""
    text = text.replace("\r", "").replace("\n", "")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        wrong = _NOT_BASE64.search(text)
        at = len(text) // 4 * 4 if wrong is None or text[wrong.start()] == "=" else wrong.start()
        raise DecodeError(f"illegal base64 data at input byte {at}") from None


def _duration(value: object) -> float:
    """Seconds, from a text in Go's syntax or a number of nanoseconds."""
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ValueError as error:
            raise DecodeError(_clean(str(error))) from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Mismatch(_type_name(value), "time.Duration")
    if not math.isfinite(value) or abs(value) > _INT64_MAX:
        raise _Mismatch("number", "time.Duration")
    return value / 1e9


def plain_json(value: object) -> object:
    """Free JSON in plain values that any codec takes."""
    match value:
        case str():
            return _clean(value)
        case Number():
            return float(value) if math.isfinite(value) else 0.0
        case int() if abs(value) > _INT64_MAX:
            return float(value)
        case dict():
            return {_clean(key): plain_json(inner) for key, inner in value.items()}
        case list():
            return [plain_json(inner) for inner in value]
        case _:
            return value


def _clean(text: str) -> str:
    """The text with halves of surrogate pairs replaced, as JSON escapes may give them."""
    return _SURROGATE.sub("\ufffd", text)


def _type_name(value: object) -> str:
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case int() | float():
            return "number"
        case list():
            return "array"
        case _:
            return "object"
