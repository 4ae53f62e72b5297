"""The syntax of RE2: a pattern as text into its tree.

Not here: Unicode scripts by name (general categories such as `\\pL` are). Backreferences and look-around do not
exist in RE2.
"""

from dataclasses import dataclass
from typing import Final

from raftreg.regex.classes import PERL, POSIX, Accepts, category, negated_of
from raftreg.regex.tree import (
    ASSERTIONS,
    LINE_END,
    LINE_START,
    Alternation,
    Characters,
    Concatenation,
    Group,
    PatternError,
    Repeat,
    Tree,
)

PATTERN_LENGTH_MAX: Final = 512
_REPEAT_MAX: Final = 1000
_NESTING_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class _Flags:
    fold_case: bool = False
    multi_line: bool = False
    dot_all: bool = False
    ungreedy: bool = False


_CONTROLS = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def parse_pattern(text: str) -> Tree:
    """The tree of a pattern. Raises PatternError."""
    if len(text) > PATTERN_LENGTH_MAX:
        raise PatternError(f"expression too large: {len(text)} characters, limit {PATTERN_LENGTH_MAX}")
    parser = _Parser(text)
    tree, _ = parser.alternation(_Flags(), 0)
    if parser.at < len(text):
        raise PatternError(f"error parsing regexp: unexpected ): `{text}`")
    return tree


class _Parser:
    """A position in the pattern; each method parses what it names from there."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.groups = 0

    def error(self, what: str, start: int) -> PatternError:
        return PatternError(f"error parsing regexp: {what}: `{self.text[start : self.at] or self.text}`")

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self, literal: str) -> bool:
        if not self.text.startswith(literal, self.at):
            return False
        self.at += len(literal)
        return True

    def alternation(self, flags: _Flags, depth: int) -> tuple[Tree, _Flags]:
        """Branches up to a closing bracket or the end; `(?i)` in one branch counts for those after it too."""
        branches: list[Tree] = []
        while True:
            branch, flags = self.concatenation(flags, depth)
            branches.append(branch)
            if not self.take("|"):
                return (branches[0] if len(branches) == 1 else Alternation(tuple(branches))), flags

    def concatenation(self, flags: _Flags, depth: int) -> tuple[Tree, _Flags]:
        parts: list[Tree] = []
        while self.peek() not in ("", "|", ")"):
            start = self.at
            if self.take("\\Q"):
                end = self.text.find("\\E", self.at)
                quoted = self.text[self.at : end] if end >= 0 else self.text[self.at :]
                parts.extend(_literal(character, flags) for character in quoted)
                self.at = end + 2 if end >= 0 else len(self.text)
                if quoted:
                    parts.append(self.repeated(parts.pop(), start, flags))
                continue
            if self.peek() == "(":
                item, flags = self.group(flags, depth)
            else:
                item = self.atom(flags)
            if item is not None:
                parts.append(self.repeated(item, start, flags))
        return Concatenation(tuple(parts)), flags

    def repeated(self, item: Tree, start: int, flags: _Flags) -> Tree:
        """`item` with the repetition that follows it, if any."""
        bounds = self.bounds()
        if bounds is None:
            return item
        lazy = self.take("?") != flags.ungreedy
        least, most = bounds
        if least > _REPEAT_MAX or (most is not None and (most > _REPEAT_MAX or most < least)):
            raise self.error("invalid repeat count", start)
        operator = self.at
        if self.bounds() is not None:
            raise self.error("invalid nested repetition operator", operator - 1)
        return Repeat(item, least, most, lazy)

    def bounds(self) -> tuple[int, int | None] | None:
        """`*`, `+`, `?` or `{n,m}` as numbers; braces that are no repetition stand for themselves."""
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.take(sign):
                return bounds
        end = self.text.find("}", self.at)
        if self.peek() != "{" or end < 0 or end - self.at > 10:
            return None
        low, comma, high = self.text[self.at + 1 : end].partition(",")
        if not (low.isascii() and low.isdigit()) or (high and not (high.isascii() and high.isdigit())):
            return None
        self.at = end + 1
        return int(low), (int(high) if high else None) if comma else int(low)

    def group(self, flags: _Flags, depth: int) -> tuple[Tree | None, _Flags]:
        """A group, or flags for the rest of the group around it (then there is no tree)."""
        start = self.at
        self.at += 1
        if depth >= _NESTING_MAX:
            raise self.error("expression nests too deeply", start)
        inner = flags
        number = 0  # of a group that captures
        if not self.take("?"):
            number = self.next_group()
        else:
            if self.take("P<"):
                end = self.text.find(">", self.at)
                if end < 0 or not self.text[self.at : end].isidentifier():
                    raise self.error("invalid named capture", start)
                self.at = end + 1
                number = self.next_group()
            else:
                inner = self.flags(flags, start)
                if self.take(")"):
                    return None, inner
                self.at += 1  # the colon that `flags` stopped at
        tree, _ = self.alternation(inner, depth + 1)
        if not self.take(")"):
            raise self.error("missing closing )", 0)
        return (Group(tree, number) if number else tree), flags

    def next_group(self) -> int:
        """Groups are numbered by their opening brackets."""
        self.groups += 1
        return self.groups

    def flags(self, flags: _Flags, start: int) -> _Flags:
        """The letters between `(?` and `:` or `)`."""
        values = {"i": flags.fold_case, "m": flags.multi_line, "s": flags.dot_all, "U": flags.ungreedy}
        setting = True
        while self.peek() not in ("", ":", ")"):
            letter = self.peek()
            self.at += 1
            if letter == "-" and setting:
                setting = False
            elif letter in values:
                values[letter] = setting
            else:
                raise self.error("invalid or unsupported Perl syntax", start)
        if not self.peek():
            raise self.error("missing closing )", 0)
        return _Flags(values["i"], values["m"], values["s"], values["U"])

    def atom(self, flags: _Flags) -> Tree:
        """One character, class or assertion."""
        start = self.at
        character = self.peek()
        if self.bounds() is not None:
            raise self.error("missing argument to repetition operator", start)
        self.at = start + 1
        if character == ".":
            return Characters((lambda c: True) if flags.dot_all else (lambda c: c != "\n"))
        if character == "^":
            return LINE_START if flags.multi_line else ASSERTIONS["A"]
        if character == "$":
            return LINE_END if flags.multi_line else ASSERTIONS["z"]
        if character == "[":
            return self.character_class(flags, start)
        if character == "\\":
            assertion = ASSERTIONS.get(self.peek())
            if assertion is not None:
                self.at += 1
                return assertion
            escaped = self.escape(start)
            return _literal(escaped, flags) if isinstance(escaped, str) else Characters(escaped)
        return _literal(character, flags)

    def escape(self, start: int) -> str | Accepts:
        """What stands after a backslash: a character, or a class."""
        letter = self.peek()
        self.at += 1
        if letter == "":
            raise self.error("trailing backslash at end of expression", start)
        if letter.lower() in PERL:
            accepts = PERL[letter.lower()]
            return accepts if letter.islower() else negated_of(accepts)
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if letter in "pP":
            return self.category(letter == "P", start)
        if letter == "x":
            return self.hexadecimal(start)
        if letter in "01234567":
            digits = self.text[self.at - 1 : self.at + 2]
            if letter != "0" and not (len(digits) == 3 and all(d in "01234567" for d in digits)):
                raise self.error("invalid escape sequence", start)
            octal = digits if all(d in "01234567" for d in digits) else letter
            self.at += len(octal) - 1
            return chr(int(octal, 8))
        if letter.isalnum() or not letter.isascii():
            raise self.error("invalid escape sequence", start)
        return letter

    def hexadecimal(self, start: int) -> str:
        """`\\x41` or `\\x{41}`, after the x."""
        if self.take("{"):
            end = self.text.find("}", self.at)
            digits, self.at = self.text[self.at : end], end + 1
        else:
            digits = self.text[self.at : self.at + 2]
            self.at += 2
        allowed = 1 <= len(digits) <= 6 and all(d in "0123456789abcdefABCDEF" for d in digits)
        if not allowed or int(digits, 16) > 0x10FFFF or self.at > len(self.text):
            raise PatternError(f"error parsing regexp: invalid escape sequence: `{self.text[start:]}`")
        return chr(int(digits, 16))

    def category(self, negated: bool, start: int) -> Accepts:
        """`\\pL` or `\\p{Lu}`: Unicode's general categories."""
        if self.take("{"):
            end = self.text.find("}", self.at)
            name, self.at = self.text[self.at : max(end, self.at)], end + 1
        else:
            name = self.peek()
            self.at += 1
        accepts = category(name)
        if accepts is None:
            raise PatternError(f"error parsing regexp: invalid character class range: `{self.text[start:]}`")
        return negated_of(accepts) if negated else accepts

    def character_class(self, flags: _Flags, start: int) -> Tree:
        """`[...]`, after its opening bracket."""
        negated = self.take("^")
        members: list[Accepts] = []
        first = True
        while first or self.peek() != "]":
            if not self.peek():
                raise self.error("missing closing ]", start)
            members.append(self.class_member(flags, start))
            first = False
        self.at += 1

        def accepts(character: str) -> bool:
            return any(member(character) for member in members)

        return Characters(negated_of(accepts) if negated else accepts)

    def class_member(self, flags: _Flags, start: int) -> Accepts:
        """One member of a class: a named class, a range or a character."""
        if self.take("[:"):
            end = self.text.find(":]", self.at)
            name = self.text[self.at : max(end, self.at)]
            if name.lstrip("^") not in POSIX or end < 0:
                raise self.error("invalid character class range", start)
            self.at = end + 2
            accepts = POSIX[name.lstrip("^")]
            return negated_of(accepts) if name.startswith("^") else accepts
        low = self.class_character(start)
        if not isinstance(low, str):
            return low
        if self.peek() != "-" or self.text[self.at + 1 : self.at + 2] in ("]", ""):
            return _folded(low, low, flags)
        self.at += 1
        high = self.class_character(start)
        if not isinstance(high, str) or high < low:
            raise self.error("invalid character class range", start)
        return _folded(low, high, flags)

    def class_character(self, start: int) -> str | Accepts:
        character = self.peek()
        self.at += 1
        if not character:
            raise self.error("missing closing ]", start)
        return self.escape(start) if character == "\\" else character


def _folded(low: str, high: str, flags: _Flags) -> Accepts:
    """A range of characters, without regard to case if so flagged."""
    if not flags.fold_case:
        return lambda c: low <= c <= high
    return lambda c: low <= c <= high or low <= c.lower() <= high or low <= c.upper() <= high


def _literal(character: str, flags: _Flags) -> Tree:
    return Characters(_folded(character, character, flags))
