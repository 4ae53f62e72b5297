"""From a syntax tree and a schema to a predicate on rows.

Selectors, operators and values are checked once, before any row is seen, so that a wrong expression is an error
even where there is nothing to filter. What a selector finds decides as follows:

* a field within a list of structs: any element will do, for `!=` as well;
* an absent key of a map equals nothing, contains nothing, is empty, and differs from everything. It also `matches`
  every pattern, which is odd, but what the field's implementation answers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from raftreg.api.filter.schema import Kind, ListOf, MapOf, Operator, Scalar, Struct, operators_of, subfield
from raftreg.api.filter.syntax import And, Expression, FilterError, Match, Not, Or, parse
from raftreg.regex import Pattern, PatternError

Predicate = Callable[[object], bool]

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_NEGATED: Mapping[Operator, Operator] = {
    "Not Equal": "Equal",
    "Not In": "In",
    "Is Not Empty": "Is Empty",
    "Not Matches": "Matches",
}
_TRUE_WHEN_ABSENT: frozenset[Operator] = frozenset(
    {"Not Equal", "Not In", "Is Empty", "Matches", "Not Matches"}
)


@dataclass(frozen=True, slots=True)
class Filter:
    """A checked expression."""

    text: str
    predicate: Predicate

    def matches(self, row: object) -> bool:
        """Whether the JSON-shaped row is wanted."""
        return self.predicate(row)

    def select(self, rows: Sequence[dict[str, object]]) -> list[dict[str, object]]:
        """The rows that are wanted, in their order."""
        return [row for row in rows if self.predicate(row)]


def compile_filter(text: str, schema: Struct) -> Filter:
    """A filter for rows of that schema. Raises FilterError for whatever is wrong with the text."""
    return Filter(text, _compile(parse(text), schema))


def _compile(expression: Expression, schema: Struct) -> Predicate:
    """The predicate of a tree; the recursion is as deep as the parser lets expressions nest."""
    match expression:
        case Match():
            return _compile_match(expression, schema)
        case Not(operand):
            inner = _compile(operand, schema)
            return lambda row: not inner(row)
        case And(operands):
            parts = [_compile(operand, schema) for operand in operands]
            return lambda row: all(part(row) for part in parts)
        case Or(operands):
            parts = [_compile(operand, schema) for operand in operands]
            return lambda row: any(part(row) for part in parts)


def _compile_match(match: Match, schema: Struct) -> Predicate:
    kind = _resolve(match.selector, schema)
    name = ".".join(match.selector)
    if match.operator not in operators_of(kind):
        raise FilterError(f"Invalid match operator {_quote(match.operator)} for selector {_quote(name)}")
    test = _test(match, kind, name)
    return _at(match.selector, schema, test, match.operator in _TRUE_WHEN_ABSENT)


def _resolve(selector: tuple[str, ...], schema: Struct) -> Kind:
    """The kind that the selector ends at."""
    kind: Kind = schema
    for depth, name in enumerate(selector, start=1):
        inner = subfield(kind, name)
        if inner is None:
            raise FilterError(f"Selector {_quote('.'.join(selector[:depth]))} is not valid")
        kind = inner
    return kind


def _at(selector: tuple[str, ...], kind: Kind, test: Predicate, when_absent: bool) -> Predicate:
    """`test` applied to what the selector finds in a value of `kind`."""
    if not selector:
        return test
    if isinstance(kind, ListOf):
        each = _at(selector, kind.element, test, when_absent)
        return lambda rows: any(each(row) for row in _list(rows))
    inner = subfield(kind, selector[0])
    if inner is None:
        raise FilterError(f"Selector {_quote('.'.join(selector))} is not valid")
    return _field(
        selector[0], _at(selector[1:], inner, test, when_absent), isinstance(kind, MapOf), when_absent
    )


def _field(name: str, inner: Predicate, in_map: bool, when_absent: bool) -> Predicate:
    """`inner` applied to the entry `name` of a mapping."""

    def of_map(row: object) -> bool:
        return inner(row[name]) if isinstance(row, Mapping) and name in row else when_absent

    def of_struct(row: object) -> bool:
        return inner(row.get(name) if isinstance(row, Mapping) else None)

    return of_map if in_map else of_struct


def _test(match: Match, kind: Kind, name: str) -> Predicate:
    """The comparison itself, on the value that was found (None: the zero value of its kind)."""
    positive = _NEGATED.get(match.operator)
    if positive is not None:
        test = _positive_test(Match(match.selector, positive, match.value), kind, name)
        return lambda value: not test(value)
    return _positive_test(match, kind, name)


def _positive_test(match: Match, kind: Kind, name: str) -> Predicate:
    if match.operator == "Is Empty":
        return lambda value: not value
    raw = match.value or ""
    if match.operator == "Matches":
        pattern = _pattern(raw)
        return lambda value: pattern.search(value if isinstance(value, str) else "")
    if match.operator == "In" and isinstance(kind, Scalar):
        return lambda value: raw in (value if isinstance(value, str) else "")
    element = kind.element if isinstance(kind, ListOf) else kind
    wanted = _coerce(raw, element, name)
    if match.operator == "In":
        return lambda value: isinstance(value, Mapping | list | tuple) and wanted in value
    zero = type(wanted)()
    return lambda value: (zero if value is None else value) == wanted


def _coerce(raw: str, kind: Kind, name: str) -> str | int | bool:
    """The raw text as the value that is compared with."""
    if kind == Scalar("int"):
        why, value = _parse_int(raw)
    elif kind == Scalar("bool"):
        why, value = ("" if raw in _TRUE | _FALSE else "strconv.ParseBool"), raw in _TRUE
    else:
        return raw
    if why:
        problem = "value out of range" if why.endswith("!") else "invalid syntax"
        raise FilterError(
            f"Failed to coerce value {_quote(raw)} for selector {_quote(name)}: "
            f"{why.rstrip('!')}: parsing {_quote(raw)}: {problem}"
        )
    return value


def _parse_int(raw: str) -> tuple[str, int]:
    """The number in any of Go's notations, and the name of what failed ("!" at its end: out of range)."""
    if len(raw) > 100 or not raw.isascii() or raw != raw.strip():
        return "strconv.ParseInt", 0
    try:
        digits = raw.lstrip("+-")
        octal = len(digits) > 1 and digits[0] == "0" and digits.isdigit()
        value = int(raw, 8) if octal else int(raw, 0)
    except ValueError:
        return "strconv.ParseInt", 0
    return ("" if -(2**63) <= value < 2**63 else "strconv.ParseInt!"), value


def _pattern(raw: str) -> Pattern:
    try:
        return Pattern(raw)
    except PatternError as error:
        raise FilterError(f"Failed to compile regular expression {_quote(raw)}: {error}") from None


def _list(rows: object) -> Sequence[object]:
    return rows if isinstance(rows, list | tuple) else ()


def _quote(text: str) -> str:
    """The text as Go's %q shows it, near enough for messages."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'
