"""What a regular expression consists of."""

from collections.abc import Callable
from dataclasses import dataclass

from raftreg.regex.classes import Accepts, boundary


class PatternError(ValueError):
    """The text is no regular expression; the message says why in RE2's words."""


@dataclass(frozen=True, slots=True)
class Characters:
    """One character out of a set."""

    accepts: Accepts


@dataclass(frozen=True, slots=True)
class Assertion:
    """A place between two characters ("" at either end of the text)."""

    holds: Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Concatenation:
    """One after the other; nothing at all if empty."""

    parts: tuple["Tree", ...]


@dataclass(frozen=True, slots=True)
class Alternation:
    """Any of the branches."""

    branches: tuple["Tree", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`inner` at least `least` and at most `most` times (None: without bound); `lazy`: rather fewer than more."""

    inner: "Tree"
    least: int
    most: int | None
    lazy: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """`inner`, and what it matched is told under `number` (from 1)."""

    inner: "Tree"
    number: int


Tree = Characters | Assertion | Concatenation | Alternation | Repeat | Group

ASSERTIONS: dict[str, Assertion] = {
    "A": Assertion(lambda before, after: before == ""),
    "z": Assertion(lambda before, after: after == ""),
    "b": Assertion(boundary),
    "B": Assertion(lambda before, after: not boundary(before, after)),
}
LINE_START = Assertion(lambda before, after: before in ("", "\n"))
LINE_END = Assertion(lambda before, after: after in ("", "\n"))
