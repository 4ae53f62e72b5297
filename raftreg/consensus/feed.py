"""Flow control towards learners: a slice of the log at a time, so that the voters do not wait behind it.

pysyncobj sends a member all that it lacks, slice by slice, in one turn. For a voter that is right: commits may wait for
it. A learner that is far behind would occupy the leader's loop, the network and its own disk for as long as that takes,
so no more than WINDOW is under way to it: what is beyond is held until an ack made room. A learner that keeps up never
fills the window. Snapshots have a window of their own (`snapshot_transfer`).
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raftreg.consensus.journal import SLICE_BYTES, SLICE_ENTRIES, Entry

if TYPE_CHECKING:
    from raftreg.consensus.engine import Engine

WINDOW_ENTRIES, WINDOW_BYTES = SLICE_ENTRIES, SLICE_BYTES
STALLED_S = 1.0  # a slice may be dropped by a member whose disk does not keep up: then it is sent again


@dataclass(slots=True)
class _Fed:
    """What is under way to one learner: (last index, entries, bytes) of each append, oldest first."""

    moved_at: float
    under_way: deque[tuple[int, int, int]] = field(default_factory=deque)
    entries: int = 0
    bytes: int = 0
    held_from: int | None = None  # the first entry that waits for room

    @property
    def full(self) -> bool:
        return self.entries >= WINDOW_ENTRIES or self.bytes >= WINDOW_BYTES


class Feed:
    """On the leader: the windows of all learners."""

    def __init__(self, engine: "Engine") -> None:
        self.engine = engine
        self._fed: dict[str, _Fed] = {}

    def admits(self, member: str, entries: Sequence[Entry]) -> bool:
        """Whether an append may leave now. If not, pysyncobj goes on as if it had all; `acked` takes that back."""
        fed = self._fed.get(member)
        if fed is None or (fed.held_from is None and not (entries and fed.full)):
            return True
        if fed.held_from is None:
            fed.held_from = entries[0][1]
        engine = self.engine
        engine.set_next_index(engine.guard.node(member), engine.journal.last + 1)
        return False

    def sent(self, member: str, entries: Sequence[Entry]) -> None:
        """An append with entries left."""
        fed = self._fed.get(member)
        if fed is None:
            fed = self._fed[member] = _Fed(self.engine.now())
        if not fed.under_way:
            fed.moved_at = self.engine.now()
        size = sum(len(entry[0]) for entry in entries)
        fed.under_way.append((entries[-1][1], len(entries), size))
        fed.entries += len(entries)
        fed.bytes += size

    def acked(self, member: str, following: int) -> None:
        """A learner acked everything below `following`: go on with what was held, if there is room now."""
        fed = self._fed.get(member)
        if fed is None:
            return
        while fed.under_way and fed.under_way[0][0] < following:
            _, entries, size = fed.under_way.popleft()
            fed.entries -= entries
            fed.bytes -= size
            fed.moved_at = self.engine.now()
        if not fed.full:
            self._let_go(member, fed)

    def _let_go(self, member: str, fed: _Fed) -> None:
        if fed.held_from is not None:
            engine = self.engine
            engine.set_next_index(engine.guard.node(member), fed.held_from)
            fed.held_from = None
            engine.want_broadcast()

    def forget(self, member: str) -> None:
        """What is under way to a member is void: the caller says where pysyncobj goes on."""
        self._fed.pop(member, None)

    def release(self, member: str) -> None:
        """A learner became a voter: it is held back no more."""
        fed = self._fed.pop(member, None)
        if fed is not None:
            self._let_go(member, fed)

    def clear(self) -> None:
        """A term of leadership begins or ends."""
        self._fed.clear()

    def tick(self) -> None:
        """Begin anew behind the last ack where nothing moved for too long."""
        now = self.engine.now()
        for member in [
            name for name, fed in self._fed.items() if fed.under_way and now - fed.moved_at > STALLED_S
        ]:
            self.forget(member)
            self.engine.resume_at_match(member)

    @property
    def holding(self) -> bool:
        """Whether a learner that is connected waits for a part of the log."""
        up = self.engine.guard.up
        return any(fed.held_from is not None and member in up for member, fed in self._fed.items())
