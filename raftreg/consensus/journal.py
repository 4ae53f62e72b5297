"""The log as pysyncobj sees it, over our write-ahead log, and the member set that follows from it.

Term and vote go through the same stream as the entries, so that "durable up to record n" covers entries,
truncations and votes alike. Nothing here waits for the disk: records are buffered, `on_synced` tells how far
they are durable.

Rules that pysyncobj's own journals break and this one keeps (see `raftreg.consensus.guard` for the rest):
    * an entry that was synced survives kill -9 and power cuts;
    * the part below a snapshot is dropped only when that snapshot is durable, and a crash between both keeps the tail;
    * an open-ended slice never copies more than SLICE_ENTRIES entries or SLICE_BYTES bytes beyond two entries, and
      any other, which is what is applied in one turn, no more than APPLIED_BYTES.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import msgpack
from pysyncobj.journal import Journal as PysyncobjJournal

from raftreg.consensus.members import Members
from raftreg.errors import Fatal, NewerFormat, StartRefused

SLICE_ENTRIES = 1024
SLICE_BYTES = 1 << 20
APPLIED_BYTES = (
    128 << 10
)  # of one turn, a thousand small commands: a leader that has a log to apply stays a leader

Entry = tuple[bytes, int, int]  # data, index, term: pysyncobj's order

_ADD, _TRUNCATE, _CLEAR, _META = 0, 1, 2, 3
_REPLAYED = 1024  # entries that a replay keeps in memory although a snapshot covers them


def _size(entries: Iterable[Entry]) -> int:
    return sum(len(entry[0]) for entry in entries)


class Log(Protocol):
    """What the journal asks of the write-ahead log."""

    seq: int
    synced: int

    def append(self, record: bytes, entry_index: int | None = None) -> int:
        """Buffer a record; it is durable once `synced` reaches the returned number."""
        ...

    def drop_through(self, entry_index: int) -> None:
        """Forget segments whose entries all are at or below the index."""
        ...


@dataclass(frozen=True, slots=True)
class Placed:
    """A member set and the place of its entry."""

    term: int
    index: int
    members: Members

    @property
    def place(self) -> tuple[int, int]:
        """Committed sets are ordered by it."""
        return self.term, self.index


class Journal(PysyncobjJournal):  # type: ignore[misc]  # pysyncobj is untyped
    """The log, newest member set first in mind. Indexes are Raft indexes; positions are offsets into `entries`."""

    def __init__(
        self, log: Log, records: Iterable[bytes], genesis: bytes, base: Placed | None, covered: int = 0
    ) -> None:
        """`records` is what the log recovered; `base` is the member set in the newest snapshot, if there is one.

        The snapshot covers what is below index `covered`: a replay does not keep that, or a whole segment would stay
        in memory.
        """
        self.log = log
        self.entries: list[Entry] = []
        self.size_bytes = 0  # of the entries in memory
        self.durable = 0  # index of the last entry that is on this node's disk
        self.base = base
        self.committed = 1  # known at the start: the genesis, or what a snapshot holds
        self.on_members: Callable[[], None] | None = None
        self.newer: list[
            tuple[int, str]
        ] = []  # entries with a member set that a newer release wrote: index, text
        self._placed: list[Placed] = []
        self._undurable: deque[tuple[int, int]] = deque()  # (record number, entry index)
        self._term = 0
        self._vote: str | None = None
        self._replay(records, covered)
        if not self.entries:
            self.add(genesis, 1, 0)

    # -- recovery ------------------------------------------------------------------------------------------------
    def _replay(self, records: Iterable[bytes], covered: int) -> None:
        entries = self.entries
        for record in records:
            fields = msgpack.unpackb(record)
            kind = fields[0]
            if kind == _ADD:
                entries.append((fields[3], fields[1], fields[2]))
                if len(entries) >= _REPLAYED and entries[0][1] < covered:
                    del entries[: min(covered - entries[0][1], len(entries) - 1)]
            elif kind == _META:
                self._term, self._vote = fields[1], fields[2]
            elif kind == _TRUNCATE:
                del entries[max(0, fields[1] - entries[0][1]) if entries else 0 :]
            elif kind == _CLEAR:
                entries.clear()
            else:
                raise StartRefused(
                    f"the log holds a record of unknown kind {kind}: start the newer raftreg that wrote it"
                )
        self._check_gapless()
        if entries:
            self.durable = entries[-1][1]
        self.size_bytes = _size(entries)
        for data, index, term in entries:
            self._note_members(data, index, term)

    def _check_gapless(self) -> None:
        entries = self.entries
        if entries and entries[-1][1] - entries[0][1] != len(entries) - 1:
            raise StartRefused(
                "the log has a gap: files of log/ are missing or not of this node; bring them back"
            )

    def preamble(self) -> list[bytes]:
        """The records that a new segment begins with, so that older segments may go."""
        return [msgpack.packb((_META, self._term, self._vote))]

    # -- the member set is a function of snapshot and log ----------------------------------------------------------
    def _note_members(self, data: bytes, index: int, term: int) -> None:
        try:
            members = Members.decode(data)
        except NewerFormat as newer:
            self.newer.append((index, str(newer)))
            return
        if members is not None:
            self._placed.append(Placed(term, index, members))
            self._members_changed()

    def _members_changed(self) -> None:
        if self.on_members is not None:
            self.on_members()

    @property
    def placed(self) -> Placed:
        """The member set in use: the latest in the log, else that of the snapshot."""
        return self.placed_at(self.last)

    @property
    def former(self) -> frozenset[str]:
        """Who was a member by the snapshot or an entry above it, and is none by the set in use."""
        if not self._placed:
            return frozenset()
        sets = self._placed if self.base is None else [self.base, *self._placed]
        return frozenset().union(*(placed.members.all for placed in sets)) - self.placed.members.all

    def placed_at(self, index: int) -> Placed:
        """The latest member set at or below a log index."""
        for placed in reversed(self._placed):
            if placed.index <= index:
                return placed
        if self.base is None:
            raise Fatal("no member set in snapshot and log")
        return self.base

    # -- pysyncobj's interface -------------------------------------------------------------------------------------
    def add(self, command: bytes, idx: int, term: int) -> None:
        """Append one entry; it must follow the last one."""
        if self.entries and idx != self.entries[-1][1] + 1:
            raise Fatal(f"append at index {idx} after {self.entries[-1][1]}")
        self.entries.append((command, idx, term))
        self.size_bytes += len(command)
        seq = self.log.append(msgpack.packb((_ADD, idx, term, command)), idx)
        self._undurable.append((seq, idx))
        self._note_members(command, idx, term)

    def clear(self) -> None:
        """Drop everything; a snapshot takes its place (`base` was set from it)."""
        self.entries.clear()
        self.size_bytes = 0
        self.newer.clear()
        self._placed.clear()
        self._undurable.clear()
        self.durable = 0
        self.log.append(msgpack.packb((_CLEAR,)))

    def deleteEntriesFrom(self, entryFrom: int) -> None:  # pysyncobj's names
        """Truncate at a position, and take member sets back that were in the dropped part."""
        if entryFrom >= len(self.entries):
            return
        index = self.entries[entryFrom][1]
        self.size_bytes -= _size(self.entries[entryFrom:])
        del self.entries[entryFrom:]
        self.log.append(msgpack.packb((_TRUNCATE, index)))
        while self._undurable and self._undurable[-1][1] >= index:
            self._undurable.pop()
        self.durable = min(self.durable, index - 1)
        while self.newer and self.newer[-1][0] >= index:
            self.newer.pop()
        if self._placed and self._placed[-1].index >= index:
            while self._placed and self._placed[-1].index >= index:
                self._placed.pop()
            self._members_changed()

    def deleteEntriesTo(self, entryTo: int) -> None:  # pysyncobj's names
        """Forget the entries before a position; the disk keeps them until `release`."""
        if entryTo <= 0 or not self.entries:
            return
        position = min(entryTo, len(self.entries))
        first = self.entries[position][1] if position < len(self.entries) else self.last + 1
        self.size_bytes -= _size(self.entries[:position])
        del self.entries[:position]
        while self._placed and self._placed[0].index < first:
            placed = self._placed.pop(0)
            if self.base is None or placed.index > self.base.index:
                self.base = placed

    def release(self, index: int) -> None:
        """A durable snapshot ends at `index`: the disk may forget what lies below its last two entries.

        Those two stay, because a restart aligns the log with the snapshot by them.
        """
        self.log.drop_through(index - 2)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice) and key.stop is None and key.start is not None and key.start >= 0:
            return self._bounded(key.start, key.start + SLICE_ENTRIES, SLICE_BYTES)
        if isinstance(key, slice) and key.start is not None and key.stop is not None:
            return self._bounded(key.start, min(key.stop, key.start + SLICE_ENTRIES), APPLIED_BYTES)
        return self.entries[key]

    def _bounded(self, start: int, stop: int, size_max: int) -> list[Entry]:
        """At least two entries, if there are: pysyncobj takes a single one for the last, and would not truncate."""
        entries = self.entries[start:stop]
        size = 0
        for position, entry in enumerate(entries):
            size += len(entry[0])
            if size > size_max and position > 1:
                return entries[:position]
        return entries

    def __len__(self) -> int:
        return len(self.entries)

    def _destroy(self) -> None:
        """The log is closed by its owner."""

    def setRaftCommitIndex(self, raftCommitIndex: int) -> None:  # pysyncobj's names
        """Volatile: a restarted node learns the commit index from the leader."""

    def getRaftCommitIndex(self) -> int:  # pysyncobj's name
        """Where a start goes on; from 1 a leader would look at each index in turn, for seconds if they are millions."""
        return self.committed

    def setCurrentTerm(self, term: int, votedForNodeId: str | None) -> None:
        """Record term and vote; votes leave the node only when this is durable (see `guard`)."""
        if (term, votedForNodeId) != (self._term, self._vote):
            self._term, self._vote = term, votedForNodeId
            self.log.append(msgpack.packb((_META, term, votedForNodeId)))

    def getCurrentTerm(self) -> int:  # pysyncobj's name
        """The newest term recorded."""
        return int(self._term)

    def getVotedForNodeId(self) -> str | None:  # pysyncobj's name
        """Whom this node voted for in the current term."""
        return self._vote

    # -- ours ------------------------------------------------------------------------------------------------------
    def on_synced(self, seq: int) -> None:
        """Records up to number `seq` are durable."""
        undurable = self._undurable
        while undurable and undurable[0][0] <= seq:
            self.durable = undurable.popleft()[1]

    @property
    def first(self) -> int:
        """Index of the oldest entry in memory."""
        return self.entries[0][1]

    @property
    def last(self) -> int:
        """Index of the newest entry, 0 if there is none."""
        return self.entries[-1][1] if self.entries else 0

    def term_at(self, index: int) -> int | None:
        """Term of the entry at an index, None if it is not in memory."""
        if not self.entries:
            return None
        position = index - self.entries[0][1]
        return self.entries[position][2] if 0 <= position < len(self.entries) else None

    def align(self, previous: Entry, newest: Entry) -> None:
        """Drop what lies below a snapshot's two entries and keep the tail above them (pysyncobj would drop all)."""
        if self.term_at(previous[1]) == previous[2] and self.term_at(newest[1]) == newest[2]:
            self.deleteEntriesTo(previous[1] - self.entries[0][1])
