"""The verdict: one line per promise, and for a broken one the calls that show it."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field

from raftreg.checkers.history import Operation


class Outcome(enum.StrEnum):
    """EMPTY: there was no evidence, which is no pass."""

    PASS = "PASS"
    FAIL = "FAIL"
    EMPTY = "EMPTY"


@dataclass(frozen=True, slots=True)
class Verdict:
    """About one promise. `text` says what was looked at, or what is wrong; `proof` are the calls that show it."""

    check: str
    outcome: Outcome
    text: str
    proof: tuple[Operation, ...] = field(default=())


def passed(check: str, text: str) -> Verdict:
    """Evidence was looked at, and nothing is wrong."""
    return Verdict(check, Outcome.PASS, text)


def failed(check: str, text: str, proof: Sequence[Operation] = ()) -> Verdict:
    """Something is wrong."""
    return Verdict(check, Outcome.FAIL, text, tuple(proof))


def empty(check: str, text: str) -> Verdict:
    """There is no evidence, for the reason that `text` tells."""
    return Verdict(check, Outcome.EMPTY, text)


def all_passed(verdicts: Sequence[Verdict]) -> bool:
    """Whether every promise was looked at and held."""
    return bool(verdicts) and all(verdict.outcome is Outcome.PASS for verdict in verdicts)
