"""What a mutant is, and the table of all."""

from collections.abc import Callable
from dataclasses import dataclass

from raftreg.sim.patches import Patches


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mend that is missing. `profile` is the mix of faults that finds it soonest, or a schedule."""

    name: str
    what: str
    profile: str
    apply: Callable[[Patches], None]


MUTANTS: dict[str, Mutant] = {}


def mutant(name: str, profile: str) -> Callable[[Callable[[Patches], None]], Callable[[Patches], None]]:
    """Put a function into the table; its docstring says what is missing."""

    def register(apply: Callable[[Patches], None]) -> Callable[[Patches], None]:
        MUTANTS[name] = Mutant(name, (apply.__doc__ or "").rstrip("."), profile, apply)
        return apply

    return register
