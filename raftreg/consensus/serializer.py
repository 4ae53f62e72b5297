"""Stands in for pysyncobj's serializer: snapshots by our own store, off the loop, and sent by `snapshot_transfer`."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pysyncobj.config import SERIALIZER_STATE

from raftreg.consensus.journal import Entry
from raftreg.consensus.members import Members
from raftreg.consensus.snapshot import Jobs, Snapshot, SnapshotStore
from raftreg.errors import Fatal, StartRefused

if TYPE_CHECKING:
    from raftreg.consensus.engine import Engine

_log = logging.getLogger(__name__)
RETRY_S = 5.0
# A snapshot is due, however few the entries are: the log above the last one is in memory.
LOG_BYTES = 256 << 20
# While a member catches up the log may be so many times as long, in entries and in bytes.
LONGEST_LOG, LARGEST_LOG = 8, 2
# A member that does not come to the end of what is committed writes one after so many times the usual entries.
LAGGING = 2


class Serializer:
    """pysyncobj calls these methods from its tick and when it sends to a member whose entries are gone."""

    def __init__(self, engine: "Engine", store: SnapshotStore, jobs: Jobs) -> None:
        self.engine = engine
        self.store = store
        self.jobs = jobs
        self.durable_index = 0  # of the newest snapshot that is on disk
        # Of the state machine there, and of its state.
        self._effort, self._size_bytes = engine.machine.effort(), 0
        # Newest and previous entry of the snapshot being loaded.
        self.loading: tuple[Entry, Entry] | None = None
        self._running: int | None = None
        self._finished: tuple[Any, int] | None = None
        self._quiet_until = 0.0
        self._members, self._turn = 1, 0.0  # how many; where among them this one comes, from 0 on and below 1

    @property
    def under_way(self) -> bool:
        """Whether a snapshot is being written, or was written and pysyncobj does not know it yet."""
        return self._running is not None or self._finished is not None

    def stands_for(self, size_bytes: int) -> None:
        """The state machine was just loaded from a snapshot of that size."""
        self._effort, self._size_bytes = self.engine.machine.effort(), size_bytes

    @property
    def has_ended(self) -> bool:
        """Whether pysyncobj is to be told that a snapshot was written; while it is being written there is nothing."""
        return self._finished is not None

    def use(self, members: Members) -> None:
        """Another member set is in use: each member has its own turn to write a snapshot."""
        self._members = len(members.all)
        self._turn = sum(other < self.engine.member_id for other in members.all) / self._members

    def is_due(self) -> bool:
        """Whether a restart would have much to do again: many entries, or entries with many commands.

        A command takes several times as long as loading what it left in a snapshot. But a large state is not written
        for little: what was logged since must be half of it, so that no more is written twice than once. While a
        restart goes through its log nothing is written beside it.

        All members have the same entries, and would all be busy with a snapshot at once: so they take turns.
        """
        engine, many = self.engine, self.engine.conf.logCompactionMinEntries
        applied = engine.raftLastApplied - self.durable_index
        if applied <= 0 or self.under_way:
            return False
        if self.log_is_large:
            return True
        if engine.raftLastApplied != engine.raftCommitIndex and applied <= many * LAGGING:
            return False
        if applied > many + self._shift(self.durable_index, many):
            return True
        effort = engine.machine.effort()
        if effort - self._effort <= many + self._shift(self._effort, many):
            return False
        return 2 * engine.journal.size_bytes >= self._size_bytes and self._has_its_turn(effort, many)

    def _has_its_turn(self, effort: int, many: int) -> bool:
        """Of each `many` commands every member has an equal part in which it may begin to write."""
        return (effort - round(self._turn * many)) % many * self._members < many

    def _shift(self, last: int, many: int) -> int:
        """How much later than `many` after the last one the next comes; earlier if below 0; at most half of it.

        So who comes first among the members writes at multiples of `many`, and the others evenly between.
        """
        off = round(self._turn * many - last) % many
        return off if 2 * off <= many else off - many

    @property
    def log_is_large(self) -> bool:
        """Whether the log takes so much memory that a snapshot is due for that alone; not for all members at once."""
        return bool(self.engine.journal.size_bytes > LOG_BYTES * (1.0 - self._turn / 2))

    def checkSerializing(self) -> tuple[Any, int | None]:  # pysyncobj's name
        """State of the snapshot being written, asked at each tick; pysyncobj cuts its log after SUCCESS."""
        failed = self._finished is not None and self._finished[0] == SERIALIZER_STATE.FAILED
        if self._running is not None or (self._must_wait() and not failed):
            return SERIALIZER_STATE.SERIALIZING, self._running
        if self._finished is not None:
            finished, self._finished = self._finished, None
            return finished
        if self.engine.now() < self._quiet_until:
            return SERIALIZER_STATE.SERIALIZING, None
        return SERIALIZER_STATE.NOT_SERIALIZING, None

    def _must_wait(self) -> bool:
        """While a member catches up the log is not cut, within reason: it needs what follows its snapshot."""
        engine = self.engine
        if len(engine.journal) >= engine.conf.logCompactionMinEntries * LONGEST_LOG:
            return False
        if engine.journal.size_bytes > LOG_BYTES * LARGEST_LOG:
            return False
        return engine.transfers.under_way() or engine.feed.holding

    def serialize(self, data: tuple[Any, Entry, Entry, Any], id_: int) -> None:
        """Copy the state now; encode and write it in another thread, which rests after each piece.

        So neither the event loop, which has the interpreter in common with that thread, nor the other processes of a
        small machine have to wait for more than a piece.
        """
        newest, previous = data[1], data[2]
        state, level = self.engine.machine.freeze(), self.engine.machine.level()
        placed = self.engine.journal.placed_at(newest[1])
        self._running = id_
        effort = self.engine.machine.effort()

        def pieces() -> Iterator[bytes]:
            for piece in state():
                yield piece
                if not self.log_is_large:
                    self.engine.world.rest()

        def write() -> object:
            return effort, self.store.save(Snapshot(newest, previous, placed, pieces(), level))

        self.jobs(write, self._written)

    def write_now(self) -> None:
        """Write a snapshot of this moment, due or not, unless one is being written."""
        journal = self.engine.journal
        position = self.engine.raftLastApplied - journal.first
        if self._running is None and position > 0:
            previous, newest = journal.entries[position - 1 : position + 1]
            self.serialize((None, newest, previous, None), previous[1])

    def _written(self, outcome: object) -> None:
        running, self._running = self._running, None
        if isinstance(outcome, (OSError, StartRefused)):
            _log.error("snapshot not written, next try in %.0f s: %s", RETRY_S, outcome)
            self._quiet_until = self.engine.now() + RETRY_S
            self._finished = (SERIALIZER_STATE.FAILED, running or 0)
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            assert isinstance(outcome, tuple)
            self._effort, self._size_bytes = outcome
            self._finished = (SERIALIZER_STATE.SUCCESS, running or 0)
            self.became_durable()
        self.engine.want_tick()

    def became_durable(self) -> None:
        """A snapshot was completed (written here or received): the log below the older one may go."""
        try:
            indexes = self.store.indexes()
        except OSError as error:
            _log.error("cannot list the snapshots, so the log is kept until the next one: %s", error)
            return
        self.durable_index = indexes[0]
        self.engine.journal.release(indexes[-1])

    def deserialize(self) -> tuple[None, Entry, Entry, list[Any]]:
        """pysyncobj asks for what it loads; the state machine has its part already."""
        if self.loading is None:
            raise Fatal("pysyncobj loads a snapshot that nobody gave it")
        newest, previous = self.loading
        return None, newest, previous, []

    def getTransmissionData(self, node: Any) -> tuple[bytes, bool, bool] | None:
        """Told that a member needs a snapshot: start our own transfer, and let pysyncobj believe it was sent."""
        self.engine.transfers.begin(node.id)
        return b"", False, True

    def setTransmissionData(self, data: Any) -> bool:  # pysyncobj's name
        """Snapshots never arrive this way: `guard` does not deliver such messages."""
        return False

    def cancelTransmisstion(self, id_: Any) -> None:  # pysyncobj's spelling
        """pysyncobj calls this at every broadcast for members that are not connected; transfers end by themselves."""
