"""A pattern as a program (Thompson, 1968): instructions that take a character, note a place, demand something, or fork.

Both machines run it: `automaton`, which only wants to know whether a text matches, and `captures`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from raftreg.regex.syntax import parse_pattern
from raftreg.regex.tree import (
    Alternation,
    Assertion,
    Characters,
    Concatenation,
    Group,
    PatternError,
    Repeat,
    Tree,
)


@dataclass(slots=True)
class Step:
    """One instruction: it takes a character, notes a bound (`save`), demands something, or is a fork of `out`."""

    accepts: Callable[[str], bool] | None = None
    holds: Callable[[str, str], bool] | None = (
        None  # (character before or "", after or "") -> whether it goes on
    )
    save: int | None = None
    out: tuple[int, ...] = ()  # the preferred one first


class Program:
    """The instructions of one pattern, of which `first` begins it and `final` ends it."""

    def __init__(self, text: str, *, size_max: int, with_groups: bool) -> None:
        """Raises PatternError for what is no pattern, or has more than `size_max` instructions."""
        self.steps: list[Step] = []
        self.groups = 0
        self._size_max = size_max
        self._with_groups = with_groups
        self.final = self._add(Step())
        self.first = self._build(Group(parse_pattern(text), 0), self.final)

    def _add(self, step: Step) -> int:
        if len(self.steps) >= self._size_max:
            raise PatternError("expression too large")
        self.steps.append(step)
        return len(self.steps) - 1

    def _build(self, tree: Tree, following: int) -> int:
        """Add the instructions of `tree`, which lead to `following`; the first one's number."""
        match tree:
            case Characters(accepts):
                return self._add(Step(accepts=accepts, out=(following,)))
            case Assertion(holds):
                return self._add(Step(holds=holds, out=(following,)))
            case Concatenation(parts):
                for part in reversed(parts):
                    following = self._build(part, following)
                return following
            case Alternation(branches):
                return self._add(Step(out=tuple(self._build(branch, following) for branch in branches)))
            case Group(inner, number):
                if not self._with_groups:
                    return self._build(inner, following)
                self.groups = max(self.groups, number)
                end = self._add(Step(save=2 * number + 1, out=(following,)))
                return self._add(Step(save=2 * number, out=(self._build(inner, end),)))
            case Repeat():
                return self._build_repeat(tree, following)

    def _build_repeat(self, repeat: Repeat, following: int) -> int:
        first = following
        if repeat.most is None:
            loop = self._add(Step())
            self.steps[loop].out = self._fork(repeat, self._build(repeat.inner, loop), following)
            first = loop
        else:
            for _ in range(repeat.most - repeat.least):
                first = self._add(Step(out=self._fork(repeat, self._build(repeat.inner, first), following)))
        for _ in range(repeat.least):
            first = self._build(repeat.inner, first)
        return first

    @staticmethod
    def _fork(repeat: Repeat, again: int, on: int) -> tuple[int, int]:
        return (on, again) if repeat.lazy else (again, on)
