"""Makes a failing schedule short: leaves faults out as long as the run still breaks the same rule.

Each part of a run has its own stream of chance, so what is left happens as before, as far as it did not follow from
what was left out (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002).
"""

from collections.abc import Callable

from raftreg.sim.faults import Fault
from raftreg.sim.run import Outcome

RUNS_MAX = 60


def shrink(failed: Outcome, again: Callable[[list[Fault]], Outcome], runs_max: int = RUNS_MAX) -> Outcome:
    """The failing outcome with the fewest faults that was found. `again` runs the seed with other faults."""
    best, left = failed, runs_max
    happened = [fault for fault in failed.faults if fault.at_s <= failed.at_s]
    pieces = 1
    while happened and left > 0:
        size = max(1, len(happened) // pieces)
        for start in range(0, len(happened), size):
            fewer = happened[:start] + happened[start + size :]
            left -= 1
            outcome = again(fewer)
            if outcome.rule == failed.rule:
                best, happened = outcome, [fault for fault in fewer if fault.at_s <= outcome.at_s]
                pieces = max(1, pieces - 1)
                break
            if left <= 0:
                break
        else:
            if size == 1:
                break
            pieces = min(len(happened), pieces * 2)
    return best
