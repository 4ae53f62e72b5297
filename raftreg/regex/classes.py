"""Sets of characters that regular expressions have names for."""

import unicodedata
from collections.abc import Callable

Accepts = Callable[[str], bool]


def word(character: str) -> bool:
    """Whether it is a letter, a digit or an underscore in ASCII."""
    return character.isascii() and (character.isalnum() or character == "_")


def boundary(before: str, after: str) -> bool:
    """Whether one of the two neighbours is a word character and the other is not."""
    return word(before) != word(after)


PERL: dict[str, Accepts] = {
    "d": lambda c: "0" <= c <= "9",
    "w": word,
    "s": lambda c: c in "\t\n\f\r ",
}
POSIX: dict[str, Accepts] = {
    "alnum": lambda c: c.isascii() and c.isalnum(),
    "alpha": lambda c: c.isascii() and c.isalpha(),
    "ascii": lambda c: c.isascii(),
    "blank": lambda c: c in "\t ",
    "cntrl": lambda c: c < " " or c == "\x7f",
    "digit": PERL["d"],
    "graph": lambda c: "!" <= c <= "~",
    "lower": lambda c: "a" <= c <= "z",
    "print": lambda c: " " <= c <= "~",
    "punct": lambda c: "!" <= c <= "~" and not c.isalnum(),
    "space": lambda c: c in "\t\n\v\f\r ",
    "upper": lambda c: "A" <= c <= "Z",
    "word": word,
    "xdigit": lambda c: c.isascii() and c in "0123456789abcdefABCDEF",
}
_CATEGORIES = frozenset({"C", "L", "M", "N", "P", "S", "Z"})


def category(name: str) -> Accepts | None:
    """The characters of one of Unicode's general categories (`L`, `Lu`), None for what is none."""
    if not name or name[0] not in _CATEGORIES or len(name) > 2:
        return None
    return lambda character: unicodedata.category(character).startswith(name)


def negated_of(accepts: Accepts) -> Accepts:
    """All characters that `accepts` does not take."""
    return lambda character: not accepts(character)
