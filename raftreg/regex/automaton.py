"""Regular expressions that cannot be made to hang: an automaton that reads each character once.

Python's `re` backtracks, so that `(a+)+$` takes exponential time on the wrong text, and patterns come from clients.
Here a pattern becomes a nondeterministic automaton (Thompson, 1968) that is simulated with the set of states it may
be in; the transitions that were computed are remembered, so that further rows cost one look-up per character.
Programs are bounded in size, and so is what is remembered.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

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

__all__ = ["Pattern", "PatternError"]

PROGRAM_SIZE_MAX: Final = 2000
_REMEMBERED_MAX: Final = 2000

Assertions = Callable[[str, str], bool]  # (character before or "", character after or "") -> holds


@dataclass(slots=True)
class _State:
    """Either takes one character (`accepts`), or goes on freely to `out`, if `holds` there."""

    accepts: Callable[[str], bool] | None = None
    holds: Assertions | None = None
    out: list[int] = field(default_factory=list)


class Pattern:
    """A compiled pattern. Raises PatternError for what is no pattern, or too large a one."""

    def __init__(self, text: str) -> None:
        self._states: list[_State] = []
        final = self._add(_State())
        self._first = self._build(parse_pattern(text), final)
        self._final = final
        self._asserts = any(state.holds is not None for state in self._states)
        self._remembered: dict[tuple[frozenset[int], str, str], frozenset[int]] = {}

    def search(self, text: str) -> bool:
        """Whether the pattern matches anywhere in `text`."""
        states: frozenset[int] = frozenset()
        before = ""
        for position in range(len(text) + 1):
            after = text[position] if position < len(text) else ""
            reached = self._reach(states, before if self._asserts else "", after)
            if self._final in reached:
                return True
            states = self._step(reached, after) if after else frozenset()
            before = after
        return False

    def _reach(self, states: frozenset[int], before: str, after: str) -> frozenset[int]:
        """All states that can be reached without taking a character, a fresh start of the pattern included."""
        key = (states, before, after if self._asserts else "")
        reached = self._remembered.get(key)
        if reached is None:
            reached = self._closure(states, before, after)
            if len(self._remembered) >= _REMEMBERED_MAX:
                self._remembered.clear()
            self._remembered[key] = reached
        return reached

    def _closure(self, states: frozenset[int], before: str, after: str) -> frozenset[int]:
        seen = set(states) | {self._first}
        pending = list(seen)
        while pending:
            state = self._states[pending.pop()]
            if state.accepts is not None or (state.holds is not None and not state.holds(before, after)):
                continue
            fresh = [number for number in state.out if number not in seen]
            seen.update(fresh)
            pending.extend(fresh)
        return frozenset(seen)

    def _step(self, states: frozenset[int], character: str) -> frozenset[int]:
        """The states after taking one character."""
        key = (states, character, "step")
        following = self._remembered.get(key)
        if following is None:
            taken: set[int] = set()
            for number in states:
                state = self._states[number]
                if state.accepts is not None and state.accepts(character):
                    taken.update(state.out)
            following = frozenset(taken)
            self._remembered[key] = following
        return following

    def _add(self, state: _State) -> int:
        if len(self._states) >= PROGRAM_SIZE_MAX:
            raise PatternError("expression too large")
        self._states.append(state)
        return len(self._states) - 1

    def _build(self, tree: Tree, following: int) -> int:
        """Add the states of `tree`, which lead to `following`; the first one's number."""
        match tree:
            case Characters(accepts):
                return self._add(_State(accepts=accepts, out=[following]))
            case Assertion(holds):
                return self._add(_State(holds=holds, out=[following]))
            case Concatenation(parts):
                for part in reversed(parts):
                    following = self._build(part, following)
                return following
            case Alternation(branches):
                return self._add(_State(out=[self._build(branch, following) for branch in branches]))
            case Group(inner):
                return self._build(inner, following)
            case Repeat():
                return self._build_repeat(tree, following)

    def _build_repeat(self, repeat: Repeat, following: int) -> int:
        first = following
        if repeat.most is None:
            loop = self._add(_State(out=[following]))
            self._states[loop].out.append(self._build(repeat.inner, loop))
            first = loop
        else:
            for _ in range(repeat.most - repeat.least):
                first = self._add(_State(out=[self._build(repeat.inner, first), following]))
        for _ in range(repeat.least):
            first = self._build(repeat.inner, first)
        return first
