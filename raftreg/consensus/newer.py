"""What a node does that meets something which a newer release wrote: it waits to be upgraded, and says so.

    in the log      it applies nothing from that entry on, and skips nothing; it goes on to store and acknowledge what
                    comes, so that the others do not lack a voter, and votes
    as a snapshot   it refuses the leader's, and keeps what it has
    both            it does not campaign, and gives the lead away: a leader has to apply what it commits

With a newer release started on the same data directory it goes on where it stopped.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from raftreg.errors import NewerFormat

if TYPE_CHECKING:
    from raftreg.consensus.engine import Engine

_log = logging.getLogger(__name__)
_FOLLOWER = 0  # pysyncobj's number for the role
_REMEDY = "upgrade raftreg on this node; until then it applies nothing more and does not lead"


class Newer:
    """What one engine waits for. `stopped`: an entry in its log that it may not apply."""

    def __init__(self, engine: "Engine") -> None:
        self.engine = engine
        self.stopped = ""
        self._snapshot: tuple[int, int] | None = None  # (index, term) of one that was refused
        self._snapshot_text = ""
        self._said = ""

    @property
    def text(self) -> str:
        """What this node cannot read, and what to do; "" if it can read all that it has met."""
        unread = self.engine.journal.newer
        if not self.stopped and not unread and self._snapshot is None:
            return ""
        if self.stopped:
            return self.stopped
        if unread:
            return _entry_text(*unread[0])
        return self._snapshot_text

    def guarded(self, apply: Callable[[], bool]) -> bool:
        """Apply committed entries, unless there is one that cannot be applied. What `apply` returns."""
        if self.stopped:
            return False
        try:
            return apply()
        except NewerFormat as newer:
            self.stopped = _entry_text(self.engine.raftLastApplied + 1, str(newer))
            self.say()
            return False

    def check_members(self, index: int) -> None:
        """Raise NewerFormat if the member set in the entry cannot be read."""
        for unread, text in self.engine.journal.newer:
            if unread == index:
                raise NewerFormat(text)

    def refuses(self, index: int, term: int) -> bool:
        """Whether a snapshot that is offered was found to be a newer release's."""
        return self._snapshot == (index, term)

    def refused(self, index: int, term: int, error: NewerFormat) -> None:
        """A snapshot of the leader is a newer release's."""
        self._snapshot = index, term
        self._snapshot_text = f"snapshot {index} of the leader: {error}; {_REMEDY}"
        self.say()

    def went_past(self, index: int) -> None:
        """A snapshot was loaded that this release can read: what it covers need not be read."""
        self.stopped = ""
        if self._snapshot is not None and self._snapshot[0] <= index:
            self._snapshot = None

    def resign(self) -> None:
        """Lead no more, in the same term, as when too few voters answer: the heir may be no better than this node."""
        engine = self.engine
        engine._SyncObj__setState(_FOLLOWER)
        engine._SyncObj__raftLeader = None
        engine.want_tick()

    def say(self) -> None:
        """Log it, once for each thing that is met."""
        text = self.text
        if text and text != self._said:
            self._said = text
            _log.error("%s", text)
            self.engine.world.on_change()


def _entry_text(index: int, what: str) -> str:
    return f"entry {index} of the log: {what}; {_REMEDY}"
