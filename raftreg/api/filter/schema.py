"""What can be selected in a row, and which comparisons each kind of value takes.

A row is JSON-shaped: a field that the answer leaves out has the zero value of its kind.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Operator = Literal["Equal", "Not Equal", "In", "Not In", "Is Empty", "Is Not Empty", "Matches", "Not Matches"]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A string, an integer or a truth value."""

    name: Literal["string", "int", "bool"]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list; of scalars, or of structs whose fields are selected in any element."""

    element: "Kind"


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map from strings; `Map.key` or `Map["key"]` selects a value."""

    value: "Kind"


@dataclass(frozen=True, slots=True)
class Struct:
    """Named fields. A struct itself is not compared with anything."""

    fields: Mapping[str, "Kind"]


Kind = Scalar | ListOf | MapOf | Struct

STRING = Scalar("string")
INT = Scalar("int")
BOOL = Scalar("bool")

_EQUALITY: frozenset[Operator] = frozenset({"Equal", "Not Equal"})
_TEXT: frozenset[Operator] = _EQUALITY | {"In", "Not In", "Matches", "Not Matches"}
_EMPTINESS: frozenset[Operator] = frozenset({"Is Empty", "Is Not Empty"})
_CONTAINER: frozenset[Operator] = _EMPTINESS | {"In", "Not In"}
_NONE: frozenset[Operator] = frozenset()


def operators_of(kind: Kind) -> frozenset[Operator]:
    """The comparisons that a value of this kind takes."""
    match kind:
        case Scalar("string"):
            return _TEXT
        case Scalar():
            return _EQUALITY
        case MapOf():
            return _CONTAINER
        case ListOf(Scalar()):
            return _CONTAINER
        case ListOf():
            return _EMPTINESS
        case Struct():
            return _NONE


def subfield(kind: Kind, name: str) -> Kind | None:
    """The kind that `name` selects within a value of `kind`, or None if it selects nothing."""
    match kind:
        case Struct(fields):
            return fields.get(name)
        case MapOf(value):
            return value
        case ListOf(Struct(fields)):
            return fields.get(name)
        case _:
            return None
