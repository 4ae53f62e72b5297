"""What is verified: nodes that answer HTTP, and what can be done to them."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from raftreg.addresses import Address
from raftreg.errors import RaftregError
from raftreg.verify.wires import Pair

# kill and stop come with start, pause with resume, fill with room; cut and slow are undone by heal.
KILL, STOP, PAUSE, CUT, SLOW, FILL = "kill", "stop", "pause", "cut", "slow", "fill"
UNDONE_BY = {KILL: "start", STOP: "start", PAUSE: "resume", FILL: "room"}


class CannotAct(RaftregError):
    """Something could not be done to a node; the message says what and why."""


class Target(Protocol):
    """Some nodes. Everything but `nodes` and `abilities` may raise CannotAct."""

    @property
    def nodes(self) -> Mapping[str, Address]:
        """Where each node answers HTTP."""
        ...

    @property
    def abilities(self) -> frozenset[str]:
        """Which of kill, stop, pause, cut, slow and fill can be done."""
        ...

    async def open(self) -> None:
        """Start what has to be started. CannotVerify if that fails."""
        ...

    async def act(self, action: str, node: str) -> None:
        """Do one of kill, stop, pause, fill, or what undoes it, to a node; done when this returns."""
        ...

    async def cut(self, pairs: Iterable[Pair], *, silently: bool) -> None:
        """Nothing gets from the first to the second of each pair; `silently`: connections stay."""
        ...

    async def slow(self, pairs: Iterable[Pair], delay_s: float) -> None:
        """What goes from the first to the second of each pair takes longer."""
        ...

    async def heal(self) -> None:
        """Undo all cuts and delays."""
        ...

    def deaths(self) -> list[str]:
        """What is new of nodes that ended by themselves, in words."""
        ...

    async def close(self) -> None:
        """End what was started, and leave nothing of it."""
        ...
