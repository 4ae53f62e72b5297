"""Whether a member keeps up with the leader, judged in rounds (Ongaro 2014, section 4.2.1).

A round begins with the end of the leader's log as its target, and is over when the member acked that. What was written
meanwhile is the next round. A member whose last round took less than an election timeout would, as a voter, hold up a
commit for no longer than an election does. One that is connected and has all there is has nothing to catch up with.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raftreg.consensus.engine import Engine


@dataclass(slots=True)
class _Round:
    """A round under way, and how long the last one took (infinite before the first is over). Seconds."""

    target: int
    began: float
    took: float = float("inf")


class CatchUp:
    """On the leader: the rounds of all members that acked in this term."""

    def __init__(self, engine: "Engine") -> None:
        self.engine = engine
        self._rounds: dict[str, _Round] = {}

    def clear(self) -> None:
        """A term begins: nobody acked in it yet."""
        self._rounds.clear()

    def forget(self, member: str) -> None:
        """A member came, left, or was disconnected."""
        self._rounds.pop(member, None)

    def acked(self, member: str, following: int) -> None:
        """A member acked, in this term, everything below `following`."""
        engine = self.engine
        last, now = engine.journal.last, engine.now()
        round_ = self._rounds.get(member)
        if round_ is None:
            round_ = self._rounds[member] = _Round(last, now)
        elif following > round_.target:
            round_.target, round_.began, round_.took = last, now, now - round_.began
        if following > last:
            round_.began, round_.took = now, 0.0

    def done(self, member: str) -> bool:
        """Whether a member that was just heard keeps up."""
        engine, round_ = self.engine, self._rounds.get(member)
        timeout_s = engine.timing.election_max_s
        if round_ is None or not engine.reads.heard_within(member, timeout_s):
            return False
        if round_.took >= timeout_s:
            return False
        return engine.guard.caught_up(member, engine.journal.last) or engine.now() - round_.began < timeout_s
