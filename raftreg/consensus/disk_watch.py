"""Whether the disk keeps up with the log."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raftreg.consensus.engine import Engine

HANGS_S = 2.0  # a leader whose disk takes longer holds everybody up: it gives the lead away


class DiskWatch:
    """How long the log of one node has waited for its disk, on the engine's clock."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._moved_at = engine.now()  # when something became durable, or nothing waited for it

    @property
    def _waits(self) -> bool:
        log = self._engine.journal.log
        return log.synced < log.seq

    def moved(self) -> None:
        """Something became durable."""
        self._moved_at = self._engine.now()

    def look(self) -> None:
        """Note that nothing waits, if that is so. To be called before something is put into the log."""
        if not self._waits:
            self.moved()

    @property
    def hangs(self) -> bool:
        """Whether nothing became durable here for so long that another node should lead."""
        return self._engine.now() - self._moved_at > HANGS_S

    @property
    def is_slow(self) -> bool:
        """Whether something has waited for longer than a heartbeat."""
        return self._waits and self._engine.now() - self._moved_at > self._engine.timing.heartbeat_s
