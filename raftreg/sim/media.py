"""The disks of a simulated host as its operator sees them: one is in it, former ones lie on a shelf, copies are kept.

A member's promises are on one disk, under one id. Whoever puts another disk in has lost that id for as long as the
former one lies on the shelf. A copy has the id without what was promised since it was made.
"""

from copy import deepcopy
from dataclasses import dataclass, field

from raftreg.consensus.journal import Journal
from raftreg.sim.disk import SimDisk


@dataclass(slots=True, eq=False)
class Media:
    """One disk. `member` is the id on it, once a process has made one or read it."""

    disk: SimDisk
    member: str | None = None
    journal: Journal | None = None  # of its last life, as it was at that life's end
    acted: int = 0  # lives in which a process acted as the member
    copied: bool = False  # a copy of another one
    copies: list["Media"] = field(default_factory=list)  # cold ones, oldest first

    def keep_copy(self) -> None:
        """Copy it while nobody uses it, if there is anything on it."""
        if self.member is None:
            return
        copy = Media(deepcopy(self.disk), self.member, None, self.acted, copied=True)
        self.copies.append(copy)
        del self.copies[:-COPIES_MAX]

    def take_outdated(self) -> "Media | None":
        """The newest copy that was made before a process acted on the original, None if there is none."""
        older = [copy for copy in self.copies if copy.acted < self.acted]
        return older[-1] if older else None


COPIES_MAX = 4
