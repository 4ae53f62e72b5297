"""What is verified: nodes that answer HTTP, and what can be done to them."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from raftreg.addresses import Address
from raftreg.errors import RaftregError
from raftreg.verify.wires import Pair

# kill and stop come with start, pause with resume, fill with room, changes of the members with mend; cut and slow are
# undone by heal.
KILL, STOP, PAUSE, CUT, SLOW, FILL = "kill", "stop", "pause", "cut", "slow", "fill"
WIPE, REMOVE, ADD, REPLACE, MEND = "wipe", "remove", "add", "replace", "mend"
MEMBERS = "members"  # the ability to do these four
UNDONE_BY = {KILL: "start", STOP: "start", PAUSE: "resume", FILL: "room"} | dict.fromkeys(
    (WIPE, REMOVE, ADD, REPLACE), MEND
)


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
        """Which of kill, stop, pause, cut, slow, fill and members can be done."""
        ...

    async def open(self) -> None:
        """Start what has to be started. CannotVerify if that fails."""
        ...

    async def act(self, action: str, node: str) -> None:
        """Do one of kill, stop, pause, fill, wipe, remove, add, replace, or what undoes it, to a node; done on return.

        wipe: its process is killed, and its data deleted. remove: it is taken out of the members, and its process and
        data go. replace: the same, after a spare node has become a voter. add: a spare node becomes a voter. A change
        of members that the cluster cannot do at that moment is left undone. mend: the spare is no member any more, and
        the nodes are voters again, with the data that they have now.
        """
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
