"""What the groups of a pattern matched, in one pass over the text: a virtual machine with a list of threads.

A thread is a place in the program and the bounds of the groups that it passed. Threads are kept in the order in which
a backtracking matcher would try them; of two that reach the same place the first wins, so that there are never more
threads than instructions.
"""

from typing import Final

from raftreg.regex.program import Program

PROGRAM_SIZE_MAX: Final = 500
TEXT_LENGTH_MAX: Final = 512

Bounds = tuple[int, ...]  # begin and end of each group, -1 for one that took no part


class Captures:
    """A compiled pattern. Raises PatternError for what is no pattern, or too large a one."""

    def __init__(self, text: str) -> None:
        program = Program(text, size_max=PROGRAM_SIZE_MAX, with_groups=True)
        self._steps, self._first, self._final = program.steps, program.first, program.final
        self._nothing: Bounds = (-1,) * (2 * program.groups + 2)

    def search(self, text: str) -> tuple[str, ...] | None:
        """What the whole pattern and each group matched ("" for one that took no part), or None if nothing matches.

        A text beyond TEXT_LENGTH_MAX does not match.
        """
        if len(text) > TEXT_LENGTH_MAX:
            return None
        threads: list[tuple[int, Bounds]] = []
        found: Bounds | None = None
        for position in range(len(text) + 1):
            if found is None:
                threads.append((self._first, self._nothing))
            reached: dict[int, Bounds] = {}
            passed: set[int] = set()
            for step, bounds in threads:
                self._follow(reached, passed, step, bounds, text, position)
            threads = []
            for number, bounds in reached.items():
                if number == self._final:
                    found = bounds
                    break  # the threads after this one are of less preference
                accepts = self._steps[number].accepts
                if accepts is not None and position < len(text) and accepts(text[position]):
                    threads.append((self._steps[number].out[0], bounds))
            if found is not None and not threads:
                break
        return None if found is None else self._texts(text, found)

    def _texts(self, text: str, bounds: Bounds) -> tuple[str, ...]:
        return tuple(
            text[begin:end] if begin >= 0 else ""
            for begin, end in zip(bounds[::2], bounds[1::2], strict=True)
        )

    def _follow(
        self,
        reached: dict[int, Bounds],
        passed: set[int],
        step: int,
        bounds: Bounds,
        text: str,
        position: int,
    ) -> None:
        """Note every instruction that takes a character, or the end, in the order of preference."""
        pending = [(step, bounds)]
        while pending:
            number, bounds = pending.pop()
            if number in passed:
                continue
            passed.add(number)
            instruction = self._steps[number]
            if instruction.accepts is not None or number == self._final:
                reached[number] = bounds
                continue
            if instruction.holds is not None:
                before = text[position - 1] if position else ""
                if not instruction.holds(before, text[position : position + 1]):
                    continue
            if instruction.save is not None:
                bounds = (*bounds[: instruction.save], position, *bounds[instruction.save + 1 :])
            pending.extend((following, bounds) for following in reversed(instruction.out))
