"""Regular expressions that cannot be made to hang: an automaton that reads each character once.

Python's `re` backtracks, so that `(a+)+$` takes exponential time on the wrong text, and patterns come from clients.
Here a pattern becomes a nondeterministic automaton that is simulated with the set of states it may be in; the
transitions that were computed are remembered, so that further rows cost one look-up per character.
Programs are bounded in size, and so is what is remembered.
"""

from typing import Final

from raftreg.regex.program import Program
from raftreg.regex.tree import PatternError

__all__ = ["Pattern", "PatternError"]

PROGRAM_SIZE_MAX: Final = 2000
_REMEMBERED_MAX: Final = 2000


class Pattern:
    """A compiled pattern. Raises PatternError for what is no pattern, or too large a one."""

    def __init__(self, text: str) -> None:
        program = Program(text, size_max=PROGRAM_SIZE_MAX, with_groups=False)
        self._states, self._first, self._final = program.steps, program.first, program.final
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
