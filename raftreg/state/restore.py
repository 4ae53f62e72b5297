"""A restore under way: the parts of a dump that came through the log so far.

Each part is decoded when it comes, so that the command that replaces the state has little left to do, however much it
replaces: it runs between two heartbeats of the leader. The number that all restored indexes get is reserved when the
restore begins, far enough above all others that ordinary writes do not reach it meanwhile.
"""

import hashlib
from typing import Final

from raftreg.cluster_commands import RestoreChunk, RestoreCommit
from raftreg.errors import Refused
from raftreg.state.loading import Loader
from raftreg.state.tables import Collected, Limits, Tables

RESERVE: Final = 1_000_000  # commands that may be applied between the begin of a restore and its end
_NOT_CURRENT: Final = "the restore was given up: another one began, or it took too long"


class Staged:
    """What the current restore has."""

    def __init__(self, restore_id: str, index: int, limits: Limits) -> None:
        """`index` is what every restored index will be."""
        self.id = restore_id
        self.index = index
        self.chunks: list[bytes] = []
        self._loader = Loader(limits, lift=index)
        self._digest = hashlib.sha256()

    def add(self, command: RestoreChunk) -> None:
        """Take the next part. ValueError if it is not part of a dump: what was collected is of no use then."""
        self._loader.feed(command.data)
        self._digest.update(command.data)
        self.chunks.append(command.data)

    def collected(self) -> Collected:
        """All that is needed to go on elsewhere."""
        return Collected(self.id, self.index, tuple(self.chunks))

    def finish(self, command: RestoreCommit, index: int) -> Tables:
        """The restored tables. Refused if the dump is not whole, or if `index`, the current one, is too high."""
        if self._digest.hexdigest() != command.digest:
            raise Refused(500, "the restore failed: what arrived is not what was sent")
        if index >= self.index:
            raise Refused(500, "the restore failed: too many writes came meanwhile; try again")
        try:
            return self._loader.finish()
        except ValueError as error:
            raise Refused(500, f"the restore failed: {error}") from None


def check_current(staged: Staged | None, restore_id: str) -> Staged:
    """The restore with that id. Refused if it is not the current one."""
    if staged is None or staged.id != restore_id:
        raise Refused(500, _NOT_CURRENT)
    return staged


def staged_again(collected: Collected, limits: Limits) -> Staged:
    """What `Staged.collected` was taken from. ValueError if it cannot have been."""
    staged = Staged(collected.id, collected.index, limits)
    for number, chunk in enumerate(collected.chunks):
        staged.add(RestoreChunk(collected.id, number, chunk))
    return staged
