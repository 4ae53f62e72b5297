"""What configuration entries may say, by kind: fields and their types, and how an entry is shown again.

Clients write field names as `ConnectTimeout`, `connectTimeout` or `connect_timeout`, and texts, numbers and truth
values for one another, as Consul's decoder takes them. Empty fields are not shown, except those that are always there.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from raftreg.api.parameters import parse_bool
from raftreg.durations import format_duration, parse_nanoseconds


class ShapeError(ValueError):
    """A value that does not fit, in the words of Consul's decoder; `path` leads to it."""


@dataclass(frozen=True, slots=True)
class One:
    """A single value."""

    kind: Literal["text", "flag", "int", "float", "duration", "any map"]


@dataclass(frozen=True, slots=True)
class Many:
    """A list."""

    element: "FieldShape"


@dataclass(frozen=True, slots=True)
class ByName:
    """A map with free keys."""

    value: "FieldShape"


@dataclass(frozen=True, slots=True)
class Fields:
    """An object. `always` are shown even when they are empty, with these values."""

    fields: Mapping[str, "FieldShape"]
    always: Mapping[str, object] = field(default_factory=dict)


FieldShape = One | Many | ByName | Fields
Json = dict[str, object]

_TEXT, _FLAG, _INT, _FLOAT = One("text"), One("flag"), One("int"), One("float")
_DURATION, _ANY_MAP = One("duration"), One("any map")
_TEXTS = Many(_TEXT)

_GATEWAY = Fields({"Mode": _TEXT})
_EXPOSED_PATH = Fields(
    {"ListenerPort": _INT, "Path": _TEXT, "LocalPathPort": _INT, "Protocol": _TEXT, "ParsedFromCheck": _FLAG},
    {"ListenerPort": 0, "Path": "", "LocalPathPort": 0, "Protocol": "", "ParsedFromCheck": False},
)
_EXPOSE = Fields({"Checks": _FLAG, "Paths": Many(_EXPOSED_PATH)})
_HEADER = Fields(
    {
        "Name": _TEXT,
        "Present": _FLAG,
        "Exact": _TEXT,
        "Prefix": _TEXT,
        "Suffix": _TEXT,
        "Regex": _TEXT,
        "Invert": _FLAG,
    },
    {"Name": ""},
)
_QUERY_PARAM = Fields({"Name": _TEXT, "Present": _FLAG, "Exact": _TEXT, "Regex": _TEXT}, {"Name": ""})
_HTTP_MATCH = Fields(
    {
        "PathExact": _TEXT,
        "PathPrefix": _TEXT,
        "PathRegex": _TEXT,
        "Header": Many(_HEADER),
        "QueryParam": Many(_QUERY_PARAM),
        "Methods": _TEXTS,
    }
)
_TARGET: dict[str, FieldShape] = {"Service": _TEXT, "ServiceSubset": _TEXT, "Namespace": _TEXT}
_DESTINATION = Fields(
    {
        **_TARGET,
        "PrefixRewrite": _TEXT,
        "RequestTimeout": _DURATION,
        "NumRetries": _INT,
        "RetryOnConnectFailure": _FLAG,
        "RetryOnStatusCodes": Many(_INT),
    }
)
_ROUTE = Fields({"Match": Fields({"HTTP": _HTTP_MATCH}), "Destination": _DESTINATION})
_SPLIT = Fields({"Weight": _FLOAT, **_TARGET}, {"Weight": 0})
_LISTENED = Fields({"Name": _TEXT, "Namespace": _TEXT, "Hosts": _TEXTS}, {"Name": ""})
_LISTENER = Fields(
    {"Port": _INT, "Protocol": _TEXT, "Services": Many(_LISTENED)},
    {"Port": 0, "Protocol": "", "Services": None},
)
_LINKED = Fields(
    {"Name": _TEXT, "Namespace": _TEXT, "CAFile": _TEXT, "CertFile": _TEXT, "KeyFile": _TEXT, "SNI": _TEXT},
    {"Name": ""},
)

KINDS: Final[Mapping[str, Fields]] = {
    "service-defaults": Fields(
        {"Protocol": _TEXT, "MeshGateway": _GATEWAY, "Expose": _EXPOSE, "ExternalSNI": _TEXT},
        {"Protocol": "", "MeshGateway": {}, "Expose": {}},
    ),
    "proxy-defaults": Fields(
        {"Config": _ANY_MAP, "MeshGateway": _GATEWAY, "Expose": _EXPOSE},
        {"Config": None, "MeshGateway": {}, "Expose": {}},
    ),
    "service-router": Fields({"Routes": Many(_ROUTE)}, {"Routes": None}),
    "service-splitter": Fields({"Splits": Many(_SPLIT)}, {"Splits": None}),
    "service-resolver": Fields(
        {
            "DefaultSubset": _TEXT,
            "Subsets": ByName(Fields({"Filter": _TEXT, "OnlyPassing": _FLAG})),
            "Redirect": Fields({**_TARGET, "Datacenter": _TEXT}),
            "Failover": ByName(Fields({**_TARGET, "Datacenters": _TEXTS})),
            "ConnectTimeout": _DURATION,
        }
    ),
    "ingress-gateway": Fields(
        {"TLS": Fields({"Enabled": _FLAG}, {"Enabled": False}), "Listeners": Many(_LISTENER)},
        {"TLS": {"Enabled": False}, "Listeners": None},
    ),
    "terminating-gateway": Fields({"Services": Many(_LINKED)}, {"Services": None}),
}


def plain_name(name: str) -> str:
    """A field's name as it is compared."""
    return name.replace("_", "").lower()


def take(value: object, shape: FieldShape, path: str, unknown: list[str]) -> object:
    """`value` in the form in which it is kept and shown. ShapeError if it does not fit; unknown fields are noted."""
    match shape:
        case One():
            return _one(value, shape, path)
        case Many(element):
            if value is None:
                return None
            rows = value if isinstance(value, list) else [value]
            return [take(row, element, f"{path}[{place}]", unknown) for place, row in enumerate(rows)]
        case ByName(inner):
            if value is None:
                return None
            if not isinstance(value, dict):
                raise ShapeError(f"'{path}' expected a map, got '{_kind(value)}'")
            return {str(key): take(row, inner, f"{path}[{key}]", unknown) for key, row in value.items()}
        case Fields() if value is None:
            return None
        case Fields():
            return _fields(value, shape, path, unknown)


def _fields(value: object, shape: Fields, path: str, unknown: list[str]) -> Json:
    if not isinstance(value, dict):
        raise ShapeError(f"'{path}' expected a map, got '{_kind(value)}'")
    names = {plain_name(name): name for name in shape.fields}
    given: Json = {}
    for key, inner in value.items():
        name = names.get(plain_name(str(key)))
        where = f"{path}.{name or key}" if path else str(name or key)
        if name is None:
            unknown.append(where)
        else:
            given[name] = take(inner, shape.fields[name], where, unknown)
    shown: Json = {}
    for name, inner_shape in shape.fields.items():
        empty = given.get(name) in _EMPTY
        # An empty object is something else than none: a Redirect, for example.
        if not empty or (given.get(name) is not None and isinstance(inner_shape, Fields)):
            shown[name] = given[name]
        elif name in shape.always:
            shown[name] = shape.always[name]
    return shown


_EMPTY: Final[tuple[object, ...]] = (None, "", False, 0, 0.0, {}, [])


def _one(value: object, shape: One, path: str) -> object:
    if isinstance(value, list) and len(value) == 1 and shape.kind != "any map":
        value = value[0]
    match shape.kind:
        case "any map":
            if value is not None and not isinstance(value, dict):
                raise ShapeError(f"'{path}' expected a map, got '{_kind(value)}'")
            return value
        case "text":
            return _text(value, path)
        case "flag":
            return _flag(value, path)
        case "duration":
            return _duration(value, path)
        case "int" | "float":
            return _number(value, shape, path)


def _text(value: object, path: str) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "1" if value else "0"
        case int():
            return str(value)
        case float():
            return f"{value:g}"
        case _:
            raise ShapeError(f"'{path}' expected type 'string', got unconvertible type '{_go_type(value)}'")


def _flag(value: object, path: str) -> bool:
    if value is None or value == "":
        return False
    if isinstance(value, bool | int | float):
        return bool(value)
    parsed = parse_bool(value) if isinstance(value, str) else None
    if parsed is None:
        raise ShapeError(
            f"cannot parse '{path}' as bool: strconv.ParseBool: parsing \"{value}\": invalid syntax"
        )
    return parsed


def _duration(value: object, path: str) -> str:
    """A duration as it is shown; "" for none."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return format_duration(value / 1e9) if value else ""
    try:
        nanoseconds = parse_nanoseconds(value) if isinstance(value, str) and value else 0
    except ValueError as error:
        raise ShapeError(f"error decoding '{path}': {error}") from None
    return format_duration(nanoseconds / 1e9) if nanoseconds else ""


def _number(value: object, shape: One, path: str) -> float | int:
    if value is None or value == "":
        return 0
    try:
        if isinstance(value, str | int | float):
            number = float(value)
            if math.isfinite(number) and abs(number) < 2**63:
                return int(number) if shape.kind == "int" or number.is_integer() else number
    except (ValueError, OverflowError):
        pass  # told below, with the value
    raise ShapeError(f"cannot parse '{path}' as {shape.kind}: {value!r}")


def _kind(value: object) -> str:
    match value:
        case list():
            return "slice"
        case dict():
            return "map"
        case bool():
            return "bool"
        case int() | float():
            return "float64"
        case _:
            return "string"


def _go_type(value: object) -> str:
    return "[]interface {}" if isinstance(value, list) else "map[string]interface {}"
