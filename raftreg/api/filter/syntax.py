"""The grammar of filter expressions, as a recursive descent without backtracking beyond one comparison.

    expression = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation = "not" negation | "(" expression ")" | comparison
    comparison = selector ("==" | "!=" | ["not"] "contains" | ["not"] "matches") value
               | selector "is" ["not"] "empty"
               | value ["not"] "in" selector
    selector = identifier { "." identifier | "[" string "]" }
    value = selector | number | string

Words need white space around them, `==` and `!=` do not. A value that looks like a selector is a bare word.
"""

import re
from dataclasses import dataclass

from raftreg.api.filter.schema import Operator
from raftreg.errors import Refused

FILTER_REFUSED = "Failed to create boolean expression evaluator: "  # what every refusal begins with
NESTING_MAX = 100  # deeper parentheses than anybody writes, shallow enough for the interpreter's stack

_SPACE = re.compile(r"[ \t\r\n]+")
_IDENTIFIER = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_AFTER_NUMBER = re.compile(r"[ \t\r\n)]|\Z")
_QUOTED = re.compile(r'"[^"]*"|`[^`]*`')
_AFTER_SELECTOR: tuple[tuple[re.Pattern[str], Operator], ...] = (
    (re.compile(r"[ \t\r\n]*==[ \t\r\n]*"), "Equal"),
    (re.compile(r"[ \t\r\n]*!=[ \t\r\n]*"), "Not Equal"),
    (re.compile(r"[ \t\r\n]+contains[ \t\r\n]+"), "In"),
    (re.compile(r"[ \t\r\n]+not[ \t\r\n]+contains[ \t\r\n]+"), "Not In"),
    (re.compile(r"[ \t\r\n]+matches[ \t\r\n]+"), "Matches"),
    (re.compile(r"[ \t\r\n]+not[ \t\r\n]+matches[ \t\r\n]+"), "Not Matches"),
)
_EMPTINESS: tuple[tuple[re.Pattern[str], Operator], ...] = (
    (re.compile(r"[ \t\r\n]+is[ \t\r\n]+empty"), "Is Empty"),
    (re.compile(r"[ \t\r\n]+is[ \t\r\n]+not[ \t\r\n]+empty"), "Is Not Empty"),
)
_AFTER_VALUE: tuple[tuple[re.Pattern[str], Operator], ...] = (
    (re.compile(r"[ \t\r\n]+in[ \t\r\n]+"), "In"),
    (re.compile(r"[ \t\r\n]+not[ \t\r\n]+in[ \t\r\n]+"), "Not In"),
)
_OR = re.compile(r"[ \t\r\n]+or[ \t\r\n]+")
_AND = re.compile(r"[ \t\r\n]+and[ \t\r\n]+")
_NOT = re.compile(r"not[ \t\r\n]+")
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.?))", re.S
)
_SHORT_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
}


class FilterError(Refused):
    """The expression does not parse, or does not fit what it is applied to."""

    def __init__(self, why: str) -> None:
        super().__init__(500, FILTER_REFUSED + why)


class FilterSyntaxError(FilterError):
    """The expression does not parse."""


@dataclass(frozen=True, slots=True)
class Match:
    """One comparison. `value` is the raw text to compare with, None for the tests of emptiness."""

    selector: tuple[str, ...]
    operator: Operator
    value: str | None


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of `operand`."""

    operand: "Expression"


@dataclass(frozen=True, slots=True)
class And:
    """All of the operands."""

    operands: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of the operands."""

    operands: tuple["Expression", ...]


Expression = Match | Not | And | Or


def parse(text: str) -> Expression:
    """The tree of an expression. Raises FilterError for anything else."""
    parser = _Parser(text)
    parser.take(_SPACE)
    expression = parser.expression(0)
    parser.take(_SPACE)
    if parser.at != len(text):
        raise parser.error()
    return expression


class _Parser:
    """A position in the text; each method takes what it names from there, or raises FilterError."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def error(self, at: int | None = None, why: str = "no match found") -> FilterSyntaxError:
        """The error for what stands at `at`: line, column and offset as the field's parser counts them."""
        offset = self.at if at is None else at
        line = self.text.count("\n", 0, offset) + 1
        column = offset - (self.text.rfind("\n", 0, offset) + 1) + 1
        return FilterSyntaxError(f"{line}:{column} ({offset}): {why}")

    def take(self, pattern: re.Pattern[str]) -> str | None:
        """What `pattern` matches here, and step over it; None if it does not match."""
        match = pattern.match(self.text, self.at)
        if match is None:
            return None
        self.at = match.end()
        return match[0]

    def take_operator(self, table: tuple[tuple[re.Pattern[str], Operator], ...]) -> Operator | None:
        """The first operator of `table` that stands here."""
        for pattern, operator in table:
            if self.take(pattern) is not None:
                return operator
        return None

    def expression(self, depth: int) -> Expression:
        operands = [self.conjunction(depth)]
        while self.take(_OR) is not None:
            operands.append(self.conjunction(depth))
        return operands[0] if len(operands) == 1 else Or(tuple(operands))

    def conjunction(self, depth: int) -> Expression:
        operands = [self.negation(depth)]
        while self.take(_AND) is not None:
            operands.append(self.negation(depth))
        return operands[0] if len(operands) == 1 else And(tuple(operands))

    def negation(self, depth: int) -> Expression:
        negated = False
        while self.take(_NOT) is not None:
            negated = not negated
        operand = self.operand(depth)
        return Not(operand) if negated else operand

    def operand(self, depth: int) -> Expression:
        """A group or a comparison."""
        if not self.text.startswith("(", self.at):
            return self.comparison()
        if depth >= NESTING_MAX:
            raise self.error(why="expression is nested too deeply")
        self.at += 1
        self.take(_SPACE)
        inner = self.expression(depth + 1)
        self.take(_SPACE)
        if not self.text.startswith(")", self.at):
            raise self.error(why='rule "grouping": Unmatched parentheses')
        self.at += 1
        return inner

    def comparison(self) -> Expression:
        here = self.at
        selector = self.selector()
        if selector is not None:
            after = self.at
            operator = self.take_operator(_AFTER_SELECTOR)
            if operator is not None:
                return Match(selector, operator, self.value())
            operator = self.take_operator(_EMPTINESS)
            if operator is not None:
                return Match(selector, operator, None)
            self.at = after
            value = ".".join(selector)
        else:
            self.at = here
            value = self.value()
        operator = self.take_operator(_AFTER_VALUE)
        if operator is None:
            raise self.error()
        selector = self.selector()
        if selector is None:
            raise self.error(why='rule "match": Invalid selector')
        return Match(selector, operator, value)

    def selector(self) -> tuple[str, ...] | None:
        """Identifiers joined by dots or indexes, or None if no identifier stands here."""
        first = self.take(_IDENTIFIER)
        if first is None:
            return None
        path = [first]
        while True:
            here = self.at
            if self.text.startswith(".", here):
                self.at += 1
                name = self.take(_IDENTIFIER)
                if name is None:
                    self.at = here
                    return tuple(path)
                path.append(name)
            elif self.text.startswith("[", here):
                path.append(self.index())
            else:
                return tuple(path)

    def index(self) -> str:
        """`["key"]`, at its opening bracket."""
        self.at += 1
        self.take(_SPACE)
        key = self.string()
        if key is None:
            raise self.error(why='rule "index": Invalid index')
        self.take(_SPACE)
        if not self.text.startswith("]", self.at):
            raise self.error(why='rule "index": Unclosed index expression')
        self.at += 1
        return key

    def value(self) -> str:
        """A bare word, a number or a string, as its raw text."""
        word = self.selector()
        if word is not None:
            return ".".join(word)
        number = self.take(_NUMBER)
        if number is not None:
            if _AFTER_NUMBER.match(self.text, self.at) is None:
                raise self.error(why='rule "number": Invalid number literal')
            return number
        string = self.string()
        if string is None:
            raise self.error()
        return string

    def string(self) -> str | None:
        """A quoted text without its quotes, or None if no quote stands here."""
        start = self.at
        if not self.text.startswith(('"', "`"), start):
            return None
        quoted = self.take(_QUOTED)
        if quoted is None:
            raise self.error(why='rule "string": Unterminated string literal')
        if quoted[0] == "`":
            return quoted[1:-1].replace("\r", "")
        unquoted = _unescape(quoted[1:-1])
        if unquoted is None:
            raise self.error(start, 'rule "string": invalid syntax')
        return unquoted


def _unescape(text: str) -> str | None:
    """The text with its escapes resolved as Go does in a quoted string; None if one is not valid."""
    if "\n" in text:
        return None
    if "\\" not in text:
        return text
    parts: list[str] = []
    end = 0
    for match in _ESCAPE.finditer(text):
        short, byte, octal, little, big, unknown = match.groups()
        if unknown is not None:
            return None
        code = int(byte or little or big or "0", 16) if octal is None else int(octal, 8)
        if (octal is not None and code > 0xFF) or code > 0x10FFFF or 0xD800 <= code < 0xE000:
            return None
        parts.append(text[end : match.start()])
        parts.append(_SHORT_ESCAPES[short] if short is not None else chr(code))
        end = match.end()
    return "".join(parts) + text[end:]
